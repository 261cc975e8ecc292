//! Logout: asked for by an app (OpenID Connect RP-Initiated Logout), told to apps (Back-Channel and Front-Channel Logout).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{Method, StatusCode};
use axum::routing::post;
use connect_idp::config::Config;
use connect_idp::crypto::jws::{Unverified, VerifyingKeys};
use connect_idp::jobs::logout::work_off;
use connect_idp::operations::signing_keys;
use serde::Deserialize;

use crate::actors::{Answer, Browser, From, Idp, RelyingParty, User, claims, encode};

const HOME: &str = "https://portal.example/bye?x=1";

async fn portal(idp: &Idp) -> RelyingParty {
    idp.app("portal", |m| m.post_logout_redirect_uris = vec![HOME.into()]).await
}

async fn id_token(app: &RelyingParty, browser: &mut Browser, user: &User) -> String {
    app.tokens(browser, user, &[]).await["id_token"].as_str().unwrap().to_owned()
}

async fn end_session(browser: &mut Browser, fields: &[(&str, &str)]) -> Answer {
    browser.get(&format!("/oauth2/end_session?{}", encode(fields))).await
}

/// An app's back-channel address: remembers what it is sent, and fails as often as it is told to.
#[derive(Clone, Default)]
struct BackChannel(Arc<Mutex<(Vec<String>, usize)>>);

#[derive(Deserialize)]
struct Sent {
    logout_token: String,
}

impl BackChannel {
    async fn listen(&self) -> String {
        let take = async |State(this): State<Self>, Form(sent): Form<Sent>| {
            let mut state = this.0.lock().unwrap();
            state.0.push(sent.logout_token);
            if state.1 > 0 {
                state.1 -= 1;
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            StatusCode::OK
        };
        let routes = Router::new().route("/told", post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/told", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        address
    }

    fn sent(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }
}

fn on_loopback(config: &mut Config) {
    config.issuer = "http://localhost:8080".into();
}

async fn told(idp: &Idp, name: &str) -> (RelyingParty, BackChannel) {
    let channel = BackChannel::default();
    let address = channel.listen().await;
    (idp.app(name, |m| m.backchannel_logout_uri = Some(address)).await, channel)
}

both_engines! {
    /// RP-Initiated Logout §2, §3: a hint for the present session ends it at once, and state comes back as it was.
    async fn a_valid_hint_logs_out_and_goes_back(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let mut browser = idp.browser();
        let hint = id_token(&app, &mut browser, &amina).await;
        let asked = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", HOME), ("state", "a \"<é>&")];
        let answer = end_session(&mut browser, &asked).await;
        assert_eq!(answer.location(), "https://portal.example/bye?x=1&state=a+%22%3C%C3%A9%3E%26");
        browser.assert_signed_out().await;
        assert!(idp.record().await.contains(&"logout success".to_owned()));
        // Again, much later, without a session: harmless, and back once more.
        idp.advance(Duration::from_hours(48));
        assert_eq!(end_session(&mut browser, &asked[..2]).await.location(), HOME);
        assert_eq!(idp.record().await.iter().filter(|line| *line == "logout success").count(), 1);
    }

    /// RP-Initiated Logout §2: a POST from the app is as good; it brings no cookie, so a GET takes it up.
    async fn a_post_from_the_app_is_as_good(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let mut browser = idp.browser();
        let hint = id_token(&app, &mut browser, &amina).await;
        let body = encode(&[("id_token_hint", &hint), ("post_logout_redirect_uri", HOME)]);
        let from = From::Foreign("https://portal.example".into());
        let answer = browser.go(Method::POST, "/oauth2/end_session", &from, Some(body)).await;
        let answer = browser.follow_within(answer).await;
        assert_eq!(answer.location(), HOME);
        browser.assert_signed_out().await;
    }

    /// RP-Initiated Logout §2, §4: without a hint the person is asked, and is never sent anywhere.
    async fn without_a_hint_the_person_is_asked(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        portal(&idp).await;
        for fields in [
            vec![],
            vec![("state", "x")],
            vec![("client_id", "portal")],
            vec![("client_id", "portal"), ("post_logout_redirect_uri", HOME)],
            vec![("post_logout_redirect_uri", HOME)],
        ] {
            let mut browser = idp.browser();
            browser.sign_in(&amina).await;
            let page = end_session(&mut browser, &fields).await;
            assert_eq!(page.attribute("#logout-cancel", "href").as_deref(), Some("/"), "{fields:?}");
            browser.assert_signed_in_as(&amina).await;
            let answer = browser.submit(&page, "#logout-form", &[]).await;
            assert_eq!((answer.status.as_u16(), answer.text("#signed-out h1")), (200, "You are signed out".into()));
            browser.assert_signed_out().await;
            assert!(end_session(&mut browser, &fields).await.has("#signed-out"), "and once more");
        }
    }

