//! The token endpoint (RFC 6749 §3.2).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use connect_idp::crypto::jws::Algorithm;
use connect_idp::crypto::secret::Secret;
use connect_idp::model::client::{AccessTokenFormat, AuthMethod, GrantType};
use connect_idp::operations::clients;
use connect_idp::time::Random;
use serde_json::json;

use crate::actors::{Callback, Idp, VERIFIER, bearer, claims, encode};
use crate::operations::clients::lifecycle::draft;

both_engines! {
    /// RFC 6749 §5.1, OpenID Connect Core §3.1.3.3: the whole answer.
    async fn a_code_is_exchanged_for_tokens(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let callback = app.sign_in(&mut browser, &amina, &[]).await;
        idp.advance(Duration::from_secs(7));
        let answer = app.exchange(callback.code()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let tokens = answer.json();
        assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_i64()), (Some("Bearer"), Some(900)));
        assert_eq!(tokens["scope"], "email openid profile provider");
        assert_eq!(tokens["access_token"].as_str().unwrap().len(), 43, "32 random bytes");
        let id_token = claims(tokens["id_token"].as_str().unwrap());
        let now = idp.now().seconds();
        assert_eq!(id_token["iss"], "https://connect.example.org");
        assert_eq!((id_token["aud"].as_str(), id_token["sub"].as_str()), (Some("portal"), Some(amina.id.as_str())));
        assert_eq!((id_token["iat"].as_i64(), id_token["auth_time"].as_i64()), (Some(now), Some(now - 7)));
        assert_eq!(id_token["exp"].as_i64(), Some(now + 3600));
        assert_eq!((id_token["nonce"].as_str(), id_token["acr"].as_str()), (Some("a nonce"), Some("urn:therap-connect:acr:password")));
        assert_eq!(id_token["amr"], serde_json::json!(["pwd"]));
        assert!(id_token["sid"].is_string() && id_token["at_hash"].is_string());
        // OpenID Connect Core §5.4: what scopes bring is for userinfo.
        for absent in ["name", "email", "provider_code", "azp"] {
            assert_eq!(id_token.get(absent), None, "{absent}");
        }
        idp.assert_invariants().await;
    }

    /// Each algorithm signs with a key of the published set whose kty, alg and use fit.
    async fn each_client_has_its_algorithm(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for alg in Algorithm::ALL {
            let app = idp.app(&format!("app-{}", alg.name()), |m| m.id_token_signed_response_alg = alg).await;
            let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
            let jwks = idp.program(Method::GET, "/oauth2/jwks", HeaderMap::new(), String::new()).await;
            let keys = connect_idp::crypto::key_set::VerifyingKeys::parse(&jwks.body).unwrap();
            let id_token = connect_idp::crypto::jws::Unverified::parse(tokens["id_token"].as_str().unwrap(), 8192).unwrap();
            assert_eq!(id_token.header["alg"], alg.name());
            assert!(keys.get(id_token.header["kid"].as_str().unwrap()).unwrap().verify(&id_token), "{alg:?}");
        }
    }

    /// RFC 6749 §5.2, RFC 7636 §4.6, RFC 9700 §2.1.1: each way in which a code is not valid.
    async fn a_code_that_is_not_right_is_an_invalid_grant(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (app, other) = (idp.app("portal", |_| {}).await, idp.app("other", |_| {}).await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let uri = app.redirect_uri().to_owned();
        let right = [("grant_type", "authorization_code"), ("redirect_uri", uri.as_str()), ("code_verifier", VERIFIER)];
        let wrong_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx";
        for change in [
            ("redirect_uri", ""),
            ("redirect_uri", "https://portal.example/other"),
            ("code_verifier", ""),
            ("code_verifier", wrong_verifier),
            ("code", "x"),
            ("code", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            let code = app.sign_in(&mut browser, &amina, &[]).await.code().to_owned();
            let mut fields: Vec<_> = right.into_iter().chain([("code", code.as_str())]).collect();
            fields.retain(|(name, _)| *name != change.0);
            if !change.1.is_empty() {
                fields.push(change);
            }
            app.post("/oauth2/token", &fields).await.assert_oauth_error(400, "invalid_grant");
            if change.0 != "code" {
                app.exchange(&code).await.assert_oauth_error(400, "invalid_grant");
            }
        }
        let code = app.sign_in(&mut browser, &amina, &[]).await.code().to_owned();
        other.post("/oauth2/token", &[right[0], right[1], right[2], ("code", &code)]).await.assert_oauth_error(400, "invalid_grant");
        let none = [("code_challenge", ""), ("code_challenge_method", "")];
        let code = app.sign_in(&mut browser, &amina, &none).await.code().to_owned();
        app.exchange(&code).await.assert_oauth_error(400, "invalid_grant");
        let code = app.sign_in(&mut browser, &amina, &none).await.code().to_owned();
        assert_eq!(app.post("/oauth2/token", &[right[0], right[1], ("code", &code)]).await.status, 200);
        let code = app.sign_in(&mut browser, &amina, &[]).await.code().to_owned();
        idp.advance(Duration::from_mins(1));
        app.exchange(&code).await.assert_oauth_error(400, "invalid_grant");
    }

    /// RFC 6749 §4.1.2: a second use is refused, and every token of the first stops working at once.
    async fn a_code_used_twice_takes_its_tokens_along(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let callback = app.sign_in(&mut idp.browser(), &amina, &[]).await;
        let tokens = app.exchange(callback.code()).await.json();
        let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        assert_eq!(app.userinfo(access).await.status, 200);
        idp.advance(Duration::from_secs(30));
        app.exchange(callback.code()).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(app.userinfo(access).await.status, 401);
        app.refresh(refresh).await.assert_oauth_error(400, "invalid_grant");
        assert!(!app.is_active(access).await && !app.is_active(refresh).await);
    }

    /// RFC 6749 §2.3.1: a client that names no method uses either, and whoever is proven by either hears the same
    /// reason: some libraries send the same request by the other one after any refusal.
    async fn a_client_that_names_no_method_uses_basic_or_post(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("jupyterhub", |_| {}).await);
        let mut form = app.clone();
        form.client.metadata.token_endpoint_auth_method = Some(AuthMethod::Post);
        let mut browser = idp.browser();
        for way in [&app, &form] {
            let code = app.sign_in(&mut browser, &amina, &[]).await.code().to_owned();
            assert_eq!(way.exchange(&code).await.status, 200);
            assert_eq!(way.exchange("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await.json()["error"], "invalid_grant");
        }
        let late = app.sign_in(&mut browser, &amina, &[]).await.code().to_owned();
        idp.advance(Duration::from_mins(2));
        for way in [&app, &form] {
            way.exchange(&late).await.assert_oauth_error(400, "invalid_grant");
            let mut wrong = way.clone();
            wrong.secret = "wrong".into();
            wrong.exchange(&late).await.assert_oauth_error(401, "invalid_client");
        }
        let mut unproven = app.clone();
        unproven.client.metadata.token_endpoint_auth_method = Some(AuthMethod::None);
        unproven.exchange(&late).await.assert_oauth_error(401, "invalid_client");
        let pinned = json!({"token_endpoint_auth_method": "client_secret_basic"});
        clients::set(&idp.act(), "jupyterhub", &draft(&pinned)).await.unwrap();
        app.exchange(&late).await.assert_oauth_error(400, "invalid_grant");
        form.exchange(&late).await.assert_oauth_error(401, "invalid_client");
    }

    /// RFC 6749 §2.3, §5.2: exactly one way of proof, the registered one.
    async fn a_client_proves_itself_as_registered(engine: Engine) {
        let idp = Idp::start(engine).await;
        let basic = idp.app("basic", |m| m.token_endpoint_auth_method = Some(AuthMethod::Basic)).await;
        let post = idp.app("post", |m| m.token_endpoint_auth_method = Some(AuthMethod::Post)).await;
        let form = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        let token = async |headers: HeaderMap, fields: &[(&str, &str)]| {
            idp.program(Method::POST, "/oauth2/token", headers, encode(fields)).await
        };
        let grant = ("grant_type", "client_credentials");
        let answer = token(form.clone(), &[grant]).await;
        answer.assert_oauth_error(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), None, "nobody tried Basic");
        let mut wrong = form.clone();
        wrong.insert(header::AUTHORIZATION, "Basic YmFzaWM6d3Jvbmc=".parse().unwrap());
        let answer = token(wrong, &[grant]).await;
        answer.assert_oauth_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "RFC 6749 §5.2");
        for (headers, fields) in [
            (form.clone(), vec![grant, ("client_id", "basic"), ("client_secret", basic.secret.as_str())]),
            (form.clone(), vec![grant, ("client_id", "post"), ("client_secret", basic.secret.as_str())]),
            (form.clone(), vec![grant, ("client_id", "nobody"), ("client_secret", "x")]),
            (form.clone(), vec![grant, ("client_id", "basic")]),
            (form.clone(), vec![grant, ("client_assertion_type", "x"), ("client_assertion", "y")]),
        ] {
            token(headers, &fields).await.assert_oauth_error(401, "invalid_client");
        }
        token(basic.headers(), &[grant, ("client_id", "basic"), ("client_secret", "x")]).await.assert_oauth_error(400, "invalid_request");
        token(basic.headers(), &[grant, ("client_id", "post")]).await.assert_oauth_error(400, "invalid_request");
        // Proven, both; and neither may use this grant.
        basic.post("/oauth2/token", &[grant]).await.assert_oauth_error(400, "unauthorized_client");
        post.post("/oauth2/token", &[grant]).await.assert_oauth_error(400, "unauthorized_client");
        basic.post("/oauth2/token", &[]).await.assert_oauth_error(400, "invalid_request");
        basic.post("/oauth2/token", &[("grant_type", "password")]).await.assert_oauth_error(400, "unsupported_grant_type");
        basic.post("/oauth2/token", &[grant, grant]).await.assert_oauth_error(400, "invalid_request");
        basic.post("/oauth2/token", &[("grant_type", "authorization_code")]).await.assert_oauth_error(400, "invalid_request");
    }

    /// RFC 6749 §6, OpenID Connect Core §12.2: a client with credentials keeps its refresh token.
    async fn a_refresh_speaks_of_the_same_sign_in(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let first = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let refresh = first["refresh_token"].as_str().unwrap();
        idp.advance(Duration::from_secs(1000));
        assert_eq!(app.userinfo(first["access_token"].as_str().unwrap()).await.status, 401, "it is old");
        let answer = app.refresh(refresh).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("no-store")));
        let second = answer.json();
        assert_eq!(second.get("refresh_token"), None);
        assert_eq!(app.userinfo(second["access_token"].as_str().unwrap()).await.status, 200);
        let (old, new) = (claims(first["id_token"].as_str().unwrap()), claims(second["id_token"].as_str().unwrap()));
        for same in ["iss", "sub", "aud", "auth_time", "acr", "amr", "sid"] {
            assert_eq!(old[same], new[same], "{same}");
        }
        assert!(new["iat"].as_i64() > old["iat"].as_i64() && new.get("nonce").is_none());
        let narrowed = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("scope", "openid email")];
        assert_eq!(app.post("/oauth2/token", &narrowed).await.json()["scope"], "email openid");
        let widened = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("scope", "openid phone")];
        app.post("/oauth2/token", &widened).await.assert_oauth_error(400, "invalid_scope");
        assert_eq!(app.refresh(refresh).await.json()["scope"], "email openid profile provider", "absent means the same");
        for wrong in ["x", "a.b", &format!("{}.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", idp.app.random.id(idp.now()))] {
            app.refresh(wrong).await.assert_oauth_error(400, "invalid_grant");
        }
        let other = idp.app("other", |_| {}).await;
        other.refresh(refresh).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(app.refresh(refresh).await.status, 200, "another client's try harms nobody");
        app.post("/oauth2/token", &[("grant_type", "refresh_token")]).await.assert_oauth_error(400, "invalid_request");
    }

    /// G14, RFC 9700 §4.14.2: a public client's token is replaced each time; reuse revokes the family.
    async fn a_public_client_gets_a_new_refresh_token_each_time(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        let first = app.tokens(&mut idp.browser(), &amina, &[]).await["refresh_token"].as_str().unwrap().to_owned();
        let answer = app.refresh(&first).await;
        let second = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        assert_ne!(first, second);
        // Within 10 seconds a retry gets the same answer, to the letter.
        idp.advance(Duration::from_millis(9_999));
        assert_eq!(app.refresh(&first).await.body, answer.body);
        let third = app.refresh(&second).await.json()["refresh_token"].as_str().unwrap().to_owned();
        // The one before the one before is nobody's retry.
        app.refresh(&first).await.assert_oauth_error(400, "invalid_grant");
        app.refresh(&third).await.assert_oauth_error(400, "invalid_grant");
    }

    /// G30: one sign-in of an app is refreshed so often and no oftener, and only a limited number of its tokens live.
    async fn one_family_fills_no_table(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = true).await;
        let (amina, other) = (idp.user("amina").create().await, idp.user("other").create().await);
        let app = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        let mut tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let others = app.tokens(&mut idp.browser(), &other, &[]).await;
        let first = tokens["access_token"].as_str().unwrap().to_owned();
        for _ in 0..60 {
            idp.advance(Duration::from_millis(1));
            tokens = app.refresh(tokens["refresh_token"].as_str().unwrap()).await.json();
        }
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let told = app.refresh(refresh).await;
        told.assert_oauth_error(429, "temporarily_unavailable");
        assert_eq!(told.headers["retry-after"], "1");
        assert_eq!(app.refresh(others["refresh_token"].as_str().unwrap()).await.status, 200);
        assert_eq!(app.userinfo(&first).await.status, 401);
        assert_eq!(app.userinfo(tokens["access_token"].as_str().unwrap()).await.status, 200);
        let most = idp.number("SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM access_tokens GROUP BY family_id) AS counted").await;
        assert_eq!(most, 20);
        idp.advance(Duration::from_secs(1));
        assert_eq!(app.refresh(refresh).await.status, 200, "a refusal spends nothing");
    }

    /// A client that was changed since it was known is read once more, and its request takes one place of the throttle.
    async fn a_request_after_a_change_of_its_client_pays_once(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.throttle.enabled = true;
            config.throttle.client_per_minute = 3;
        }).await;
        let rename = async |client_id: &str, name: usize| {
            let renamed = json!({"client_name": format!("Name {name}")});
            clients::set(&idp.act(), client_id, &draft(&renamed)).await.unwrap();
        };
        let service = idp.app("service", |m| {
            m.grant_types = vec![GrantType::ClientCredentials];
            m.scope = "users.read".into();
        }).await;
        let ask = async || service.post("/oauth2/token", &[("grant_type", "client_credentials")]).await;
        for n in 0..3 {
            assert_eq!(ask().await.status, 200, "{n}");
            rename("service", n).await;
        }
        ask().await.assert_oauth_error(429, "temporarily_unavailable");
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        for n in 0..60 {
            assert_eq!(app.refresh(refresh_token).await.status, 200, "{n}");
            rename("portal", n).await;
        }
        app.refresh(refresh_token).await.assert_oauth_error(429, "temporarily_unavailable");
    }

    /// RFC 6749 §2.3.1: pinned to one method, the other is refused wherever a client proves itself, with the right secret too,
    /// also by what was known of it before it was pinned.
    async fn a_pinned_client_is_refused_by_the_other_method(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |m| {
            m.grant_types.push(GrantType::ClientCredentials);
            m.scope.push_str(" users.read");
        }).await;
        let by = |method| {
            let mut app = app.clone();
            app.client.metadata.token_endpoint_auth_method = Some(method);
            app
        };
        let (basic, form) = (by(AuthMethod::Basic), by(AuthMethod::Post));
        let calls: [(&str, &[(&str, &str)]); 3] = [
            ("/oauth2/token", &[("grant_type", "client_credentials")]), ("/oauth2/introspect", &[("token", "x")]), ("/oauth2/revoke", &[("token", "x")]),
        ];
        for (pin, good, bad) in [(None, &basic, None), (Some("client_secret_basic"), &basic, Some(&form)), (Some("client_secret_post"), &form, Some(&basic)), (None, &form, None)] {
            clients::set(&idp.act(), "portal", &draft(&json!({"token_endpoint_auth_method": pin}))).await.unwrap();
            for (path, fields) in calls {
                assert_eq!(good.post(path, fields).await.status, 200, "{path} {pin:?}");
                match bad {
                    Some(bad) => bad.post(path, fields).await.assert_oauth_error(401, "invalid_client"),
                    None => assert_eq!(form.post(path, fields).await.status, 200, "{path} {pin:?}"),
                }
            }
        }
    }

    /// G14: the grace ends after 10 seconds.
    async fn a_replaced_token_is_reuse_after_its_grace(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        let first = app.tokens(&mut idp.browser(), &amina, &[]).await["refresh_token"].as_str().unwrap().to_owned();
        let second = app.refresh(&first).await.json();
        idp.advance(Duration::from_secs(10));
        app.refresh(&first).await.assert_oauth_error(400, "invalid_grant");
        app.refresh(second["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(app.userinfo(second["access_token"].as_str().unwrap()).await.status, 401);
    }

    /// G14: what was never a token of ours is no reuse, though it names a family that lives.
    async fn a_token_that_never_was_revokes_no_family(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        let first = app.tokens(&mut idp.browser(), &amina, &[]).await["refresh_token"].as_str().unwrap().to_owned();
        let (family, _) = first.split_once('.').unwrap();
        let invented = format!("{family}.{}", Secret::random(&Random::seeded(99)).reveal());
        app.refresh(&invented).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(app.refresh(&first).await.status, 200, "the family lives on");
    }

    /// R4: without `offline_access` a refresh token ends with logout or the absolute limit, not with idleness.
    async fn a_refresh_token_lives_with_its_session_unless_offline(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let bound = app.tokens(&mut browser, &amina, &[]).await["refresh_token"].as_str().unwrap().to_owned();
        let offline = app.tokens(&mut browser, &amina, &[("scope", "openid offline_access")]).await;
        let offline = offline["refresh_token"].as_str().unwrap().to_owned();
        idp.advance(Duration::from_mins(45));
        browser.assert_signed_out().await;
        assert_eq!(app.refresh(&bound).await.status, 200, "idle, and still good");
        idp.advance(Duration::from_hours(12));
        app.refresh(&bound).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(app.refresh(&offline).await.status, 200);
        let mut browser = idp.browser();
        let bound = app.tokens(&mut browser, &amina, &[]).await;
        browser.post("/logout", &[]).await;
        app.refresh(bound["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
        assert_eq!(app.userinfo(bound["access_token"].as_str().unwrap()).await.status, 401);
        assert_eq!(app.refresh(&offline).await.status, 200);
        idp.advance(Duration::from_hours(24 * 30));
        app.refresh(&offline).await.assert_oauth_error(400, "invalid_grant");
    }

    /// U3: a renewal keeps the `sid`, and with it what apps were given.
    async fn a_renewed_session_keeps_its_tokens(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        let tokens = app.tokens(&mut browser, &amina, &[]).await;
        browser.hand_off(&idp.therap_services().sign(&amina)).await;
        assert_eq!(app.refresh(tokens["refresh_token"].as_str().unwrap()).await.status, 200);
        // Another user in this browser ends it.
        let bruno = idp.user("bruno").create().await;
        browser.hand_off(&idp.therap_services().sign(&bruno)).await;
        app.refresh(tokens["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
    }

    /// U3, R4: a sign-in over a session that is idle ends it for another user, and goes on with it for the same one.
    async fn a_sign_in_over_an_idle_session_leaves_nothing_behind(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bruno) = (idp.user("amina").create().await, idp.user("bruno").create().await);
        let app = idp.app("portal", |_| {}).await;
        let mut browser = idp.browser();
        let first = app.tokens(&mut browser, &amina, &[]).await;
        let (refresh, sid) = (first["refresh_token"].as_str().unwrap(), claims(first["id_token"].as_str().unwrap())["sid"].clone());
        idp.advance(Duration::from_mins(45));
        browser.assert_signed_out().await;
        let again = app.tokens(&mut browser, &amina, &[]).await;
        assert_eq!(claims(again["id_token"].as_str().unwrap())["sid"], sid);
        assert_eq!(app.refresh(refresh).await.status, 200);
        idp.advance(Duration::from_mins(45));
        browser.sign_in(&bruno).await;
        app.refresh(refresh).await.assert_oauth_error(400, "invalid_grant");
        idp.assert_invariants().await;
    }

    /// R4: an admin's lock, a deactivation, a reset, a deactivated provider or client end everything at once.
    async fn what_ends_a_user_ends_the_tokens(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        let ways = ["lock", "deactivate", "reset", "provider"];
        for (index, way) in ways.into_iter().enumerate() {
            let user = idp.user(&format!("user{index}")).create().await;
            let mut browser = idp.browser();
            let tokens = app.tokens(&mut browser, &user, &[("scope", "openid offline_access")]).await;
            let code = app.sign_in(&mut browser, &user, &[]).await.code().to_owned();
            match way {
                "lock" => idp.lock(&user).await,
                "deactivate" => idp.set_active(&user, false).await,
                "reset" => idp.reset_password(&user, "Another-Horse-10").await,
                _ => idp.set_provider_active(&user.provider_id, false).await,
            }
            let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
            let answer = app.userinfo(access).await;
            assert_eq!(answer.status, 401, "{way}");
            assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
            app.refresh(refresh).await.assert_oauth_error(400, "invalid_grant");
            app.exchange(&code).await.assert_oauth_error(400, "invalid_grant");
            assert!(!app.is_active(access).await && !app.is_active(refresh).await, "{way}");
        }
        idp.assert_invariants().await;
    }

    /// R4: a password lock touches no live session or token.
    async fn a_password_lock_leaves_tokens_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        for _ in 0..3 {
            idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        }
        assert_eq!(app.userinfo(tokens["access_token"].as_str().unwrap()).await.status, 200);
        assert_eq!(app.refresh(tokens["refresh_token"].as_str().unwrap()).await.status, 200);
    }

    /// RFC 6749 §4.4: a client for itself; no refresh token, no ID token.
    async fn a_client_gets_a_token_of_its_own(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("therap", |m| {
            m.grant_types = vec![GrantType::ClientCredentials];
            m.scope = "unified-login.read".into();
        }).await;
        let answer = app.post("/oauth2/token", &[("grant_type", "client_credentials")]).await.json();
        assert_eq!(answer["scope"], "unified-login.read");
        assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none());
        for scope in ["openid", "unified-login.read openid", "a\""] {
            let fields = [("grant_type", "client_credentials"), ("scope", scope)];
            app.post("/oauth2/token", &fields).await.assert_oauth_error(400, "invalid_scope");
        }
        let access = answer["access_token"].as_str().unwrap();
        assert_eq!(app.userinfo(access).await.status, 403, "it speaks for no user");
        // U9.
        let ask = async |code: &str, headers: HeaderMap| {
            idp.program(Method::GET, &format!("/unified-login/providers/{code}"), headers, String::new()).await
        };
        idp.provider("CEDAR-OR", |p| p.unified_login = connect_idp::model::provider::UnifiedLogin::Requested).await;
        for (code, on) in [("SUNRISE-IL", true), ("CEDAR-OR", false), ("NOBODY", false), ("sunrise-il", false)] {
            let answer = ask(code, bearer(access)).await;
            assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("private, max-age=60")));
            assert_eq!(answer.json(), serde_json::json!({ "provider_code": code, "unified_login": on }));
        }
        assert_eq!(ask("SUNRISE-IL", HeaderMap::new()).await.status, 401);
        ask("SUNRISE-IL", bearer("x")).await.assert_oauth_error(401, "invalid_token");
        let portal = idp.app("portal", |_| {}).await;
        let tokens = portal.tokens(&mut idp.browser(), &idp.user("amina").create().await, &[]).await;
        ask("SUNRISE-IL", bearer(tokens["access_token"].as_str().unwrap())).await.assert_oauth_error(403, "insufficient_scope");
    }

    /// RFC 9068 §2: a JWT access token, which works wherever an opaque one does and ends as one does.
    async fn an_access_token_may_be_a_jwt(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| {
            m.access_token_format = AccessTokenFormat::Jwt;
            m.resources = vec!["https://api.portal.example".into()];
        }).await;
        let tokens = app.tokens(&mut idp.browser(), &amina, &[("resource", "https://api.portal.example")]).await;
        let access = tokens["access_token"].as_str().unwrap();
        let jws = connect_idp::crypto::jws::Unverified::parse(access, 8192).unwrap();
        assert_eq!(jws.header["typ"], "at+jwt");
        let inside = claims(access);
        assert_eq!((inside["aud"].as_str(), inside["client_id"].as_str()), (Some("https://api.portal.example"), Some("portal")));
        for required in ["iss", "exp", "sub", "iat", "jti", "scope", "acr", "auth_time"] {
            assert!(inside.get(required).is_some(), "{required}");
        }
        assert!(app.is_active(access).await);
        assert_eq!(app.userinfo(access).await.status, 401, "it is for another resource (RFC 8707 §2)");
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let other = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("resource", "https://other.example")];
        app.post("/oauth2/token", &other).await.assert_oauth_error(400, "invalid_target");
        let own = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let own = own["access_token"].as_str().unwrap();
        assert_eq!(app.userinfo(own).await.status, 200);
        assert_eq!(app.userinfo(tokens["id_token"].as_str().unwrap()).await.status, 401, "RFC 9068 §4: an ID token is none");
        idp.lock(&amina).await;
        assert_eq!((app.userinfo(own).await.status.as_u16(), app.is_active(access).await), (401, false));
    }

    /// OpenID Connect Core §5.5: single claims come where they are asked for and nowhere else.
    async fn single_claims_come_where_they_are_asked_for(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let wish = r#"{"id_token":{"provider_code":{"essential":true},"x":null},"userinfo":{"name":null}}"#;
        let tokens = app.tokens(&mut idp.browser(), &amina, &[("scope", "openid"), ("claims", wish)]).await;
        let id_token = claims(tokens["id_token"].as_str().unwrap());
        assert_eq!((id_token["provider_code"].as_str(), id_token.get("name")), (Some("SUNRISE-IL"), None));
        let userinfo = app.userinfo(tokens["access_token"].as_str().unwrap()).await.json();
        assert_eq!(userinfo, serde_json::json!({ "sub": amina.id, "name": "amina Diallo" }));
        let again = app.refresh(tokens["refresh_token"].as_str().unwrap()).await.json();
        assert_eq!(claims(again["id_token"].as_str().unwrap())["provider_code"], "SUNRISE-IL");
    }

    /// OpenID Connect Core §5.4: the claims of scopes are at userinfo; for a client with `id_token_claims` in the ID
    /// token too, after a refresh as well, of the scope that was granted and no other.
    async fn the_claims_of_scopes_stand_in_the_id_token_where_a_client_wants_them(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let stored = r#"{"email":"amina@example.org"}"#;
        idp.outsider().await.run(&format!("UPDATE users SET claims = '{stored}' WHERE id = '{}'", amina.id)).await;
        let kube = idp.app("kubernetes", |m| m.id_token_claims = true).await;
        let wish = r#"{"id_token":{"name":null}}"#;
        let tokens = kube.tokens(&mut idp.browser(), &amina, &[("scope", "openid email provider"), ("claims", wish)]).await;
        let narrowed = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ("scope", "openid email"),
        ];
        let less = kube.post("/oauth2/token", &narrowed).await.json();
        let again = kube.refresh(tokens["refresh_token"].as_str().unwrap()).await.json();
        for (answer, provider) in [(tokens, Some("SUNRISE-IL")), (less, None), (again, Some("SUNRISE-IL"))] {
            let inside = claims(answer["id_token"].as_str().unwrap());
            assert_eq!((inside["email"].as_str(), inside["email_verified"].as_bool()), (Some("amina@example.org"), Some(false)));
            assert_eq!(inside.get("provider_code").and_then(|code| code.as_str()), provider, "{inside}");
            assert_eq!((inside["name"].as_str(), inside.get("preferred_username")), (Some("amina Diallo"), None));
            assert_eq!((inside["sub"].as_str(), inside["aud"].as_str()), (Some(amina.id.as_str()), Some("kubernetes")));
        }
    }

    /// An ID token with all that can be known of a user is still taken as a hint.
    async fn the_longest_id_token_logs_out(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |m| m.id_token_claims = true).await);
        let stored = format!(r#"{{"nickname":"{}"}}"#, "n".repeat(8170));
        idp.outsider().await.run(&format!("UPDATE users SET claims = '{stored}' WHERE id = '{}'", amina.id)).await;
        let mut browser = idp.browser();
        let tokens = app.tokens(&mut browser, &amina, &[]).await;
        let hint = tokens["id_token"].as_str().unwrap();
        assert!(hint.len() > 8192, "{}", hint.len());
        browser.get(&format!("/oauth2/end_session?{}", encode(&[("id_token_hint", hint)]))).await;
        browser.assert_signed_out().await;
    }

    /// RFC 6749 §3.1.2.1: without openid it is plain OAuth.
    async fn without_openid_there_is_no_id_token(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[("scope", "profile")]).await;
        assert_eq!((tokens.get("id_token"), tokens["scope"].as_str()), (None, Some("profile")));
        let answer = app.userinfo(tokens["access_token"].as_str().unwrap()).await;
        answer.assert_oauth_error(403, "insufficient_scope");
    }

    /// U2, OpenID Connect Core §4: a handoff that names an app lands there, with a session ready.
    async fn a_handoff_lands_at_the_app_it_names(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| m.initiate_login_uri = Some("https://portal.example/start?x=1".into())).await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().assertion(&amina).claim("target", "portal").sign()).await;
        let page = browser.complete(&first).await;
        // A page and not a redirect: the sender's form-action would stop one.
        let start = "https://portal.example/start?x=1&iss=https%3A%2F%2Fconnect.example.org";
        assert_eq!((page.status.as_u16(), page.attribute("#onwards", "href").as_deref()), (200, Some(start)));
        assert_eq!(page.attribute("meta[http-equiv=refresh]", "content"), Some(format!("0;url={start}")));
        assert!(!Callback::of(&app.send(&mut browser, &[("prompt", "none")]).await).code().is_empty());
        idp.app("silent", |_| {}).await;
        for target in ["silent", "nobody", "https://evil.example/"] {
            let first = browser.click(&idp.therap_services().assertion(&amina).claim("target", target).sign()).await;
            assert_eq!(browser.complete(&first).await.location(), "/", "{target}");
        }
    }
}
