//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2).

use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::model::client::{AuthMethod, GrantType};
use serde_json::json;

use crate::actors::{Callback, From, Idp, claims, encode};

both_engines! {
    /// RFC 6749 §4.1: from the request through the login page to a code, with state and iss (RFC 9207) exactly as they
    /// were.
    async fn a_sign_in_ends_at_the_app(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let state = r#"ä "<&>+%20' ; / ? : @ = #"#;
        let page = app.send(&mut browser, &[("state", state)]).await;
        assert_eq!((page.status.as_u16(), page.text("#client-name")), (200, "The portal".into()));
        let callback = Callback::of(&app.log_in(&mut browser, &page, &amina).await);
        assert_eq!(callback.uri, "https://portal.example/callback");
        assert_eq!(callback.params["state"], state);
        assert_eq!(callback.params["iss"], "https://connect.example.org");
        assert_eq!(callback.params.len(), 3, "nothing else: {callback:?}");
        assert_eq!(callback.code().len(), 43, "32 random bytes");
        browser.assert_signed_in_as(&amina).await;
    }

    /// OpenID Connect Core §3.1.2.1: who is signed in already sees no page; by either sign-in method.
    async fn a_session_serves_the_next_app_without_a_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.hand_off(&idp.therap_services().sign(&amina)).await;
        let answer = browser.get(&app.path(&[])).await;
        let tokens = app.exchange(Callback::of(&answer).code()).await.json();
        let id_token = claims(tokens["id_token"].as_str().unwrap());
        assert_eq!(id_token["acr"], "urn:therap-connect:acr:handoff");
        assert_eq!(id_token.get("amr"), None, "the assertion did not say how");
        idp.assert_invariants().await;
    }

    /// RFC 6749 §4.1.2.1: before client and redirect URI are proven nothing is sent anywhere.
    async fn what_is_wrong_with_client_or_redirect_uri_is_our_own_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        let twice = format!("{}&client_id=portal", app.path(&[]));
        for (path, code, words) in [
            (app.path(&[("client_id", "nobody")]), "invalid_client", "client_id is not registered."),
            (app.path(&[("client_id", "")]), "invalid_request", "client_id is missing."),
            (app.path(&[("redirect_uri", "")]), "invalid_request", "redirect_uri is missing."),
            (app.path(&[("redirect_uri", "https://portal.example/callback/x")]), "invalid_request", "redirect_uri is not registered for this app."),
            (app.path(&[("redirect_uri", "https://portal.example/callback?x=1")]), "invalid_request", "redirect_uri is not registered for this app."),
            (app.path(&[("redirect_uri", "https://evil.example/"), ("request_uri", "https://evil.example/r")]), "invalid_request", "redirect_uri is not registered for this app."),
            (twice, "invalid_request", "client_id was sent twice."),
        ] {
            let answer = idp.browser().get(&path).await;
            assert_eq!(answer.status, 400, "{path}");
            assert_eq!((answer.text("#error-code"), answer.text("#error-description")), (code.into(), words.into()));
            assert!(answer.has("#error-page #reference"));
        }
    }

    /// RFC 6749 §4.1.2.1: everything else is the client's to hear, in the mode it asked for.
    async fn every_other_error_is_a_redirect(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        for (change, code) in [
            (("response_type", ""), "invalid_request"),
            (("response_type", "magic"), "unsupported_response_type"),
            (("response_type", "id_token"), "unsupported_response_type"),
            (("response_mode", "pigeon"), "invalid_request"),
            (("scope", ""), "invalid_scope"),
            (("scope", "unified-login.read"), "invalid_scope"),
            (("request", "e30.e30.AA"), "request_not_supported"),
            (("request_uri", "https://portal.example/r"), "request_uri_not_supported"),
            (("registration", "{}"), "registration_not_supported"),
            (("prompt", "none login"), "invalid_request"),
            (("prompt", "none"), "login_required"),
            (("max_age", "soon"), "invalid_request"),
            (("claims", "{"), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("id_token_hint", "e30.e30.AA"), "invalid_request"),
            (("resource", "https://other.example"), "invalid_target"),
        ] {
            let callback = Callback::of(&idp.browser().get(&app.path(&[change])).await);
            callback.assert_error(code);
            assert_eq!(callback.params["state"], "a state");
        }
        let twice = format!("{}&nonce=again", app.path(&[]));
        Callback::of(&idp.browser().get(&twice).await).assert_error("invalid_request");
        let fragment = idp.browser().get(&app.path(&[("prompt", "none"), ("response_mode", "fragment")])).await;
        assert!(fragment.location().starts_with("https://portal.example/callback#"));
        let form = idp.browser().get(&app.path(&[("prompt", "none"), ("response_mode", "form_post"), ("state", "\"><x>")])).await;
        let fields = form.form("#form-post");
        assert_eq!((fields.action.as_str(), form.status.as_u16()), ("https://portal.example/callback", 200));
        assert_eq!((fields.fields["error"].as_str(), fields.fields["state"].as_str()), ("login_required", "\"><x>"));
        assert!(form.has("#form-post #form-post-continue"));
        // OAuth 2.0 Form Post Response Mode: the browser may send it anywhere.
        assert!(!form.header("content-security-policy").unwrap().contains("form-action"));
    }

    /// OpenID Connect Core §6.1, §3.1.2.6: an object is refused in the way that it asked for, to the address outside
    /// it.
    async fn a_request_object_is_refused_in_the_way_that_it_asked_for(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        let object = |claims: serde_json::Value| format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let inside = object(json!({
            "response_mode": "form_post", "state": "inside", "redirect_uri": "https://evil.example/", "client_id": "other",
        }));
        for outside in [vec![("state", "")], vec![("state", "outside"), ("response_mode", "query")]] {
            let change = [outside, vec![("request", inside.as_str())]].concat();
            let by_get = idp.browser().get(&app.path(&change)).await;
            let params = app.request(&change);
            let pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let from = From::Foreign("https://portal.example".into());
            let by_post = idp.browser().go(Method::POST, "/oauth2/authorize", &from, Some(encode(&pairs))).await;
            for answer in [by_get, by_post] {
                let form = answer.form("#form-post");
                assert_eq!(form.action, "https://portal.example/callback");
                assert_eq!((form.fields["error"].as_str(), form.fields["state"].as_str()), ("request_not_supported", "inside"));
                assert_eq!(form.fields["iss"], "https://connect.example.org");
            }
        }
        for (request, mode) in [(object(json!({"response_mode": "fragment"})), '#'), (object(json!({})), '?'), ("x".into(), '?')] {
            let callback = idp.browser().get(&app.path(&[("request", &request)])).await;
            assert!(callback.location().starts_with(&format!("https://portal.example/callback{mode}")));
            Callback::of(&callback).assert_error("request_not_supported");
            assert_eq!(Callback::of(&callback).params["state"], "a state");
        }
        let nowhere = idp.browser().get(&app.path(&[("request", &inside), ("redirect_uri", "https://evil.example/")])).await;
        assert_eq!((nowhere.status.as_u16(), nowhere.has("#error-page")), (400, true));
        let twice = format!("{}&request=x", app.path(&[("request", &inside)]));
        Callback::of(&idp.browser().get(&twice).await).assert_error("invalid_request");
    }

    /// OpenID Connect Core §6.2, §3.1.2.6: a request by reference is refused in the way of the request, to an address
    /// that is the client's, and nothing is fetched.
    async fn a_request_by_reference_is_refused_in_the_way_of_the_request(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        for reference in ["https://portal.example/r#x", "https://evil.example/r", "http://127.0.0.1/", "urn:ietf:params:oauth:request_uri:x", "x"] {
            for (mode, joint) in [("", '?'), ("query", '?'), ("fragment", '#'), ("pigeon", '?')] {
                let callback = idp.browser().get(&app.path(&[("request_uri", reference), ("response_mode", mode), ("response_type", "")])).await;
                assert!(callback.location().starts_with(&format!("https://portal.example/callback{joint}")), "{}", callback.location());
                Callback::of(&callback).assert_error("request_uri_not_supported");
                assert_eq!(Callback::of(&callback).params["state"], "a state");
            }
            let change = [("request_uri", reference), ("response_mode", "form_post")];
            let params = app.request(&change);
            let pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let from = From::Foreign("https://portal.example".into());
            let form = idp.browser().go(Method::POST, "/oauth2/authorize", &from, Some(encode(&pairs))).await;
            let form = form.form("#form-post");
            assert_eq!((form.action.as_str(), form.fields["error"].as_str()), ("https://portal.example/callback", "request_uri_not_supported"));
            for nowhere in [("redirect_uri", "https://evil.example/"), ("redirect_uri", ""), ("client_id", "nobody")] {
                let page = idp.browser().get(&app.path(&[("request_uri", reference), nowhere])).await;
                assert_eq!((page.status.as_u16(), page.has("#error-page")), (400, true), "{nowhere:?}");
            }
        }
    }

    /// RFC 7636 §4.4.1: a public client must, others may; and a client that may not use the flow cannot.
    async fn who_must_use_pkce_is_told_so(engine: Engine) {
        let idp = Idp::start(engine).await;
        let none = [("code_challenge", ""), ("code_challenge_method", "")];
        let public = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        Callback::of(&idp.browser().get(&public.path(&none)).await).assert_error("invalid_request");
        let strict = idp.app("strict", |m| m.require_pkce = true).await;
        Callback::of(&idp.browser().get(&strict.path(&none)).await).assert_error("invalid_request");
        let app = idp.app("portal", |_| {}).await;
        assert!(app.send(&mut idp.browser(), &none).await.has("#login-form"));
        let machine = idp.app("machine", |m| m.grant_types = vec![GrantType::ClientCredentials]).await;
        Callback::of(&idp.browser().get(&machine.path(&[])).await).assert_error("unauthorized_client");
    }

    /// RFC 6749 §3.1: the redirect URI's own query is kept.
    async fn a_registered_query_is_kept(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |m| m.redirect_uris = vec!["https://portal.example/cb?tenant=7".into()]).await;
        let answer = idp.browser().get(&app.path(&[("prompt", "none")])).await;
        assert!(answer.location().starts_with("https://portal.example/cb?tenant=7&error=login_required"));
    }

    /// OpenID Connect Core §3.1.2.1: POST is as good as GET; it comes from another site, without our cookies.
    async fn a_post_from_the_app_sees_the_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        idp.advance(Duration::from_millis(5));
        let params = app.request(&[("prompt", "none")]);
        let pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let from = From::Foreign("https://portal.example".into());
        let answer = browser.go(Method::POST, "/oauth2/authorize", &from, Some(encode(&pairs))).await;
        assert!(answer.location().starts_with("/oauth2/authorize/resume?i="));
        let answer = browser.follow_within(answer).await;
        assert!(!Callback::of(&answer).code().is_empty());
    }

    /// OpenID Connect Core §3.1.2.1 and R2: `prompt=login` shows the page, and `auth_time` is later in whole seconds.
    async fn prompt_login_asks_again(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let first = app.tokens(&mut browser, &amina, &[]).await;
        let first = claims(first["id_token"].as_str().unwrap());
        for again in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "0")] {
            let page = app.send(&mut browser, &[again]).await;
            assert!(page.has("#login-form") && page.has("#reauth-notice"), "{again:?}");
            let callback = Callback::of(&app.log_in(&mut browser, &page, &amina).await);
            let id_token = claims(app.exchange(callback.code()).await.json()["id_token"].as_str().unwrap());
            assert!(id_token["auth_time"].as_i64() > first["auth_time"].as_i64(), "{again:?}");
            assert_eq!((&id_token["sub"], &id_token["sid"]), (&first["sub"], &first["sid"]));
        }
        // An old enough sign-in is asked again, a young enough one is not; auth_time stays what it was.
        idp.advance(Duration::from_secs(100));
        assert!(app.send(&mut browser, &[("max_age", "50")]).await.has("#login-form"));
        let callback = app.sign_in(&mut browser, &amina, &[("max_age", "1000"), ("prompt", "none")]).await;
        assert!(!callback.code().is_empty());
        Callback::of(&app.send(&mut browser, &[("max_age", "50"), ("prompt", "none")]).await).assert_error("login_required");
    }

    /// R2: who must sign in again may come from Therap Services instead, after the request.
    async fn a_handoff_after_the_request_satisfies_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let answer = browser.get(&app.path(&[("prompt", "login")])).await;
        let login = answer.location().to_owned();
        assert!(browser.get(&login).await.has("#reauth-notice"));
        idp.advance(Duration::from_secs(1));
        browser.hand_off(&idp.therap_services().sign(&amina)).await;
        let answer = browser.get(&login).await;
        assert!(!Callback::of(&browser.follow_within(answer).await).code().is_empty());
    }

    /// OpenID Connect Core §3.1.2.1: `id_token_hint` names who is meant, `login_hint` fills in the page.
    async fn hints_are_followed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let app = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        let tokens = app.tokens(&mut browser, &amina, &[]).await;
        let hint = tokens["id_token"].as_str().unwrap();
        let quiet = [("prompt", "none"), ("id_token_hint", hint)];
        assert!(!Callback::of(&app.send(&mut browser, &quiet).await).code().is_empty());
        let mut other = idp.browser();
        other.sign_in(&bruno).await;
        Callback::of(&app.send(&mut other, &quiet).await).assert_error("login_required");
        let page = app.send(&mut other, &[("id_token_hint", hint)]).await;
        assert!(page.has("#login-form"), "the hinted user may sign in here");
        let page = app.send(&mut idp.browser(), &[("login_hint", "nobody@x")]).await;
        assert_eq!(page.attribute("#login-name", "value").as_deref(), Some("nobody@x"));
        // Never an error (OpenID Connect Core §3.1.2.1).
        for harmless in [("display", "wap"), ("ui_locales", "xx-YY"), ("claims_locales", "zz"), ("acr_values", "1 2"), ("foo", "bar")] {
            assert!(app.send(&mut idp.browser(), &[harmless]).await.has("#login-form"), "{harmless:?}");
        }
    }

    /// RFC 6749 §4.1.2.1: Cancel on the login page is `access_denied`.
    async fn cancel_goes_back_to_the_app(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        let page = app.send(&mut browser, &[]).await;
        let callback = Callback::of(&browser.submit(&page, "form:has(#login-cancel)", &[]).await);
        callback.assert_error("access_denied");
        assert_eq!(callback.params["state"], "a state");
        assert!(!browser.get("/login").await.has("#login-cancel"), "nobody to go back to");
    }

    /// L7: no app is reachable until a temporary password is replaced; then the user lands there (L9).
    async fn a_temporary_password_is_replaced_first(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (new, app) = (idp.user("new").temporary().create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let page = app.send(&mut browser, &[]).await;
        let page = app.log_in(&mut browser, &page, &new).await;
        assert!(page.has("#update-form"));
        Callback::of(&app.send(&mut browser, &[("prompt", "none")]).await).assert_error("login_required");
        assert!(app.send(&mut browser, &[]).await.has("#update-form"));
        let fields = [("new_password", "Another-Horse-10"), ("confirm_new_password", "Another-Horse-10")];
        let answer = browser.submit(&page, "#update-form", &fields).await;
        assert!(!Callback::of(&browser.follow_within(answer).await).code().is_empty());
    }

    /// G12: two tabs, Back and a double submit do not disturb each other.
    async fn two_tabs_do_not_disturb_each_other(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (one, two) = (idp.app("one", |_| {}).await, idp.app("two", |_| {}).await);
        let mut browser = idp.browser();
        let first = one.send(&mut browser, &[("state", "1")]).await;
        let second = two.send(&mut browser, &[("state", "2")]).await;
        let callback = Callback::of(&one.log_in(&mut browser, &first, &amina).await);
        assert_eq!((callback.uri.as_str(), callback.params["state"].as_str()), ("https://one.example/callback", "1"));
        let callback = Callback::of(&two.log_in(&mut browser, &second, &amina).await);
        assert_eq!((callback.uri.as_str(), callback.params["state"].as_str()), ("https://two.example/callback", "2"));
        // Back, and the same form once more.
        let callback = Callback::of(&one.log_in(&mut browser, &first, &amina).await);
        assert_eq!(callback.params["state"], "1");
    }

    /// G12: a request that waits belongs to one browser.
    async fn a_waiting_request_is_bound_to_its_browser(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let (mut victim, mut thief) = (idp.browser(), idp.browser());
        let page = app.send(&mut thief, &[]).await;
        victim.sign_in(&amina).await;
        let resume = page.attribute("input[name=return_to]", "value").unwrap();
        let answer = victim.get(&resume).await;
        assert_eq!((answer.status.as_u16(), answer.text("#error-code")), (400, "invalid_request".into()));
        // The row of a POST is bound by the first that comes.
        idp.advance(Duration::from_hours(13));
        assert_eq!(thief.get(&resume).await.status, 400, "too old");
        assert_eq!(victim.get("/oauth2/authorize/resume").await.status, 400);
    }

    /// A request that was answered gives no second answer for nothing: nobody goes on from the history where somebody
    /// had to sign in, and nobody is told to sign in again, since nothing is asked.
    async fn an_answered_request_asks_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let page = app.send(&mut browser, &[("prompt", "login")]).await;
        let resume = page.attribute("input[name=return_to]", "value").unwrap();
        assert!(!Callback::of(&app.log_in(&mut browser, &page, &amina).await).code().is_empty());
        let again = browser.get(&resume).await;
        let page = browser.follow_within(again).await;
        assert!(page.has("#answered") && !page.has("#login-form"), "{}", page.body);
    }

    /// OpenID Connect Core §5.5.1: who is asked for by `sub` is the one who signs in.
    async fn a_wanted_sub_is_the_user_that_is_meant(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let app = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        browser.sign_in(&bruno).await;
        let wish = format!(r#"{{"id_token":{{"sub":{{"value":"{}"}}}}}}"#, amina.id);
        let quiet = [("claims", wish.as_str()), ("prompt", "none")];
        Callback::of(&app.send(&mut browser, &quiet).await).assert_error("login_required");
        browser.sign_in(&amina).await;
        assert!(!Callback::of(&app.send(&mut browser, &quiet).await).code().is_empty());
    }

    /// RFC 6749 §4.1.2.1: a description is ASCII on one line, whatever was sent; Multiple Response Types §2.1: the
    /// fragment where tokens were asked for.
    async fn an_error_is_readable_where_the_client_looks(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        let path = format!("{}&%22%C3%A9%0Ax=1&%22%C3%A9%0Ax=2", app.path(&[]));
        Callback::of(&idp.browser().get(&path).await).assert_error("invalid_request");
        let answer = idp.browser().get(&app.path(&[("response_type", "id_token")])).await;
        assert!(answer.location().starts_with("https://portal.example/callback#error=unsupported_response_type"));
    }

    /// G9: a code is born of a session that lives at that very moment.
    async fn a_session_that_ended_bears_no_code(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        idp.lock(&amina).await;
        Callback::of(&app.send(&mut browser, &[("prompt", "none")]).await).assert_error("login_required");
        assert_eq!(idp.number("SELECT COUNT(*) FROM codes").await, 0);
    }
}

both_engines! {
    /// G22: what strangers write has a number for each address; whoever is signed in passes.
    async fn one_address_begins_so_many_requests_a_minute(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.throttle.enabled = true;
            config.throttle.address_per_minute = 3;
        }).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut signed_in = idp.browser();
        signed_in.sign_in(&amina).await;
        for _ in 0..12 {
            assert_eq!(idp.browser().get(&app.path(&[])).await.status, 303);
        }
        let answer = idp.browser().get(&app.path(&[])).await;
        assert_eq!((answer.status.as_u16(), answer.has("#error-page")), (429, true));
        assert!(!Callback::of(&signed_in.get(&app.path(&[])).await).code().is_empty());
        let mut elsewhere = idp.browser();
        elsewhere.address = "192.0.2.99".parse().unwrap();
        assert_eq!(elsewhere.get(&app.path(&[])).await.status, 303);
    }
}