    /// RP-Initiated Logout §2: another session than the hinted one is asked about.
    async fn another_session_than_the_hinted_one_is_asked_about(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let app = portal(&idp).await;
        let hint = id_token(&app, &mut idp.browser(), &amina).await;
        let mut other = idp.browser();
        other.sign_in(&bruno).await;
        let page = end_session(&mut other, &[("id_token_hint", &hint), ("post_logout_redirect_uri", HOME)]).await;
        assert_eq!(page.text("#client-name"), "The portal");
        other.assert_signed_in_as(&bruno).await;
        assert_eq!(other.submit(&page, "#logout-form", &[]).await.location(), HOME);
    }

    /// RP-Initiated Logout §4: what is wrong is named on our own page, and nothing is ended or redirected.
    async fn what_is_wrong_is_named_and_ends_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let mut browser = idp.browser();
        let hint = id_token(&app, &mut browser, &amina).await;
        let forged = format!("{}AAAA", &hint[..hint.len() - 4]);
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.AA", hint.split('.').nth(1).unwrap());
        for (fields, words) in [
            (vec![("id_token_hint", "x")], "id_token_hint is not valid."),
            (vec![("id_token_hint", forged.as_str()), ("post_logout_redirect_uri", HOME)], "id_token_hint is not valid."),
            (vec![("id_token_hint", unsigned.as_str())], "id_token_hint is not valid."),
            (vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://portal.example/bye?x=1&y=2")], "post_logout_redirect_uri is not registered."),
            (vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://evil.example/")], "post_logout_redirect_uri is not registered."),
            (vec![("id_token_hint", hint.as_str()), ("client_id", "other")], "client_id is not the app of id_token_hint."),
            (vec![("client_id", "nobody")], "client_id is not registered."),
            (vec![("state", "1"), ("state", "2")], "state was sent twice."),
        ] {
            let answer = end_session(&mut browser, &fields).await;
            assert_eq!((answer.status.as_u16(), answer.text("#error-description")), (400, words.to_owned()));
            browser.assert_signed_in_as(&amina).await;
            let answer = browser.post("/oauth2/end_session/confirm", &fields).await;
            assert_eq!(answer.status, 400);
            browser.assert_signed_in_as(&amina).await;
        }
        let foreign = From::Foreign("https://evil.example".into());
        assert_eq!(browser.go(Method::POST, "/oauth2/end_session/confirm", &foreign, Some(String::new())).await.status, 403);
    }

    /// Front-Channel Logout §2, §3: one frame an app, `iss` and `sid` added to its own query; then onwards.
    async fn apps_are_framed_to_hear_of_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let front = idp.app("front", |m| m.frontchannel_logout_uri = Some("https://front.example/out?t=7".into())).await;
        idp.app("never", |m| m.frontchannel_logout_uri = Some("https://never.example/out".into())).await;
        let mut browser = idp.browser();
        let sid = claims(&id_token(&front, &mut browser, &amina).await)["sid"].as_str().unwrap().to_owned();
        let page = browser.post("/logout", &[]).await;
        let wanted = format!("https://front.example/out?t=7&iss=https%3A%2F%2Fconnect.example.org&sid={sid}");
        assert_eq!(page.attribute("#signed-out iframe", "src"), Some(wanted));
        assert!(page.header("content-security-policy").unwrap().contains("; frame-src https://front.example"));
        assert_eq!(page.attribute("#signed-out a.button", "href").as_deref(), Some("/login?logged_out=1"));
        // Without script the browser goes on by itself all the same.
        assert_eq!(page.text("noscript"), r#"<meta http-equiv="refresh" content="3;url=/login?logged_out=1">"#);
        browser.assert_signed_out().await;
    }

    /// Back-Channel Logout §2.4 to §2.6: the token, and whom it reaches.
    async fn an_app_is_told_on_the_back_channel(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let ((app, channel), (_, silent)) = (told(&idp, "portal").await, told(&idp, "silent").await);
        let mut browser = idp.browser();
        let id_token = claims(&id_token(&app, &mut browser, &amina).await);
        browser.post("/logout", &[]).await;
        work_off(&idp.app).await.unwrap();
        work_off(&idp.app).await.unwrap();
        let sent = channel.sent();
        assert_eq!((sent.len(), silent.sent().len()), (1, 0), "once, and only who was signed in");
        let jws = Unverified::parse(&sent[0], 8192).unwrap();
        let keys = VerifyingKeys::parse(&signing_keys::jwks(&idp.app, idp.now()).await.unwrap().json).unwrap();
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

    /// R4: whatever ends a session tells the app; a renewal, idleness and age tell nobody.
    async fn whatever_ends_a_session_tells_the_app(engine: Engine) {
        let idp = Idp::start_live(engine, on_loopback).await;
        let (app, channel) = told(&idp, "portal").await;
        let bruno = idp.user("bruno").create().await;
        let ways = ["renewed", "lock", "deactivate", "reset", "replaced", "others", "password", "admin", "issuer", "provider"];
        let mut expected = 0;
        for way in ways {
            let user = idp.user(&format!("user-{way}")).create().await;
            let mut browser = idp.browser();
            if way == "issuer" {
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
                    connect_idp::operations::users::end_sessions(&idp.act(), &user.provider_id, &user.id).await.unwrap();
                }
                "issuer" => {
                    connect_idp::operations::issuers::end_sessions(&idp.act(), crate::actors::ISSUER).await.unwrap();
                }
                _ => idp.set_provider_active(&user.provider_id, false).await,
            }
            work_off(&idp.app).await.unwrap();
            expected += usize::from(way != "renewed");
            if way == "provider" {
                // With it ends the one that was renewed.
                expected += 1;
            }
            assert_eq!(channel.sent().len(), expected, "{way}");
        }
    }

    /// L8: a change of password ends the refresh tokens born of the other sessions, offline ones too, and keeps its own.
    async fn a_new_password_ends_the_others_refresh_tokens(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let offline = [("scope", "openid offline_access")];
        let (mut here, mut there) = (idp.browser(), idp.browser());
        let mine = app.tokens(&mut here, &amina, &offline).await["refresh_token"].as_str().unwrap().to_owned();
        let theirs = app.tokens(&mut there, &amina, &offline).await["refresh_token"].as_str().unwrap().to_owned();
        let fields = [
            ("current_password", amina.password.as_str()),
            ("new_password", "Another-Horse-10"),
            ("confirm_new_password", "Another-Horse-10"),
        ];
        assert_eq!(here.post("/password/change", &fields).await.status, 303);
        assert_eq!(app.refresh(&mine).await.status, 200);
        app.refresh(&theirs).await.assert_oauth_error(400, "invalid_grant");
    }

    /// Back-Channel Logout §2.5: an app that fails is tried again, and one that never answers is given up after a day.
    async fn a_failed_delivery_is_tried_again(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let amina = idp.user("amina").create().await;
        let (app, channel) = told(&idp, "portal").await;
        channel.0.lock().unwrap().1 = 2;
        let mut browser = idp.browser();
        app.tokens(&mut browser, &amina, &[]).await;
        browser.post("/logout", &[]).await;
        for (wait, sent) in [(0, 1), (999, 1), (1, 2), (4_999, 2), (1, 3), (100_000, 3)] {
            idp.advance(Duration::from_millis(wait));
            work_off(&idp.app).await.unwrap();
            assert_eq!(channel.sent().len(), sent, "after {wait} ms more");
        }
        let bruno = idp.user("bruno").create().await;
        channel.0.lock().unwrap().1 = usize::MAX;
        app.tokens(&mut browser, &bruno, &[]).await;
        browser.post("/logout", &[]).await;
        for _ in 0..40 {
            work_off(&idp.app).await.unwrap();
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
            tokio::spawn(async move { work_off(&app).await.unwrap() })
        });
        for work in works.collect::<Vec<_>>() {
            work.await.unwrap();
        }
        work_off(&idp.app).await.unwrap();
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
        let dead = idp.outsider().await;
        let mut dead = dead;
        dead.run("DELETE FROM logout_notes").await;
        dead.run(&format!(
            "INSERT INTO logout_deliveries (client, sid, user_id, state, attempts, next_at, created_at) \
             VALUES ('{row}', '{sid}', '{}', 'waiting', 1, {}, {})",
            amina.id,
            now.after(Duration::from_secs(20)).0,
            now.0
        )).await;
        work_off(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 0);
        idp.advance(Duration::from_secs(20));
        work_off(&idp.app).await.unwrap();
        assert_eq!(channel.sent().len(), 1);
    }
}
