//! Logouts told to apps, server to server (OpenID Connect Back-Channel Logout): what leaves a note, whom it reaches,
//! what the token holds, and what happens when an app or a replica fails.

use std::time::Duration;

use connect_idp::crypto::jws::Unverified;
use connect_idp::crypto::key_set::VerifyingKeys;
use connect_idp::jobs::logout::{process_batch, run};
use connect_idp::operations;
use connect_idp::operations::admin_context::Switched;
use connect_idp::operations::keys::in_use;
use connect_idp::operations::passwords::link;
use connect_idp::{jobs, store};
use tokio::sync::watch;

use crate::actors::{BackChannel, Engine, ISSUER, Idp, RelyingParty, claims, on_loopback};

/// An app that is told on the back channel.
async fn told(idp: &Idp, name: &str) -> (RelyingParty, BackChannel) {
    let channel = BackChannel::listen().await;
    (idp.app(name, |m| m.backchannel_logout_uri = Some(channel.address.clone())).await, channel)
}

both_engines! {
    /// Back-Channel Logout §2.4 to §2.6: the token, and whom it reaches.
    async fn an_app_is_told_on_the_back_channel(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let ((app, channel), (_, silent)) = (told(&idp, "portal").await, told(&idp, "silent").await);
        let mut browser = idp.browser();
        let id_token = claims(app.tokens(&mut browser, &amina, &[]).await["id_token"].as_str().unwrap());
        browser.post("/logout", &[]).await;
        process_batch(&idp.app).await.unwrap();
        process_batch(&idp.app).await.unwrap();
        let sent = channel.sent();
        assert_eq!((sent.len(), silent.sent().len()), (1, 0), "once, and only who was signed in");
        let jws = Unverified::parse(&sent[0], 8192).unwrap();
        let keys = VerifyingKeys::parse(&in_use::jwks(&idp.app, idp.now()).await.unwrap().json).unwrap();
        assert_eq!(jws.header["typ"], "logout+jwt");
        assert!(keys.get(jws.header["kid"].as_str().unwrap()).unwrap().verify(&jws));
        let token = claims(&sent[0]);
        assert_eq!((&token["iss"], &token["aud"]), (&id_token["iss"], &id_token["aud"]));
        assert_eq!((&token["sub"], &token["sid"]), (&id_token["sub"], &id_token["sid"]));
        assert_eq!(token["events"], serde_json::json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
        let (iat, exp) = (token["iat"].as_i64().unwrap(), token["exp"].as_i64().unwrap());
        assert!(exp > iat && exp - iat <= 120 && token["jti"].is_string() && token.get("nonce").is_none());
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_deliveries WHERE state = 'delivered'").await, 1);
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_notes").await, 0);
    }

    /// R4: whatever ends a session tells the app, once; a renewal tells nobody.
    async fn whatever_ends_a_session_tells_the_app(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let (app, channel) = told(&idp, "portal").await;
        let bruno = idp.user("bruno").create().await;
        let ways = [
            "renewed", "lock", "deactivate", "reset", "replaced", "others", "one", "password", "admin", "admin-one", "link",
            "update", "issuer", "provider",
        ];
        let mut expected = 0;
        for way in ways {
            let user = idp.user(&format!("user-{way}")).create().await;
            let mut browser = idp.browser();
            if way == "issuer" {
                browser.hand_off(&idp.therap_services().sign(&user)).await;
            }
            if way == "update" {
                // Such a session comes of a handoff: it needs no password, temporary or not (U11).
                idp.reset_password(&user, "Another-Horse-10").await;
                browser.hand_off(&idp.therap_services().sign(&user)).await;
            }
            app.tokens(&mut browser, &user, &[("scope", "openid offline_access")]).await;
            match way {
                "renewed" => browser.sign_in(&user).await,
                "lock" => idp.lock(&user).await,
                "deactivate" => idp.set_active(&user, false).await,
                "reset" => idp.reset_password(&user, "Another-Horse-10").await,
                "replaced" => browser.sign_in(&bruno).await,
                "others" => {
                    let mut other = idp.browser();
                    other.sign_in(&user).await;
                    other.post("/sessions/end-others", &[]).await;
                }
                "one" => {
                    let mut other = idp.browser();
                    other.sign_in(&user).await;
                    let page = other.get("/sessions").await;
                    let answer = other.submit(&page, "form[action='/sessions/end']", &[]).await;
                    assert_eq!(answer.location(), "/sessions");
                }
                "update" => {
                    let mut other = idp.browser();
                    let answer = other.log_in(&user, "Another-Horse-10").await;
                    let page = other.follow(answer).await;
                    let fields = [("new_password", "Another-Horse-11"), ("confirm_new_password", "Another-Horse-11")];
                    assert_eq!(other.submit(&page, "#update-form", &fields).await.location(), "/");
                }
                "link" => {
                    let link = link::make(&idp.act(), &user.provider_id, &user.id, false).await.unwrap().unwrap();
                    let mut other = idp.browser();
                    let page = other.get(link.address.strip_prefix(&idp.app.config.issuer).unwrap()).await;
                    let fields = [("new_password", "Another-Horse-11"), ("confirm_new_password", "Another-Horse-11")];
                    assert_eq!(other.submit(&page, "#update-form", &fields).await.status, 303);
                }
                "admin-one" => {
                    let mut conn = idp.app.db.read().await.unwrap();
                    let open = store::sessions::of_user(&mut conn, &user.id, idp.now()).await.unwrap();
                    drop(conn);
                    let act = idp.act();
                    let done = operations::users::end_session(&act, &user.provider_id, &user.id, &open[0].id);
                    assert_eq!(done.await.unwrap(), Switched::Done);
                }
                "password" => {
                    let mut other = idp.browser();
                    other.sign_in(&user).await;
                    let fields = [
                        ("current_password", user.password.as_str()),
                        ("new_password", "Another-Horse-10"),
                        ("confirm_new_password", "Another-Horse-10"),
                    ];
                    assert_eq!(other.post("/password/change", &fields).await.status, 303);
                }
                "admin" => {
                    operations::users::end_sessions(&idp.act(), &user.provider_id, &user.id).await.unwrap();
                }
                "issuer" => {
                    operations::issuers::end_sessions(&idp.act(), ISSUER).await.unwrap();
                }
                _ => idp.set_provider_active(&user.provider_id, false).await,
            }
            process_batch(&idp.app).await.unwrap();
            expected += usize::from(way != "renewed");
            if way == "provider" {
                // With it ends the one that was renewed.
                expected += 1;
            }
            assert_eq!(channel.sent().len(), expected, "{way}");
        }
    }

    /// Back-Channel Logout §2.5: an app that fails is tried again, and one that never answers is given up after a day.
    async fn a_failed_delivery_is_tried_again(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        channel.fail(2);
        let mut browser = idp.browser();
        app.tokens(&mut browser, &amina, &[]).await;
        browser.post("/logout", &[]).await;
        for (wait, sent) in [(0, 1), (999, 1), (1, 2), (4_999, 2), (1, 3), (100_000, 3)] {
            idp.advance(Duration::from_millis(wait));
            process_batch(&idp.app).await.unwrap();
            assert_eq!(channel.sent().len(), sent, "after {wait} ms more");
        }
        let bruno = idp.user("bruno").create().await;
        channel.fail(usize::MAX);
        app.tokens(&mut browser, &bruno, &[]).await;
        browser.post("/logout", &[]).await;
        for _ in 0..40 {
            process_batch(&idp.app).await.unwrap();
            idp.advance(Duration::from_hours(1));
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_deliveries WHERE state = 'given_up'").await, 1);
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_deliveries WHERE state = 'waiting'").await, 0);
    }

    /// Two replicas that look at once tell each app once.
    async fn two_replicas_tell_an_app_once(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let other = idp.replica(|_| {}).await;
        let (app, channel) = told(&idp, "portal").await;
        for n in 0..8 {
            let user = idp.user(&format!("user{n}")).create().await;
            app.tokens(&mut idp.browser(), &user, &[]).await;
            idp.lock(&user).await;
        }
        let works = (0..6).map(|n| {
            let app = if n % 2 == 0 { idp.app.clone() } else { other.app.clone() };
            tokio::spawn(async move { process_batch(&app).await.unwrap() })
        });
        for work in works.collect::<Vec<_>>() {
            work.await.unwrap();
        }
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 8);
    }

    /// A replica that died while it told an app: another tries again when its lease is over.
    async fn a_delivery_that_nobody_finished_is_taken_up(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        let mut browser = idp.browser();
        app.tokens(&mut browser, &amina, &[]).await;
        browser.post("/logout", &[]).await;
        let (now, row) = (idp.now(), app.client.id.clone());
        let sid = idp.outsider().await.text("SELECT sid FROM families").await;
        let mut dead = idp.outsider().await;
        dead.run("DELETE FROM logout_notes").await;
        dead.run(&format!(
            "INSERT INTO logout_deliveries (client, sid, user_id, state, attempts, next_at, created_at) \
             VALUES ('{row}', '{sid}', '{}', 'waiting', 1, {}, {})",
            amina.id,
            now.after(Duration::from_secs(20)).0,
            now.0
        )).await;
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 0);
        idp.advance(Duration::from_secs(20));
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 1);
    }
    /// R4: a session that ends by idleness or by age tells nobody.
    async fn idleness_and_age_tell_nobody(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        app.tokens(&mut idp.browser(), &amina, &[]).await;
        for hours in [1, 12, 24, 72] {
            idp.advance(Duration::from_hours(hours));
            jobs::sweep(&idp.app).await.unwrap();
            jobs::purge(&idp.app).await.unwrap();
            process_batch(&idp.app).await.unwrap();
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM sessions").await, 0);
        assert_eq!(channel.sent().len(), 0);
    }

    /// Back-Channel Logout §2.5, R4: told by the service's own job within a second, though another app has let hundreds
    /// wait.
    async fn a_silent_app_holds_up_nobody_else(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let ((dead, silent), (app, channel)) = (told(&idp, "dead").await, told(&idp, "portal").await);
        silent.fall_silent();
        let (row, user) = (&dead.client.id, &amina.id);
        idp.outsider().await.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO logout_deliveries \
             (client, sid, user_id, state, attempts, next_at, created_at) SELECT '{row}', 'sid ' || i, '{user}', 'waiting', 0, 0, 0 FROM n"
        )).await;
        let (stop, stopped) = watch::channel(false);
        let job = tokio::spawn(run(idp.app.clone(), stopped));
        let mut browser = idp.browser();
        app.tokens(&mut browser, &amina, &[]).await;
        while silent.sent().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        browser.post("/logout", &[]).await;
        let since = idp.now();
        while channel.sent().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A second, and room for a busy machine; the silent app's own time is five.
        let waited = idp.now().0 - since.0;
        assert!(waited < 3000, "{waited} ms");
        assert!(silent.sent().len() <= 9, "only so many at once at one app, and one when it failed");
        stop.send(true).unwrap();
        job.await.unwrap();
    }

    /// R4: a provider's many families are worked off in steps, each `sid` told once.
    async fn many_families_are_worked_off_in_steps(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        let unheard = idp.app("unheard", |_| {}).await;
        let mut browser = idp.browser();
        app.tokens(&mut browser, &amina, &[]).await;
        unheard.tokens(&mut browser, &amina, &[]).await;
        idp.outsider().await.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2300) {} FROM families f, n WHERE f.client = '{}'",
            copy("'more ' || i", "'sid ' || (i % 20)"),
            app.client.id
        )).await;
        idp.set_provider_active(&amina.provider_id, false).await;
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 21);
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_deliveries").await, 21);
    }

    /// G9: who came in under the old epoch while it went up is told a minute later.
    async fn what_was_born_while_the_epoch_went_up_is_told_too(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        app.tokens(&mut idp.browser(), &amina, &[]).await;
        idp.lock(&amina).await;
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 1);
        // As an exchange leaves it that was checked before the lock and committed after it.
        idp.outsider().await.run(&format!("{} FROM families f", copy("'late'", "'late sid'"))).await;
        idp.advance(Duration::from_secs(59));
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 1);
        idp.advance(Duration::from_secs(1));
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 2);
        assert_eq!(claims(&channel.sent()[1])["sid"], "late sid");
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_notes").await, 0);
    }

    /// G9, L8: an exchange under way is waited for by what ends its session, which then sees what came of it.
    async fn an_exchange_under_way_is_seen_by_what_ends_its_session(engine: Engine) {
        if engine == Engine::Sqlite {
            // It has one writer: nothing is under way beside another.
            return;
        }
        let idp = Idp::start_live(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        let (mut here, mut there) = (idp.browser(), idp.browser());
        here.sign_in(&amina).await;
        let code = app.sign_in(&mut there, &amina, &[("scope", "openid offline_access")]).await.code().to_owned();
        let mut obstacle = idp.outsider().await;
        obstacle.run("BEGIN").await;
        // The exchange comes to the code when it holds the session.
        obstacle.run("UPDATE codes SET nonce = nonce WHERE redeemed_at IS NULL").await;
        let exchange = tokio::spawn({
            let app = app.clone();
            async move { app.exchange(&code).await }
        });
        while idp.number("SELECT COUNT(*) FROM pg_locks WHERE NOT granted").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let change = tokio::spawn(async move {
            let fields = [
                ("current_password", amina.password.as_str()),
                ("new_password", "Another-Horse-10"),
                ("confirm_new_password", "Another-Horse-10"),
            ];
            here.post("/password/change", &fields).await
        });
        while idp.number("SELECT COUNT(*) FROM pg_locks WHERE NOT granted").await == 1 {
            assert!(!change.is_finished(), "it did not wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        obstacle.run("COMMIT").await;
        let tokens = exchange.await.unwrap();
        assert_eq!((tokens.status.as_u16(), change.await.unwrap().status.as_u16()), (200, 303));
        app.refresh(tokens.json()["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
        process_batch(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 1);
    }
}

/// The beginning of a statement that copies families under other ids and `sid`s.
fn copy(id: &str, sid: &str) -> String {
    format!(
        "INSERT INTO families (id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, sid, offline, scope, \
         resources, acr, auth_time, generation, created_at, expires_at) SELECT {id}, f.client, f.client_epoch, f.provider_id, \
         f.user_id, f.user_epoch, f.provider_epoch, {sid}, f.offline, f.scope, f.resources, f.acr, f.auth_time, 1, f.created_at, \
         f.expires_at"
    )
}
