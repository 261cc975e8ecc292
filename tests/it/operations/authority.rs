//! Authority is proven where it is used (G28), and what a page saw is compared where it is replaced.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method};
use connect_idp::model::client::{AuthMethod, ClientProof, ProvenBy};
use connect_idp::model::user::UserType;
use connect_idp::operations::admin_context::{AdminContext, Authority, Switched};
use connect_idp::operations::{self, providers, users};
use connect_idp::store::tokens::access::NewAccessToken;
use connect_idp::store::{self, Error};
use connect_idp::web::notice::Notice;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::json;

use crate::actors::{Answer, Engine, Idp, PASSWORD, RelyingParty, User};
use crate::operations::clients::lifecycle::draft;

/// An admin with a session, and the authority that it gives.
async fn admin(idp: &Idp, name: &str, code: &str, user_type: UserType) -> (User, Authority) {
    let user = idp.user(name).of(code).user_type(user_type).create().await;
    idp.browser().sign_in(&user).await;
    let sid = idp.outsider().await.text(&format!("SELECT sid FROM sessions WHERE user_id = '{}'", user.id)).await;
    let user_id = user.id.clone();
    (user, Authority::Session { sid, user_id, user_type })
}

/// Locks a user by an authority; whether it was done.
async fn locks(idp: &Idp, authority: &Authority, user: &User) -> bool {
    let act = AdminContext { authority: authority.clone(), ..idp.act() };
    let done = users::lock(&act, &user.provider_id, &user.id).await;
    let is_locked = idp.account(user).await.admin_locked;
    match done {
        Ok(_) => assert!(is_locked),
        Err(Error::NoAuthority) => assert!(!is_locked),
        Err(error) => panic!("{error}"),
    }
    if is_locked {
        idp.unlock(user).await;
    }
    is_locked
}

