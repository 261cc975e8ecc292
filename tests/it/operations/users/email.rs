//! A user's e-mail address: verified by a mailed link, checked by an admin, and what it is good for then.

use std::time::Duration;

use connect_idp::model::user::UserType;
use connect_idp::operations::admin_context::Switched;
use connect_idp::operations::passwords::address::email_of_user;
use connect_idp::operations::users::email::{NotMailed, Vouched, send_verification, vouch};
use connect_idp::operations::users::{self, Draft};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::actors::{Answer, Browser, Engine, Idp, User};
use crate::outbound::mail::{Server, ask, deliver, set, with_claims};

const VERIFY: &str = "Verify your e-mail address";
const RESET: &str = "Set a new Therap Connect password";

/// A Provider Admin, signed in.
async fn admin(idp: &Idp) -> Browser {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

fn page_of(user: &User) -> String {
    format!("/admin/users/{}", user.id)
}

/// The user's page in the admin's browser with another address in its form, sent.
async fn change_address(browser: &mut Browser, user: &User, address: &str) -> Answer {
    let page = browser.get(&page_of(user)).await;
    let saved = browser.submit(&page, "#user-form", &[("email", address)]).await;
    browser.follow(saved).await
}

/// A user with an address that is not verified.
async fn unverified(idp: &Idp, login_name: &str) -> User {
    let user = idp.user(login_name).create().await;
    with_claims(idp, &user, json!({ "email": format!("{login_name}@example.org") })).await;
    user
}

async fn state(idp: &Idp, user: &User) -> &'static str {
    let mut conn = idp.app.db.read().await.unwrap();
    email_of_user(&mut conn, &user.id).await.unwrap().unwrap().state.as_str()
}

/// The kinds and notes of what is recorded of a user.
async fn records_of(idp: &Idp, user_id: &str) -> Vec<String> {
    let records = idp.activity().await;
    let his = records.iter().filter(|record| record.user_id.as_deref() == Some(user_id));
    his.map(|record| format!("{} {}", record.kind, record.note.as_deref().unwrap_or("-"))).collect()
}

async fn start(server: &Server, engine: Engine) -> Idp {
    let mail = server.mail();
    Idp::start_with(engine, |config| {
        config.mail = Some(mail);
        config.throttle.enabled = false;
    })
    .await
}

