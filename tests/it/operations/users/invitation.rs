//! Invitations: a mailed link by which a new user sets the first password.

use connect_idp::model::user::UserType;
use connect_idp::operations::passwords::address::email_of_user;
use connect_idp::operations::users::email::NotMailed;
use connect_idp::operations::users::invitation::send;
use futures_util::future::join_all;
use serde_json::json;

use crate::actors::{Browser, Engine, Idp, User};
use crate::outbound::mail::{Server, deliver, set, with_claims};

const INVITATION: &str = "Set up your Therap Connect account";

async fn start(server: &Server, engine: Engine) -> Idp {
    let mail = server.mail();
    Idp::start_with(engine, |config| {
        config.mail = Some(mail);
        config.throttle.enabled = false;
    })
    .await
}

/// A Provider Admin, signed in.
async fn admin(idp: &Idp) -> Browser {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

/// A user with a temporary password and an address, invited.
async fn invited(idp: &Idp, login_name: &str) -> User {
    let user = idp.user(login_name).temporary().create().await;
    with_claims(idp, &user, json!({ "email": format!("{login_name}@example.org") })).await;
    send(&idp.act(), &user.provider_id, &user.id).await.unwrap().unwrap();
    user
}

async fn link(server: &Server, idp: &Idp, user: &User) -> String {
    deliver(idp).await;
    server.link_to(idp, &format!("{}@example.org", user.login_name), INVITATION)
}

both_engines! {
    /// From the form to the Dashboard: nobody but the user ever knew a password, and the address is verified by it. Each
    /// step is one record.
    async fn an_invited_user_sets_the_first_password(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        let blank = his.get("/admin/users/new").await;
        let fields = |email| [("login_name", "nina"), ("name", "Nina Roy"), ("email", email), ("way_in", "invitation")];
        let without = his.submit(&blank, "#new-user-form", &fields("")).await;
        assert_eq!(without.status, 422);
        assert_eq!(without.text("#email-error"), "Please enter the e-mail address to send the invitation to.");
        assert_eq!(without.form("#new-user-form").fields["way_in"], "invitation", "what was chosen stays chosen");
        let made = his.submit(&blank, "#new-user-form", &fields("nina@example.org")).await;
        let page = his.follow(made).await;
        assert!(page.text("#notice").starts_with("The user was created. An invitation"), "{}", page.body);
        assert!(page.text("#invited").starts_with("Invited.") && page.has("#invite"));
        deliver(&idp).await;
        assert_eq!(server.subjects(), [INVITATION], "one mail, not a verification beside it");
        let body = server.mails()[0]["body"].as_str().unwrap().to_owned();
        assert!(body.contains("Login Name: nina") && body.contains("Provider Code: SUNRISE-IL"), "{body}");

        let path = server.link_to(&idp, "nina@example.org", INVITATION);
        for _ in 0..3 {
            assert_eq!(idp.browser().get(&path).await.text("h1"), "Set Your Password");
        }
        assert_eq!(set(&idp, &path).await.location(), "/login");
        assert_eq!(set(&idp, &path).await.status, 404);
        let id = idp.outsider().await.text("SELECT id FROM users WHERE login_name = 'nina'").await;
        let nina = User { id: id.clone(), login_name: "nina".into(), ..idp.user("other").create().await };
        assert_eq!(idp.browser().log_in(&nina, "Better-Horse-10").await.location(), "/");
        let page = his.get(&format!("/admin/users/{id}")).await;
        assert!(page.text("#email-state").starts_with("Verified since ") && !page.has("#invite"));
        let records = idp.activity().await;
        let hers = records.iter().filter(|record| record.user_id.as_deref() == Some(&id));
        let hers: Vec<_> = hers.map(|r| format!("{} {}", r.kind, r.note.as_deref().unwrap_or("-"))).collect();
        assert_eq!(hers, [
            "user_created Regular User; invitation sent",
            "password_updated by the link of an invitation, which proves the e-mail address",
            "sign_in -",
        ]);
        idp.assert_invariants().await;
    }

    /// Twenty at once, at two replicas: one sets the password.
    async fn an_invitation_used_twenty_times_at_once_is_used_once(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let other = idp.replica(|config| config.throttle.enabled = false).await;
        let nina = invited(&idp, "nina").await;
        let path = link(&server, &idp, &nina).await;
        let tries = (0..20).map(|n| {
            let at = if n % 2 == 0 { idp.clone() } else { other.clone() };
            let path = path.clone();
            async move { set(&at, &path).await.status.as_u16() }
        });
        let answers = join_all(tries).await;
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 303 | 404 | 503)), "{answers:?}");
        let kinds = idp.record().await;
        assert_eq!(kinds.iter().filter(|line| line.starts_with("password_updated")).count(), 1, "{kinds:?}");
    }

    /// It is sent again, which ends the one before; and ends with another address, with a deactivation, with a lock, with
    /// an admin's reset and with a password of one's own. The provider's switch for forgotten passwords is another matter.
    async fn an_invitation_ends(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        let twice = invited(&idp, "twice").await;
        let first = link(&server, &idp, &twice).await;
        let again = his.post(&format!("/admin/users/{}/invite", twice.id), &[]).await;
        assert_eq!(his.told(again).await, "An invitation to set a password is on its way by e-mail.");
        let second = link(&server, &idp, &twice).await;
        assert_eq!(idp.browser().get(&first).await.status, 404);

        let (moved, gone) = (invited(&idp, "moved").await, invited(&idp, "gone").await);
        let (locked, reset) = (invited(&idp, "locked").await, invited(&idp, "reset").await);
        let mut paths = Vec::new();
        for user in [&moved, &gone, &locked, &reset] {
            paths.push(link(&server, &idp, user).await);
        }
        let page = his.get(&format!("/admin/users/{}", moved.id)).await;
        assert!(page.has("#invited"));
        let saved = his.submit(&page, "#user-form", &[("email", "else@example.org")]).await;
        assert!(!his.follow(saved).await.has("#invited"));
        idp.set_active(&gone, false).await;
        idp.lock(&locked).await;
        idp.reset_password(&reset, "Correct-Horse-9").await;
        for path in &paths {
            assert_eq!(idp.browser().get(path).await.status, 404);
            assert_eq!(set(&idp, path).await.status, 404);
        }
        let off = connect_idp::operations::providers::Draft { reset_by_mail: Some(false), ..Default::default() };
        connect_idp::operations::providers::set(&idp.act(), &twice.provider_id, &off).await.unwrap();
        assert_eq!(set(&idp, &second).await.status, 303);
        let mut conn = idp.app.db.read().await.unwrap();
        assert_eq!(email_of_user(&mut conn, &twice.id).await.unwrap().unwrap().state.as_str(), "verified");
        assert_eq!(email_of_user(&mut conn, &moved.id).await.unwrap().unwrap().state.as_str(), "not_verified");
        drop(conn);
        let own = send(&idp.act(), &twice.provider_id, &twice.id).await.unwrap();
        assert_eq!(own, Err(NotMailed::HasPassword));
        let inactive = send(&idp.act(), &gone.provider_id, &gone.id).await.unwrap();
        assert_eq!(inactive, Err(NotMailed::NotActive));
    }

    /// By program, with the same answer to a repeat; and nobody is made who cannot be invited.
    async fn a_program_invites(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let program = idp.client("hr", "users.read:SUNRISE-IL users.write:SUNRISE-IL").await;
        let users = "/api/v1/providers/SUNRISE-IL/users";
        let body = json!({"login_name": "nina", "name": "Nina Roy", "claims": {"email": "nina@example.org"}, "invite": true});
        let key = [("idempotency-key", "1")];
        let made = program.send("POST", users, &key, Some(&body)).await;
        assert!(made.assert(201).json["temporary_password"].is_null());
        let again = program.send("POST", users, &key, Some(&body)).await;
        assert_eq!(again.assert(201).json, made.json);
        deliver(&idp).await;
        assert_eq!(server.subjects(), [INVITATION]);
        let path = format!("{users}/{}", made.json["id"].as_str().unwrap());
        let sent = program.post(&format!("{path}/send-invitation"), &json!({})).await;
        assert!(sent.assert(200).json["works_until"].is_string());
        assert_eq!(idp.browser().get(&server.link_to(&idp, "nina@example.org", INVITATION)).await.status, 404);

        let both = json!({"login_name": "ben", "name": "Ben", "claims": {"email": "ben@example.org"}, "invite": true,
            "temporary_password": "Correct-Horse-9"});
        assert_eq!(program.post(users, &both).await.assert(422).json["errors"][0]["key"], "invite");
        let nowhere = json!({"login_name": "ben", "name": "Ben", "invite": true});
        assert_eq!(program.post(users, &nowhere).await.assert(422).json["errors"][0]["key"], "claims");
        let taken = json!({"login_name": "NINA", "name": "Nina", "claims": {"email": "other@example.org"}, "invite": true});
        assert_eq!(program.post(users, &taken).await.assert(409).problem(), "conflict");
        let count = idp.number("SELECT COUNT(*) FROM users").await;
        for n in 0..10 {
            let body = json!({"login_name": format!("u{n}"), "name": "U", "claims": {"email": "shared@example.org"}, "invite": true});
            program.post(users, &body).await.assert(201);
        }
        let body = json!({"login_name": "u10", "name": "U", "claims": {"email": "shared@example.org"}, "invite": true});
        let full = program.send("POST", users, &[("idempotency-key", "2")], Some(&body)).await;
        assert_eq!(full.assert(409).problem(), "conflict");
        assert_eq!(idp.number("SELECT COUNT(*) FROM users").await, count + 10, "nobody is made who cannot be invited");
        idp.advance(std::time::Duration::from_hours(1));
        let later = idp.client("hr2", "users.read:SUNRISE-IL users.write:SUNRISE-IL").await;
        later.send("POST", users, &[("idempotency-key", "2")], Some(&body)).await.assert(201);
    }
}
