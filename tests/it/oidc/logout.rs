//! Logout: asked for by an app (OpenID Connect RP-Initiated Logout), told to apps (Back-Channel and Front-Channel
//! Logout).

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use connect_idp::jobs::logout::process_batch;
use connect_idp::model::activity::Kind;
use connect_idp::operations::clients;

use crate::actors::{Answer, BackChannel, Browser, From, Idp, RelyingParty, User, claims, encode, on_loopback};

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
            let again = end_session(&mut browser, &fields).await;
            assert_eq!(again.text("#signed-out h1"), "You were not signed in", "and once more");
            // The suite's "no redirect", and a way back to the app all the same: by its name, to what it registered.
            let named = fields.len() == 2;
            for page in [&answer, &again] {
                assert_eq!(page.texts("#back-to-app"), if named { vec!["Back to The portal"] } else { vec![] }, "{fields:?}");
                assert!(!page.has("meta[http-equiv=refresh]"));
            }
            if named {
                assert_eq!(answer.attribute("#back-to-app", "href").as_deref(), Some(HOME));
            }
        }
        idp.outsider().await.run("UPDATE clients SET enabled = FALSE, epoch = epoch + 1").await;
        let off = end_session(&mut idp.browser(), &[("client_id", "portal"), ("post_logout_redirect_uri", HOME)]).await;
        assert!(off.has("#signed-out") && !off.has("#back-to-app"), "its address may be somebody else's by now");
    }

    /// RP-Initiated Logout §2: the hinted session ends, wherever it is; the browser's own other one is asked about.
    async fn another_session_than_the_hinted_one_is_asked_about(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let (app, mut hers) = (portal(&idp).await, idp.browser());
        let hint = id_token(&app, &mut hers, &amina).await;
        let mut other = idp.browser();
        other.sign_in(&bruno).await;
        let page = end_session(&mut other, &[("id_token_hint", &hint), ("post_logout_redirect_uri", HOME)]).await;
        assert_eq!((page.text("#client-name"), page.cookies()), ("The portal".to_owned(), vec![]));
        other.assert_signed_in_as(&bruno).await;
        hers.assert_signed_out().await;
        assert_eq!(other.submit(&page, "#logout-form", &[]).await.location(), HOME);
    }

    /// Front-Channel Logout §3: the apps of the hinted session hear of its end although this browser holds another one.
    async fn apps_of_the_hinted_session_are_framed_on_the_question(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let front = idp.app("front", |m| m.frontchannel_logout_uri = Some("https://front.example/out".into())).await;
        let hint = id_token(&front, &mut idp.browser(), &amina).await;
        let mut other = idp.browser();
        other.sign_in(&bruno).await;
        let page = end_session(&mut other, &[("id_token_hint", &hint)]).await;
        let sid = claims(&hint)["sid"].as_str().unwrap().to_owned();
        let wanted = format!("https://front.example/out?iss=https%3A%2F%2Fconnect.example.org&sid={sid}");
        assert_eq!(page.attribute("iframe.told", "src"), Some(wanted));
        assert!(page.header("content-security-policy").unwrap().contains("; frame-src https://front.example"));
        other.assert_signed_in_as(&bruno).await;
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
            // Whoever wanted to log out can do so all the same, and goes nowhere.
            let mut other = idp.browser();
            other.sign_in(&amina).await;
            let ended = other.submit(&answer, "#error-page #logout-form", &[]).await;
            assert_eq!((ended.text("#signed-out h1"), ended.has("#back-to-app")), ("You are signed out".into(), false));
            other.assert_signed_out().await;
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
        assert_eq!(page.attribute("#signed-out a.button", "href").as_deref(), Some("/login"));
        // Not in <noscript>: scripts may be on and a script file broken.
        assert_eq!(page.attribute("meta[http-equiv=refresh]", "content").as_deref(), Some("3;url=/login"));
        assert!(!page.has("noscript"));
        browser.assert_signed_out().await;
    }

    /// L8: a change of password ends the refresh tokens born of the other sessions, offline ones too, and keeps its
    /// own.
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

    /// R4: what was born of a session lives on through its idleness, so a logout after that ends it: our own, an app's
    /// by its hint, and an app's without one.
    async fn a_logout_reaches_a_session_that_is_idle(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let [mut ours, mut hinted, mut unhinted] = [idp.browser(), idp.browser(), idp.browser()];
        let [first, second, third] = [
            app.tokens(&mut ours, &amina, &[]).await,
            app.tokens(&mut hinted, &amina, &[]).await,
            app.tokens(&mut unhinted, &amina, &[]).await,
        ];
        idp.advance(Duration::from_mins(31));
        let refresh = async |tokens: &serde_json::Value| app.refresh(tokens["refresh_token"].as_str().unwrap()).await;
        for tokens in [&first, &second, &third] {
            assert_eq!(refresh(tokens).await.status, 200);
        }
        assert_eq!(ours.post("/logout", &[]).await.location(), "/login");
        refresh(&first).await.assert_oauth_error(400, "invalid_grant");
        let asked = [("id_token_hint", second["id_token"].as_str().unwrap()), ("post_logout_redirect_uri", HOME)];
        assert_eq!(end_session(&mut hinted, &asked).await.location(), HOME);
        refresh(&second).await.assert_oauth_error(400, "invalid_grant");
        // Without a hint anybody could have sent the browser here: the person is asked.
        let asked = end_session(&mut unhinted, &[("client_id", "portal")]).await;
        assert_eq!(refresh(&third).await.status, 200);
        let page = unhinted.submit(&asked, "#logout-form", &[]).await;
        assert_eq!((page.text("#signed-out h1"), unhinted.session()), ("You are signed out".to_owned(), None));
        refresh(&third).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(idp.record().await.iter().filter(|line| *line == "logout success").count(), 3);
    }

    /// R4, G38: who ends one session from elsewhere ends it also where it became idle since it was listed, with what
    /// was born of it.
    async fn a_session_that_is_ended_by_its_id_may_be_idle(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let (mut here, mut one, mut other) = (idp.browser(), idp.browser(), idp.browser());
        let [first, second] = [app.tokens(&mut one, &amina, &[]).await, app.tokens(&mut other, &amina, &[]).await];
        let mut outsider = idp.outsider().await;
        let ids = [&first, &second].map(|tokens| claims(tokens["id_token"].as_str().unwrap())["sid"].as_str().unwrap().to_owned());
        let of = |sid: &str| format!("SELECT id FROM sessions WHERE sid = '{sid}'");
        let ids = [outsider.text(&of(&ids[0])).await, outsider.text(&of(&ids[1])).await];
        idp.advance(Duration::from_mins(31));
        let program = idp.client("hr", "users.write").await;
        here.sign_in(&amina).await;
        assert_eq!(here.post("/sessions/end", &[("session", &ids[0])]).await.location(), "/sessions");
        let path = format!("/api/v1/providers/SUNRISE-IL/users/{}/sessions/{}", amina.id, ids[1]);
        program.delete(&path).await.assert(204);
        for tokens in [first, second] {
            app.refresh(tokens["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
        }
        let ended = idp.activity().await.into_iter().filter(|record| record.kind == Kind::SessionEnded);
        assert_eq!(ended.count(), 2);
        here.assert_signed_in_as(&amina).await;
    }

    /// G38: no cookie is cleared but of what was ended.
    async fn a_logout_clears_the_cookies_of_what_it_ended(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, tina) = (idp.user("amina").create().await, idp.user("tina").temporary().create().await);
        let app = portal(&idp).await;
        let cleared = |answer: &Answer| answer.cookies().into_iter().map(|(name, value)| (name, value.len())).collect::<Vec<_>>();
        let (session, update) = (("__Host-connect-session".to_owned(), 0), ("__Host-connect-update".to_owned(), 0));
        let hint = id_token(&app, &mut idp.browser(), &amina).await;
        let mut halfway = idp.browser();
        assert_eq!(halfway.log_in(&tina, &tina.password).await.location(), "/password/update");
        // A request alone, which any page can make a browser send, takes nothing away: neither bare nor with a hint.
        let page = end_session(&mut halfway, &[("id_token_hint", &hint), ("post_logout_redirect_uri", HOME)]).await;
        assert_eq!((page.location(), cleared(&page)), (HOME, vec![]));
        let hint = id_token(&app, &mut idp.browser(), &amina).await;
        let page = end_session(&mut halfway, &[]).await;
        assert_eq!(page.text(".hint"), "The sign-in of tina of SUNRISE-IL Homes is not finished.");
        assert_eq!((cleared(&page), halfway.get("/password/update").await.status.as_u16()), (vec![], 200));
        let page = halfway.submit(&page, "#logout-form", &[]).await;
        assert_eq!((page.text("#signed-out h1"), cleared(&page)), ("You were not signed in".to_owned(), vec![update]));
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        idp.advance(Duration::from_hours(13));
        let page = end_session(&mut browser, &[("id_token_hint", &hint)]).await;
        assert_eq!((page.text("#signed-out h1"), cleared(&page)), ("You were not signed in".to_owned(), vec![]));
        browser.sign_in(&amina).await;
        let page = end_session(&mut browser, &[]).await;
        assert_eq!(cleared(&browser.submit(&page, "#logout-form", &[]).await), [session]);
    }

    /// An app's server may call with a hint, without a cookie: the session of its `sid` is over, also where it is idle
    /// or was renewed; recorded with the app. Where there is none, nothing is claimed.
    async fn an_apps_server_ends_the_session_of_its_hint(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let (amina, told) = (idp.user("amina").create().await, BackChannel::listen().await);
        let app = portal(&idp).await;
        let other = idp.app("other", |m| m.backchannel_logout_uri = Some(told.address.clone())).await;
        let server = async |fields: &[(&str, &str)]| {
            idp.program(Method::GET, &format!("/oauth2/end_session?{}", encode(fields)), HeaderMap::new(), String::new()).await
        };
        for (minutes, again) in [(0, false), (0, true), (31, false)] {
            let mut browser = idp.browser();
            let tokens = app.tokens(&mut browser, &amina, &[]).await;
            other.tokens(&mut browser, &amina, &[]).await;
            if again {
                browser.sign_in(&amina).await;
            }
            idp.advance(Duration::from_mins(minutes));
            let hint = ("id_token_hint", tokens["id_token"].as_str().unwrap());
            for heading in ["You are signed out", "You were not signed in"] {
                let page = server(&[hint]).await;
                assert_eq!((page.status.as_u16(), page.text("#signed-out h1"), page.cookies()), (200, heading.to_owned(), vec![]));
            }
            browser.assert_signed_out().await;
            app.refresh(tokens["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
            let back = server(&[hint, ("post_logout_redirect_uri", HOME), ("state", "s")]).await;
            assert_eq!(back.location(), format!("{HOME}&state=s"));
        }
        let logouts: Vec<_> = idp.activity().await.into_iter().filter(|record| record.kind == Kind::Logout).collect();
        assert_eq!(logouts.len(), 3);
        assert!(logouts.iter().all(|record| record.note.as_deref() == Some("asked for by The portal")));
        assert!(logouts.iter().all(|record| record.login_name.as_deref() == Some("amina")));
        for _ in 0..2 {
            process_batch(&idp.app).await.unwrap();
        }
        assert_eq!(told.sent().len(), 3);

        let mut browser = idp.browser();
        let hint = id_token(&app, &mut browser, &amina).await;
        clients::set_enabled(&idp.act(), "portal", false).await.unwrap();
        let page = server(&[("id_token_hint", &hint)]).await;
        assert_eq!(page.text("#signed-out h1"), "You were not signed in", "of an app that is switched off it ends nothing");
        browser.assert_signed_in_as(&amina).await;
        assert_eq!(server(&[]).await.text("#signed-out h1"), "You were not signed in");
        idp.assert_invariants().await;
    }

    /// L10, U3: a logout in one tab, while another renewed the session, ends it; a moment later the old secret is dead.
    async fn a_logout_reaches_a_session_that_another_tab_just_renewed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for (seconds, ends) in [(9, true), (10, false)] {
            let mut one = idp.browser();
            one.sign_in(&amina).await;
            let mut other = one.clone();
            one.sign_in(&amina).await;
            idp.advance(Duration::from_secs(seconds));
            other.post("/logout", &[]).await;
            assert_eq!(one.who().await.is_none(), ends, "after {seconds} s");
        }
    }

    /// An app that is switched off is neither framed nor gone back to: its address may be somebody else's by now.
    async fn nobody_is_sent_to_an_app_that_is_switched_off(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| {
            m.post_logout_redirect_uris = vec![HOME.into()];
            m.frontchannel_logout_uri = Some("https://portal.example/out".into());
        }).await;
        let mut browser = idp.browser();
        let hint = id_token(&app, &mut browser, &amina).await;
        idp.outsider().await.run("UPDATE clients SET enabled = FALSE, epoch = epoch + 1").await;
        let page = end_session(&mut browser, &[("id_token_hint", &hint), ("post_logout_redirect_uri", HOME)]).await;
        assert_eq!((page.status.as_u16(), page.text("#signed-out h1")), (200, "You are signed out".into()));
        assert!(!page.has("#signed-out iframe") && !page.has("noscript"));
        browser.assert_signed_out().await;
    }

    /// Only a hint proves who asks, and only then does the record name the app.
    async fn the_record_names_the_app_that_proved_to_ask(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, portal(&idp).await);
        let mut browser = idp.browser();
        let hint = id_token(&app, &mut browser, &amina).await;
        end_session(&mut browser, &[("id_token_hint", &hint)]).await;
        browser.sign_in(&amina).await;
        let page = end_session(&mut browser, &[("client_id", "portal")]).await;
        browser.submit(&page, "#logout-form", &[]).await;
        let logouts = idp.activity().await.into_iter().filter(|record| record.kind == Kind::Logout);
        let notes: Vec<_> = logouts.map(|record| record.note).collect();
        assert_eq!(notes, [Some("asked for by The portal".to_owned()), None]);
    }
}