both_engines! {
    /// Made on a page, with an address that nobody proved: the way to a password of one's own, without a browser's script
    /// and without anybody's help. Each step is one record.
    async fn from_the_new_user_form_to_a_reset_by_mail(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        let blank = his.get("/admin/users/new").await;
        let filled = [("login_name", "nina"), ("name", "Nina Roy"), ("email", "nina@example.org")];
        let shown = his.submit(&blank, "#new-user-form", &filled).await;
        assert!(shown.has("#temporary-password"), "{}", shown.body);
        let mut outsider = idp.outsider().await;
        let id = outsider.text("SELECT id FROM users WHERE login_name = 'nina'").await;
        let nina = User { id: id.clone(), login_name: "nina".into(), ..idp.user("other").create().await };
        // Until she proves it, nothing goes there but the link to prove it.
        ask(&idp, &nina).await;
        deliver(&idp).await;
        assert_eq!(server.subjects(), ["Verify your e-mail address for Therap Connect"]);
        let page = his.get(&page_of(&nina)).await;
        assert!(page.text("#email-state").starts_with("Not verified since "), "{}", page.text("#email-state"));
        assert!(page.has("#verification-sent") && page.has("#send-verification") && page.has("#check-email"));

        let path = server.link_to(&idp, "nina@example.org", VERIFY);
        let mut hers = idp.browser();
        // Scanners open what she is mailed, more than once.
        for _ in 0..3 {
            let opened = idp.browser().get(&path).await;
            assert_eq!((opened.status.as_u16(), opened.text("#email")), (200, "nina@example.org".into()));
        }
        assert_eq!(state(&idp, &nina).await, "not_verified");
        let opened = hers.get(&path).await;
        let done = hers.submit(&opened, "#verify-email-form", &[]).await;
        assert_eq!(hers.follow(done).await.text("#login-notice"), "Your e-mail address is verified.");
        let again = hers.post(&path, &[]).await;
        assert_eq!(again.status, 404);
        assert!(again.has("#link-over"));
        let page = his.get(&page_of(&nina)).await;
        assert!(page.text("#email-state").starts_with("Verified since "), "{}", page.text("#email-state"));
        assert!(!page.has("#send-verification") && !page.has("#check-email"));

        ask(&idp, &nina).await;
        deliver(&idp).await;
        let reset = server.link_to(&idp, "nina@example.org", RESET);
        assert_eq!(set(&idp, &reset).await.location(), "/login");
        assert_eq!(hers.log_in(&nina, "Better-Horse-10").await.location(), "/");
        assert!(hers.get("/").await.text("#own-email").starts_with("nina@example.org Verified since "));
        let wanted = [
            "user_created Regular User; verification e-mail sent",
            "email_verified by a mailed link",
            "password_updated by a one-time link",
            "sign_in -",
        ];
        assert_eq!(records_of(&idp, &id).await, wanted);
        idp.assert_invariants().await;
    }

    /// Twenty at once, at two replicas: one verifies, and it is recorded once.
    async fn a_link_used_twenty_times_at_once_is_used_once(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let other = idp.replica(|config| config.throttle.enabled = false).await;
        let amina = unverified(&idp, "amina").await;
        send_verification(&idp.act(), &amina.provider_id, &amina.id).await.unwrap().unwrap();
        deliver(&idp).await;
        let path = server.link_to(&idp, "amina@example.org", VERIFY);
        let tries = (0..20).map(|n| {
            let mut browser = if n % 2 == 0 { idp.browser() } else { idp.browser().at(&other) };
            let path = path.clone();
            async move { browser.post(&path, &[]).await.status.as_u16() }
        });
        let mut answers = join_all(tries).await;
        answers.sort_unstable();
        assert_eq!((answers[0], answers[1..].to_vec()), (303, vec![404; 19]));
        assert_eq!(state(&idp, &amina).await, "verified");
        let records = records_of(&idp, &amina.id).await;
        assert_eq!(records, ["email_verification_sent -", "email_verified by a mailed link"]);
        assert_eq!(idp.number("SELECT COUNT(*) FROM email_links").await, 0);
    }

    /// A link is of one address: after a change it is void, and the owner of a verified one is told. What is the same
    /// address stays verified.
    async fn the_link_of_an_old_address_is_void(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let page = change_address(&mut his, &amina, "old@example.org").await;
        assert!(page.has("#verification-sent"));
        deliver(&idp).await;
        let old = server.link_to(&idp, "old@example.org", VERIFY);
        change_address(&mut his, &amina, "new@example.org").await;
        deliver(&idp).await;
        let new = server.link_to(&idp, "new@example.org", VERIFY);
        assert_eq!(idp.browser().get(&old).await.status, 404);
        assert_eq!(idp.browser().post(&old, &[]).await.status, 404);
        assert_eq!(state(&idp, &amina).await, "not_verified");
        assert_eq!(idp.browser().post(&new, &[]).await.status, 303);
        assert_eq!(state(&idp, &amina).await, "verified");
        // A name alone, and another spelling of the domain.
        let page = his.get(&page_of(&amina)).await;
        his.submit(&page, "#user-form", &[("name", "Amina D.")]).await;
        change_address(&mut his, &amina, "new@EXAMPLE.org").await;
        assert_eq!(state(&idp, &amina).await, "verified");
        let sent = server.mails().len();
        change_address(&mut his, &amina, "New@example.org").await;
        assert_eq!(state(&idp, &amina).await, "not_verified");
        deliver(&idp).await;
        let mails = server.mails();
        let told: Vec<_> = mails[sent..].iter().map(|mail| mail["headers"]["subject"].as_str().unwrap()).collect();
        assert!(told.contains(&"Your e-mail address at Therap Connect was changed"), "{told:?}");
        change_address(&mut his, &amina, "").await;
        assert_eq!(state(&idp, &amina).await, "none");
        let notes = records_of(&idp, &amina.id).await;
        assert_eq!(notes, [
            "user_changed claims; verification e-mail sent",
            "user_changed claims; verification e-mail sent",
            "email_verified by a mailed link",
            "user_changed name",
            "user_changed claims",
            "user_changed claims; verification e-mail sent",
            "user_changed claims",
        ]);
    }

    /// A link ends with its time, and with the user's deactivation.
    async fn a_link_ends(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let (amina, ben) = (unverified(&idp, "amina").await, unverified(&idp, "ben").await);
        for user in [&amina, &ben] {
            send_verification(&idp.act(), &user.provider_id, &user.id).await.unwrap().unwrap();
        }
        deliver(&idp).await;
        let hers = server.link_to(&idp, "amina@example.org", VERIFY);
        let his = server.link_to(&idp, "ben@example.org", VERIFY);
        idp.set_active(&ben, false).await;
        assert_eq!(idp.browser().post(&his, &[]).await.status, 404);
        assert_eq!(send_verification(&idp.act(), &ben.provider_id, &ben.id).await.unwrap(), Err(NotMailed::NotActive));
        idp.advance(Duration::from_hours(7 * 24 - 1));
        assert_eq!(idp.browser().get(&hers).await.status, 200);
        idp.advance(Duration::from_hours(1));
        assert_eq!(idp.browser().get(&hers).await.status, 404);
        assert_eq!(idp.browser().post(&hers, &[]).await.status, 404);
        for wrong in ["/email/verify/x", "/email/verify/%00", &format!("/email/verify/{}", "x".repeat(43))] {
            assert_eq!(idp.browser().get(wrong).await.status, 404, "{wrong}");
        }
        assert_eq!(state(&idp, &amina).await, "not_verified");
    }

    /// As many links as are good, to one user and to one mailbox, and again an hour later. What is not sent is not
    /// recorded.
    async fn links_are_throttled(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        let amina = unverified(&idp, "amina").await;
        for n in 0..4 {
            let sent = his.post(&format!("{}/send-verification", page_of(&amina)), &[]).await;
            let told = his.told(sent).await;
            assert_eq!(told.starts_with("A verification e-mail is on its way."), n < 3, "{n}: {told}");
        }
        assert_eq!(records_of(&idp, &amina.id).await, ["email_verification_sent -"; 3]);
        // Another spelling, another user: the same mailbox.
        for n in 0..8 {
            let user = idp.user(&format!("user{n}")).create().await;
            with_claims(&idp, &user, json!({ "email": "AMINA@Example.org" })).await;
            let sent = send_verification(&idp.act(), &user.provider_id, &user.id).await.unwrap();
            assert_eq!(sent.err(), (n >= 7).then_some(NotMailed::TooMany), "{n}");
        }
        idp.advance(Duration::from_hours(1));
        assert!(send_verification(&idp.act(), &amina.provider_id, &amina.id).await.unwrap().is_ok());
    }

    /// A user has one sent from the Dashboard; one who is verified is not offered it.
    async fn a_user_has_the_link_sent(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let amina = unverified(&idp, "amina").await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        let home = hers.get("/").await;
        assert_eq!(home.text("#own-email"), "amina@example.org Not verified");
        let sent = hers.post("/email/send-verification", &[]).await;
        assert_eq!(hers.told(sent).await, "A verification e-mail is on its way. Its link works once, within 7 days.");
        deliver(&idp).await;
        assert_eq!(hers.post(&server.link_to(&idp, "amina@example.org", VERIFY), &[]).await.status, 303);
        assert!(!hers.get("/").await.has("#send-verification"));
        let sent = hers.post("/email/send-verification", &[]).await;
        assert!(hers.told(sent).await.starts_with("No e-mail was sent"));
        let record = idp.activity().await.into_iter().find(|record| record.kind.as_str() == "email_verification_sent").unwrap();
        assert_eq!(record.actor, "user");
    }

    /// G38: what an admin of an agency checked is mailed to, and apps are not told that it is verified. It is of the
    /// address that was seen, never of one's own account.
    async fn what_an_admin_checked_is_mailed_to_and_no_more(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        let amina = unverified(&idp, "amina").await;
        let page = his.get(&page_of(&amina)).await;
        let checked = his.submit(&page, "#email-card form[action$=check-email]", &[]).await;
        assert!(his.told(checked).await.starts_with("The e-mail address is marked as checked."));
        let shown = his.get(&page_of(&amina)).await;
        assert!(shown.text("#email-state").starts_with("Checked by an admin since "));
        assert!(shown.has("#send-verification") && !shown.has("#check-email"));
        let claims = idp.outsider().await.text("SELECT claims FROM users WHERE login_name = 'amina'").await;
        assert_eq!(serde_json::from_str::<Value>(&claims).unwrap(), json!({ "email": "amina@example.org" }));
        ask(&idp, &amina).await;
        deliver(&idp).await;
        assert_eq!(server.subjects(), [RESET]);
        // A page from before; another address; the own account.
        let again = his.submit(&page, "#email-card form[action$=check-email]", &[]).await;
        assert_eq!(again.status, 303);
        change_address(&mut his, &amina, "b@example.org").await;
        assert_eq!(state(&idp, &amina).await, "not_verified");
        let stale = his.submit(&page, "#email-card form[action$=check-email]", &[]).await;
        assert!(his.told(stale).await.starts_with("It has been changed since"));
        assert_eq!(state(&idp, &amina).await, "not_verified");
        let mut outsider = idp.outsider().await;
        outsider.run(r#"UPDATE users SET claims = '{"email":"paul@example.org"}' WHERE login_name = 'paul'"#).await;
        let id = outsider.text("SELECT id FROM users WHERE login_name = 'paul'").await;
        let own = his.post(&format!("/admin/users/{id}/check-email"), &[("email", "paul@example.org")]).await;
        assert!(his.told(own).await.starts_with("You cannot do this to your own account."));
        assert!(!his.get(&format!("/admin/users/{id}")).await.has("#check-email"));
        let kinds: Vec<_> = records_of(&idp, &amina.id).await;
        assert_eq!(kinds, ["email_checked -", "user_changed claims; verification e-mail sent"]);
    }

    /// Where e-mail is not configured nothing offers it, and nothing is done or recorded. What is known is shown.
    async fn without_mail_nothing_offers_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut his = admin(&idp).await;
        let amina = unverified(&idp, "amina").await;
        let page = his.get(&page_of(&amina)).await;
        assert!(page.text("#email-state").starts_with("Not verified"));
        for button in ["#send-verification", "#check-email", "#invite"] {
            assert!(!page.has(button), "{button}");
        }
        assert!(!his.get("/admin/users/new").await.has("#way-in"));
        for path in ["send-verification", "invite"] {
            assert_eq!(his.post(&format!("{}/{path}", page_of(&amina)), &[]).await.status, 303);
        }
        change_address(&mut his, &amina, "b@example.org").await;
        assert_eq!(records_of(&idp, &amina.id).await, ["user_changed claims"]);
        assert_eq!(idp.number("SELECT COUNT(*) FROM mails").await + idp.number("SELECT COUNT(*) FROM email_links").await, 0);
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        assert!(!hers.get("/").await.has("#send-verification"));
    }

    /// By program: the operator's makes it verified, the agency's own makes it checked; of the address that was read.
    async fn programs_vouch_as_far_as_they_may(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let agencys = idp.client("hr", "users.read:SUNRISE-IL users.write:SUNRISE-IL").await;
        let operators = idp.client("sync", "users.read users.write").await;
        let users = "/api/v1/providers/SUNRISE-IL/users";
        let new = json!({"login_name": "amina", "name": "Amina Diallo", "claims": {"email": "a@example.org"}});
        let made = agencys.post(users, &new).await;
        let made = made.assert(201);
        assert_eq!((made.json["email_state"].as_str(), made.etag()), (Some("not_verified"), "\"1\""));
        assert!(made.json["email_state_since"].is_string());
        let path = format!("{users}/{}", made.json["id"].as_str().unwrap());
        deliver(&idp).await;
        assert_eq!(server.mails().len(), 1, "a program's user is mailed a link, too");
        let sent = agencys.post(&format!("{path}/send-verification-email"), &json!({})).await;
        assert!(sent.assert(200).json["works_until"].is_string());

        let body = json!({ "email": "a@example.org" });
        let other = agencys.post(&format!("{path}/verify-email"), &json!({ "email": "b@example.org" })).await;
        assert_eq!(other.assert(409).problem(), "conflict");
        let checked = agencys.post(&format!("{path}/verify-email"), &body).await;
        assert_eq!(checked.assert(200).json["email_state"], "checked");
        assert_eq!(checked.json["claims"].get("email_verified"), None);
        let verified = operators.post(&format!("{path}/verify-email"), &body).await;
        assert_eq!(verified.assert(200).json["email_state"], "verified");
        assert_eq!(verified.json["claims"]["email_verified"], true);
        let again = agencys.post(&format!("{path}/send-verification-email"), &json!({})).await;
        assert_eq!(again.assert(409).problem(), "conflict");

        // What says nothing of it, and another spelling, leave it verified; what takes it away does that.
        for (claims, state) in [
            (json!({ "locale": "fr" }), "verified"),
            (json!({ "email": "a@EXAMPLE.org" }), "verified"),
            (json!({ "email_verified": null }), "not_verified"),
        ] {
            let changed = agencys.patch(&path, "*", &json!({ "claims": claims })).await;
            assert_eq!(changed.assert(200).json["email_state"], state, "{claims}");
        }
        let claims = connect_idp::model::claims::Claims::from_json(r#"{"email":"a@example.org","email_verified":true}"#);
        let id = made.json["id"].as_str().unwrap();
        let provider = idp.user("other").create().await.provider_id;
        for (claims, state) in [(claims.clone().unwrap(), "verified"), (users::check_email("a@example.org").unwrap(), "verified")] {
            let draft = Draft { claims: Some(claims), ..Draft::default() };
            users::set(&idp.act(), &provider, id, &draft).await.unwrap();
            assert_eq!(agencys.get(&path).await.json["email_state"], state);
        }
        let gone = vouch(&idp.act(), "nowhere", id, "a@example.org", Vouched::Verified).await.unwrap();
        assert_eq!(gone, Switched::NotFound);
        idp.assert_invariants().await;
    }

    /// An admin's edit and the owner's proof at once: neither takes the other back.
    async fn an_edit_does_not_take_a_proof_back(engine: Engine) {
        let Some(server) = Server::start(&[]) else { return };
        let idp = start(&server, engine).await;
        let mut his = admin(&idp).await;
        for n in 0..5 {
            let user = unverified(&idp, &format!("user{n}")).await;
            let address = format!("user{n}@example.org");
            send_verification(&idp.act(), &user.provider_id, &user.id).await.unwrap().unwrap();
            deliver(&idp).await;
            let path = server.link_to(&idp, &address, VERIFY);
            let page = his.get(&page_of(&user)).await;
            let (mut hers, mut admin) = (idp.browser(), his.clone());
            let other_domain = address.replace("example", "Example");
            let fields = [("email", other_domain.as_str())];
            let (verified, saved) = tokio::join!(hers.post(&path, &[]), admin.submit(&page, "#user-form", &fields));
            assert_eq!(verified.status, 303);
            assert!(matches!(saved.status.as_u16(), 303 | 409), "{}", saved.status);
            assert_eq!(state(&idp, &user).await, "verified");
        }
    }
}