both_engines! {
    /// Whatever takes an admin's authority away after it was checked has the last word in the transaction of the act.
    async fn an_act_whose_authority_was_taken_away_changes_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let nobody = idp.user("nobody").create().await;
        for (number, taken) in ["", "deactivated", "locked", "reset", "logged out", "demoted", "provider off"].into_iter().enumerate() {
            idp.set_provider_active(&amina.provider_id, true).await;
            let (paul, authority) = admin(&idp, &format!("paul{number}"), "SUNRISE-IL", UserType::ProviderAdmin).await;
            assert!(locks(&idp, &authority, &amina).await);
            let run = async |sql: String| idp.outsider().await.run(&sql).await;
            match taken {
                "deactivated" => idp.set_active(&paul, false).await,
                "locked" => idp.lock(&paul).await,
                "reset" => idp.reset_password(&paul, "Another-Horse-10").await,
                "logged out" => drop(users::end_sessions(&idp.act(), &paul.provider_id, &paul.id).await.unwrap()),
                "demoted" => run(format!("UPDATE users SET user_type = 'Regular User' WHERE id = '{}'", paul.id)).await,
                "provider off" => idp.set_provider_active(&paul.provider_id, false).await,
                _ => {}
            }
            assert_eq!(locks(&idp, &authority, &amina).await, taken.is_empty(), "{taken}");
        }
        idp.user("rosa").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let (root, authority) = admin(&idp, "root", "THERAP", UserType::TherapAdmin).await;
        assert!(locks(&idp, &authority, &nobody).await);
        idp.set_active(&root, false).await;
        assert!(!locks(&idp, &authority, &nobody).await);
    }

    /// The same of a program, whose client or token was taken away, or changed.
    async fn an_act_of_a_program_ends_with_its_token(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for taken in ["", "token", "client", "scope"] {
            let client_id = format!("hr-{taken}");
            idp.client(&client_id, "users.write users.read").await;
            let metadata = idp.outsider().await.text(&format!("SELECT metadata FROM clients WHERE client_id = '{client_id}'")).await;
            let sql = format!("SELECT hash FROM access_tokens WHERE client = (SELECT id FROM clients WHERE client_id = '{client_id}')");
            let hash = idp.outsider().await.text(&sql).await;
            let authority = Authority::Token { hash, metadata };
            assert!(locks(&idp, &authority, &amina).await, "{taken}");
            let run = async |sql: &str| idp.outsider().await.run(&sql.replace("ID", &client_id)).await;
            match taken {
                "token" => run("UPDATE access_tokens SET revoked_at = 1 WHERE client = (SELECT id FROM clients WHERE client_id = 'ID')").await,
                "client" => drop(operations::clients::set_enabled(&idp.act(), &client_id, false).await.unwrap()),
                "scope" => run("UPDATE clients SET metadata = REPLACE(metadata, 'users.write', 'users.none') WHERE client_id = 'ID'").await,
                _ => {}
            }
            assert_eq!(locks(&idp, &authority, &amina).await, taken.is_empty(), "{taken}");
        }
    }

    /// The same of a client that buys a token by what it proved itself with a moment before.
    async fn a_token_is_not_bought_by_what_was_taken_away(engine: Engine) {
        let idp = Idp::start(engine).await;
        let keys = |kid: &str| Some(serde_json::from_str(&crate::operations::clients::keys::jwks(kid)).unwrap());
        for (number, (taken, by_keys, good)) in [
            ("", false, true), ("", true, true), ("secret", false, false), ("secret with overlap", false, true), ("method", false, false),
            ("client", false, false), ("client", true, false), ("keys", true, false),
        ].into_iter().enumerate() {
            let name = format!("portal-{number}");
            let app = idp.app(&name, |m| if by_keys {
                (m.token_endpoint_auth_method, m.jwks) = (Some(AuthMethod::PrivateKeyJwt), keys("first"));
            }).await;
            let (client, secrets) = store::clients::with_secrets(&mut idp.app.db.read().await.unwrap(), &name, idp.now()).await.unwrap().unwrap();
            let by = if by_keys { ProvenBy::Registration(client.revision) } else { ProvenBy::Secret(secrets[0].id.clone()) };
            let arrived = idp.now();
            idp.advance(Duration::from_secs(1));
            let (act, set) = (idp.act(), async |change: &serde_json::Value| drop(operations::clients::set(&idp.act(), &name, &draft(change)).await.unwrap()));
            let rotate = async |overlap| {
                let done = operations::clients::rotate_secret(&act, &name, "another-secret", overlap, None).await.unwrap();
                assert!(matches!(done, operations::clients::Rotated::Done { .. }), "{done:?}");
            };
            match taken {
                "secret" => rotate(Duration::ZERO).await,
                "secret with overlap" => rotate(Duration::from_hours(1)).await,
                "method" => set(&json!({"token_endpoint_auth_method": "none"})).await,
                "client" => drop(operations::clients::set_enabled(&act, &name, false).await.unwrap()),
                "keys" => set(&json!({"jwks": keys("second")})).await,
                _ => {}
            }
            let token = NewAccessToken {
                hash: name.clone(),
                family_id: None,
                proof: ClientProof { client: app.client.id.clone(), epoch: client.epoch, known: None, by },
                scope: String::new(),
                audience: String::new(),
                expires_at: arrived.after(Duration::from_hours(1)),
            };
            let bought = in_tx!(idp, [token], |tx| Ok(store::tokens::access::insert(tx, &token, arrived).await.is_ok()));
            assert_eq!(bought, good, "{taken}");
        }
    }

    /// With its secret, or a key that is not registered any more, what a client bought by it ends (G36).
    async fn what_was_bought_ends_with_the_key_it_was_bought_by(engine: Engine) {
        let idp = Idp::start(engine).await;
        let gateway = idp.app("gateway", |m| m.introspect_all = true).await;
        for (name, change, ends) in [
            ("renamed", json!({"client_name": "Other"}), false),
            ("public", json!({"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
                              "response_types": ["code"], "redirect_uris": ["https://a.example/cb"], "scope": "openid"}), true),
        ] {
            let program = idp.client(name, "users.read").await;
            assert!(gateway.is_active(&program.token).await);
            let changed = operations::clients::set(&idp.act(), name, &draft(&change)).await.unwrap();
            assert!(matches!(changed, operations::clients::Changed::Keys(_)), "{changed:?}");
            assert_eq!(gateway.is_active(&program.token).await, !ends, "{name}");
        }
    }

    /// G28: a person's own act, too, ends with the session that it rests on, at the moment it is written.
    async fn a_person_whose_session_just_ended_ends_no_other(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let app = idp.app("portal", |m| m.first_party = false).await;
        for (number, path) in ["/sessions/end", "/sessions/end-others", "/sessions/withdraw", "/consent"].into_iter().enumerate() {
            let amina = idp.user(&format!("amina{number}")).create().await;
            let (mut here, mut there) = (idp.browser(), idp.browser());
            here.sign_in(&amina).await;
            there.sign_in(&amina).await;
            let mut outsider = idp.outsider().await;
            let mut ids = Vec::new();
            for order in ["ASC", "DESC"] {
                let sql = format!("SELECT id FROM sessions WHERE user_id = '{}' ORDER BY id {order} LIMIT 1", amina.id);
                ids.push(outsider.text(&sql).await);
            }
            let question = app.send(&mut here, &[]).await;
            let allowed = async || idp.number(&format!("SELECT COUNT(*) FROM consents WHERE user_id = '{}'", amina.id)).await;
            if path == "/sessions/withdraw" {
                here.submit_by(&question, "#consent-form", "decision", "allow").await;
                assert_eq!(allowed().await, 1);
            }
            let before = allowed().await;
            outsider.run(if engine == Engine::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" }).await;
            outsider.run(&format!("UPDATE sessions SET ended_at = 1, end_reason = 'logout' WHERE id = '{}'", ids[0])).await;
            let (mut tab, fields, client) = (here.clone(), ids[1].clone(), app.client.id.clone());
            let asked = tokio::spawn(async move {
                match path {
                    "/consent" => tab.submit_by(&question, "#consent-form", "decision", "allow").await,
                    _ => tab.post(path, &[("session", &fields), ("client", &client)]).await,
                }
            });
            tokio::time::sleep(Duration::from_millis(400)).await;
            outsider.run("COMMIT").await;
            let answer = asked.await.unwrap();
            assert_eq!(answer.status, 403, "{path}: {}", answer.body);
            there.assert_signed_in_as(&amina).await;
            assert_eq!(allowed().await, before, "{path}");
        }
    }

    /// Actions that stand in each other's way, sixteen at once: each is done or has lost its right, and nobody is told
    /// to come back later.
    async fn sixteen_acts_at_once_are_all_done_or_rightly_refused(engine: Engine) {
        let idp = Idp::start_live(engine, |c| c.database.connections = 20).await;
        let begun = tokio::time::Instant::now();
        let (mut admins, mut roots) = (Vec::new(), Vec::new());
        for number in 0..16 {
            admins.push(admin(&idp, &format!("paul{number}"), "SUNRISE-IL", UserType::ProviderAdmin).await);
            roots.push(admin(&idp, &format!("root{number}"), "THERAP", UserType::TherapAdmin).await);
        }
        // What the act rests on is what it changes: an admin's own provider, the operators' own, a program's own
        // client.
        let of = |authority: &Authority| AdminContext { authority: authority.clone(), ..idp.act() };
        for (kind, who) in [("provider", &admins), ("operator", &roots)] {
            let done = join_all(who.iter().enumerate().map(|(number, (user, authority))| {
                let (act, id) = (of(authority), user.provider_id.clone());
                let draft = providers::Draft { contact: Some(format!("{kind} {number}")), ..providers::Draft::default() };
                tokio::spawn(async move { providers::set(&act, &id, &draft).await })
            }));
            for done in done.await {
                assert!(done.unwrap().is_ok(), "{kind}");
            }
        }
        let program = idp.client("self", "clients.write").await;
        let mut outsider = idp.outsider().await;
        let metadata = outsider.text("SELECT metadata FROM clients WHERE client_id = 'self'").await;
        let hash = outsider.text("SELECT hash FROM access_tokens").await;
        let done = join_all((0..16).map(|number| {
            let act = of(&Authority::Token { hash: hash.clone(), metadata: metadata.clone() });
            let secret = format!("secret-number-{number}");
            tokio::spawn(async move { operations::clients::rotate_secret(&act, "self", &secret, Duration::from_hours(1), None).await })
        }));
        for done in done.await {
            assert!(done.unwrap().is_ok());
        }
        drop(program);
        // Each admin locks the next, and each Therap Admin takes the next one's account away, in a ring.
        for who in [&admins, &roots] {
            let done = join_all(who.iter().enumerate().map(|(number, (_, authority))| {
                let (act, next) = (of(authority), who[(number + 1) % who.len()].0.clone());
                tokio::spawn(async move { users::set_active(&act, &next.provider_id, &next.id, false).await })
            }));
            let mut refused = 0;
            for done in done.await {
                match done.unwrap() {
                    Ok(Switched::Done) => {}
                    Ok(Switched::LastAdmin) | Err(Error::NoAuthority) => refused += 1,
                    other => panic!("{other:?}"),
                }
            }
            assert!(refused > 0, "somebody was first");
        }
        assert!(idp.number("SELECT COUNT(*) FROM users WHERE active AND user_type = 'Therap Admin'").await > 0);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        idp.assert_invariants().await;
    }

    /// Headers and ten bytes are sent; the admin is deactivated; the rest follows: too late, and nothing is made.
    async fn a_slow_sender_does_not_choose_the_moment(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&paul).await;
        let page = browser.get("/admin/users/new").await;
        assert_eq!(page.status, 200);
        let form = "login_name=eve&name=Eve+Evil&user_type=Regular+User&email=";
        let (release, rest) = tokio::sync::oneshot::channel::<()>();
        let parts = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from(&form.as_bytes()[..10])) });
        let parts = parts.chain(futures_util::stream::once(async move {
            rest.await.unwrap();
            Ok(Bytes::from(&form.as_bytes()[10..]))
        }));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        headers.insert("cookie", cookies.join("; ").parse().unwrap());
        headers.insert("origin", idp.app.config.issuer.parse().unwrap());
        let mut slow = browser.clone();
        let body = Body::from_stream(parts);
        let sent = tokio::spawn(async move { slow.send(Method::POST, "/admin/users/new", headers, body).await });
        tokio::task::yield_now().await;
        idp.set_active(&paul, false).await;
        release.send(()).unwrap();
        let answer = sent.await.unwrap();
        assert!(answer.location().starts_with("/login"), "{}", answer.location());
        assert_eq!(idp.number("SELECT COUNT(*) FROM users WHERE login_name = 'eve'").await, 0);
    }

    /// Two clicks on one button: one password is made, and it is the one that was shown.
    async fn of_two_resets_of_one_page_one_counts(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let amina = idp.user("amina").create().await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        for (who, whose, path) in [
            (&paul, &amina, format!("/admin/users/{}/reset-password", amina.id)),
            (&root, &paul, format!("/operator/providers/{}/reset-password?user={}", paul.provider_id, paul.id)),
        ] {
            let mut browser = idp.browser();
            browser.sign_in(who).await;
            let page = browser.get(&path).await;
            let answers = join_all((0..4).map(|_| {
                let (mut tab, page) = (browser.clone(), page.clone());
                async move { tab.confirm_on(&page, &[]).await }
            }))
            .await;
            let shown: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
            assert_eq!(shown.len(), 1);
            // Who came later is told so, on the confirmation or on the page it came from; a password that was typed in the
            // other tab gave the browser another secret (U3).
            let told = |answer: &&Answer| {
                let is_out = answer.header("location").is_some_and(|to| to.starts_with("/login"));
                is_out || answer.has("#stale") || answer.notice() == Some(Notice::PasswordNotReset)
            };
            assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| told(&answer)));
            let password = shown[0].text("#temporary-password");
            assert!(idp.browser().log_in(whose, &password).await.location().starts_with("/password/update"));
        }
    }

    /// The same of a client's secret.
    async fn of_two_new_secrets_of_one_page_one_counts(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let portal = idp.app("portal", |_| {}).await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        let page = browser.get(&format!("/operator/clients/{}/rotate-secret", portal.client.id)).await;
        let answers = join_all((0..4).map(|_| {
            let (mut tab, page) = (browser.clone(), page.clone());
            async move { tab.confirm_on(&page, &[("keep_old", "0")]).await }
        }))
        .await;
        let shown: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(shown.len(), 1);
        let new = RelyingParty { secret: shown[0].text("#client-secret"), ..portal.clone() };
        assert_eq!(new.post("/oauth2/introspect", &[("token", "x")]).await.status, 200);
        assert_eq!(portal.post("/oauth2/introspect", &[("token", "x")]).await.status, 401);
    }

    /// G34: whom the operator makes an admin, and whose password is given out, asks for the password again.
    async fn what_hands_out_a_password_asks_for_the_operators_own(engine: Engine) {
        let idp = Idp::start(engine).await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        idp.advance(Duration::from_mins(5));
        let path = format!("/operator/providers/{}", paul.provider_id);
        let page = browser.get(&path).await;
        let reset = browser.get(&page.attribute("#admins-table a.button", "href").unwrap()).await;
        let unproven = browser.submit(&reset, "#confirm-form", &[]).await;
        assert_eq!((unproven.status.as_u16(), unproven.has("#confirm-password-error")), (422, true));
        let new = [("login_name", "nora"), ("admin_name", "Nora")];
        let asked = browser.submit(&page, "#new-admin-form", &new).await;
        assert_eq!((asked.status.as_u16(), asked.has("#password-error")), (422, true));
        assert_eq!(asked.attribute("#login-name", "value").as_deref(), Some("nora"));
        let made = browser.submit(&asked, "#new-admin-form", &[("password", PASSWORD)]).await;
        assert!(made.has("#temporary-password"));
    }

    /// G36: without an overlap, what was bought with the old secret ends with it; and no token buys a secret.
    async fn a_secret_replaced_at_once_ends_what_it_bought(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("hr", "clients.write clients.read").await;
        assert_eq!(program.get("/api/v1/clients").await.status, 200);
        let own = program.post("/api/v1/clients/hr/rotate-secret", &json!({})).await;
        assert_eq!((own.status, own.problem()), (409, "conflict"));
        operations::clients::rotate_secret(&idp.act(), "hr", &"s".repeat(40), Duration::from_hours(1), None).await.unwrap();
        assert_eq!(program.get("/api/v1/clients").await.status, 200);
        operations::clients::rotate_secret(&idp.act(), "hr", &"t".repeat(40), Duration::ZERO, None).await.unwrap();
        assert_eq!(program.get("/api/v1/clients").await.status, 401);
    }

    /// The last Therap Admin who can sign in stays one, also where two end each other at once.
    async fn the_last_therap_admin_stays(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let (root, _) = admin(&idp, "root", "THERAP", UserType::TherapAdmin).await;
        let (rosa, _) = admin(&idp, "rosa", "THERAP", UserType::TherapAdmin).await;
        let end = async |user: &User| users::set_active(&idp.act(), &user.provider_id, &user.id, false).await.unwrap();
        let (one, two) = tokio::join!(end(&root), end(&rosa));
        let mut outcomes = [one, two];
        outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
        assert_eq!(outcomes, [Switched::Done, Switched::LastAdmin]);
    }

    /// G36: for the hour of an incident, everything that was given is over, and is begun again.
    async fn everything_can_be_ended_at_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, other) = (idp.user("amina").create().await, idp.provider("CEDAR-OR", |_| {}).await);
        let omar = idp.user("omar").of(&other.code).create().await;
        let app = idp.app("portal", |_| {}).await;
        let program = idp.client("hr", "users.read").await;
        let (mut hers, mut his) = (idp.browser(), idp.browser());
        let token = app.tokens(&mut hers, &amina, &[]).await["access_token"].as_str().unwrap().to_owned();
        his.sign_in(&omar).await;
        let ended = operations::sessions::end::end_all(&idp.act(), Some("CEDAR-OR")).await.unwrap();
        assert_eq!(ended, 1);
        his.assert_signed_out().await;
        hers.assert_signed_in_as(&amina).await;
        assert_eq!(program.get("/api/v1/providers/CEDAR-OR/users").await.status, 200);
        assert_eq!(operations::sessions::end::end_all(&idp.act(), Some("NOBODY")).await.unwrap(), 0);
        operations::sessions::end::end_all(&idp.act(), None).await.unwrap();
        hers.assert_signed_out().await;
        assert_eq!(app.userinfo(&token).await.status, 401);
        assert_eq!(program.get("/api/v1/providers/CEDAR-OR/users").await.status, 401);
        hers.sign_in(&amina).await;
    }

    /// U3: a request that waits for one person is not finished as another, whom a handoff brought into the browser.
    async fn a_request_belongs_to_the_person_it_was_begun_for(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let app = idp.app("portal", |m| m.first_party = true).await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let asked = browser.get(&app.path(&[("prompt", "login")])).await;
        let resume = {
            let login = url::Url::parse(&format!("https://x{}", asked.location())).unwrap();
            login.query_pairs().find(|(name, _)| name == "return_to").unwrap().1.into_owned()
        };
        browser.hand_off(&idp.therap_services().sign(&bruno)).await;
        let again = browser.get(&resume).await;
        assert!(again.location().starts_with("/login?"), "finished as another: {}", again.location());
        // A handoff of that person made after it is one for it, as any sign-in is.
        idp.advance(Duration::from_secs(1));
        browser.hand_off(&idp.therap_services().sign(&bruno)).await;
        assert!(browser.get(&resume).await.location().contains("code="));
    }

    /// A consent withdrawn while its code is being made comes before it or after it, never beside it.
    async fn a_withdrawn_consent_gives_no_code(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let app = idp.app("portal", |m| m.first_party = false).await;
        for round in 0..10 {
            let user = idp.user(&format!("u{round}")).create().await;
            let mut browser = idp.browser();
            browser.sign_in(&user).await;
            let page = app.send(&mut browser, &[]).await;
            let allowed = browser.submit_by(&page, "#consent-form", "decision", "allow").await;
            assert!(browser.follow_within(allowed).await.location().contains("code="));
            let (mut asks, mut withdraws) = (browser.clone(), browser.clone());
            let path = app.path(&[]);
            let asking = asks.get(&path);
            let client = [("client", app.client.id.as_str())];
            let (answer, _) = tokio::join!(asking, withdraws.post("/sessions/withdraw", &client));
            if let Some((_, code)) = answer.location().split_once("code=") {
                let code = code.split('&').next().unwrap();
                app.exchange(code).await.assert_oauth_error(400, "invalid_grant");
            }
        }
        idp.assert_invariants().await;
    }
}
