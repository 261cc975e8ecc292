//! Userinfo, introspection, revocation, discovery and keys.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use connect_idp::crypto::jws::Algorithm;
use connect_idp::model::client::{AccessTokenFormat, AuthMethod};

use crate::actors::{Callback, Idp, bearer, claims, encode};

const FORM: &str = "application/x-www-form-urlencoded";

both_engines! {
    /// OpenID Connect Core §5.3, §5.4: every claim of the granted scopes, and only those that are known.
    async fn userinfo_tells_what_was_granted(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let stored = r#"{"email":"amina@example.org","email_verified":true,"given_name":"Amina","birthdate":"1990-02-03","phone_number":"+1 312 555 0100","address":{"country":"US"},"updated_at":1700000000}"#;
        idp.outsider().await.run(&format!("UPDATE users SET claims = '{stored}' WHERE id = '{}'", amina.id)).await;
        let all = [("scope", "openid profile email address phone provider")];
        let tokens = app.tokens(&mut idp.browser(), &amina, &all).await;
        let access = tokens["access_token"].as_str().unwrap();
        let answer = app.userinfo(access).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.json(), serde_json::json!({
            "sub": amina.id, "name": "amina Diallo", "preferred_username": "amina", "given_name": "Amina",
            "birthdate": "1990-02-03", "updated_at": 1_700_000_000, "email": "amina@example.org", "email_verified": true,
            "phone_number": "+1 312 555 0100", "phone_number_verified": false, "address": { "country": "US" },
            "provider_code": "SUNRISE-IL", "provider_name": "SUNRISE-IL Homes", "user_type": "Regular User",
        }));
        assert_eq!(answer.json()["sub"], claims(tokens["id_token"].as_str().unwrap())["sub"]);
        let less = app.tokens(&mut idp.browser(), &amina, &[("scope", "openid email")]).await;
        let less = app.userinfo(less["access_token"].as_str().unwrap()).await.json();
        assert_eq!(less.as_object().unwrap().len(), 3, "{less}");
    }

    /// OpenID Connect Core §5.1: an address or a number says whether it is proved, by scope and by `claims`, at both
    /// endpoints.
    async fn an_unproved_address_is_said_to_be_unproved(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut outsider = idp.outsider().await;
        let single = r#"{"userinfo":{"email":null,"phone_number":null},"id_token":{"email":null,"phone_number":null}}"#;
        for (verified, proof) in [
            (false, ""),
            (false, r#","email_verified":false,"phone_number_verified":false"#),
            (true, r#","email_verified":true,"phone_number_verified":true"#),
        ] {
            let stored = format!(r#"{{"email":"amina@example.org","phone_number":"+1 312 555 0100"{proof}}}"#);
            outsider.run(&format!("UPDATE users SET claims = '{stored}' WHERE id = '{}'", amina.id)).await;
            let by_claims = app.tokens(&mut idp.browser(), &amina, &[("scope", "openid"), ("claims", single)]).await;
            let by_scope = app.tokens(&mut idp.browser(), &amina, &[("scope", "openid email phone")]).await;
            for said in [
                claims(by_claims["id_token"].as_str().unwrap()),
                app.userinfo(by_claims["access_token"].as_str().unwrap()).await.json(),
                app.userinfo(by_scope["access_token"].as_str().unwrap()).await.json(),
            ] {
                assert_eq!(said["email"], "amina@example.org", "{said}");
                assert_eq!(said["email_verified"], verified, "{said}");
                assert_eq!(said["phone_number_verified"], verified, "{said}");
            }
        }
        outsider.run(&format!("UPDATE users SET claims = '{{}}' WHERE id = '{}'", amina.id)).await;
        let without = app.tokens(&mut idp.browser(), &amina, &[("scope", "openid email phone")]).await;
        let said = app.userinfo(without["access_token"].as_str().unwrap()).await.json();
        assert_eq!(said, serde_json::json!({ "sub": amina.id }));
    }

    /// RFC 6750 §2, §3: header or form, never the query, once; and what is said to whom.
    async fn a_token_is_taken_where_the_rfc_has_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let access = tokens["access_token"].as_str().unwrap();
        let form = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(FORM))]);
        let body = encode(&[("access_token", access)]);
        let post = async |headers: HeaderMap, body: &str| idp.program(Method::POST, "/oauth2/userinfo", headers, body.into()).await;
        assert_eq!(post(bearer(access), "").await.status, 200, "an empty POST with the header");
        assert_eq!(post(form.clone(), &body).await.status, 200);
        let mut lower = HeaderMap::from_iter([(header::AUTHORIZATION, format!("bearer {access}").parse().unwrap())]);
        lower.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        assert_eq!(post(lower, "").await.status, 200, "scheme and Accept do not matter");
        let mut both = form.clone();
        both.extend(bearer(access));
        post(both, &body).await.assert_oauth_error(400, "invalid_request");
        let query = format!("/oauth2/userinfo?access_token={access}");
        idp.program(Method::GET, &query, HeaderMap::new(), String::new()).await.assert_oauth_error(400, "invalid_request");
        let nothing = idp.program(Method::GET, "/oauth2/userinfo", HeaderMap::new(), String::new()).await;
        assert_eq!((nothing.status.as_u16(), nothing.header("www-authenticate")), (401, Some("Bearer realm=\"connect-idp\"")));
        let wrong = app.userinfo("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
        wrong.assert_oauth_error(401, "invalid_token");
        assert!(wrong.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
        app.userinfo(tokens["refresh_token"].as_str().unwrap()).await.assert_oauth_error(401, "invalid_token");
    }

    /// OpenID Connect Core §5.3.2: signed where the client registered it, with iss and aud, never a nonce.
    async fn userinfo_may_be_signed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| m.userinfo_signed_response_alg = Some(Algorithm::Es256)).await;
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let answer = app.userinfo(tokens["access_token"].as_str().unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/jwt")));
        let inside = claims(&answer.body);
        assert_eq!((inside["aud"].as_str(), inside["sub"].as_str()), (Some("portal"), Some(amina.id.as_str())));
        assert_eq!(inside.get("nonce"), None);
    }

    /// RFC 7662 §2.2.
    async fn introspection_says_what_a_token_is_worth(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        let answer = app.post("/oauth2/introspect", &[("token", access), ("token_type_hint", "refresh_token")]).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let said = answer.json();
        let now = idp.now().seconds();
        assert_eq!((said["active"].as_bool(), said["client_id"].as_str()), (Some(true), Some("portal")));
        assert_eq!((said["sub"].as_str(), said["username"].as_str()), (Some(amina.id.as_str()), Some("amina")));
        assert_eq!((said["iat"].as_i64(), said["exp"].as_i64()), (Some(now), Some(now + 900)));
        assert_eq!(said["scope"], "email openid profile provider");
        assert_eq!(app.post("/oauth2/introspect", &[("token", refresh)]).await.json()["active"], true);
        for nothing in ["x", "a.b.c", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(app.post("/oauth2/introspect", &[("token", nothing)]).await.json(), serde_json::json!({ "active": false }));
        }
        app.post("/oauth2/introspect", &[]).await.assert_oauth_error(400, "invalid_request");
        let public = idp.app("spa", |m| m.token_endpoint_auth_method = Some(AuthMethod::None)).await;
        public.post("/oauth2/introspect", &[("token", access)]).await.assert_oauth_error(401, "invalid_client");
    }

    /// RFC 7662 §4, G38: a token is active to its own client, to who has a resource that it is for, and to a gateway
    /// that an operator lets look at all. Nobody else learns that there is one.
    async fn a_token_is_active_to_whom_it_is_meant_for(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let [records, billing] = ["https://records.example/", "https://billing.example/"];
        let holds = |resources: &[&str]| resources.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let opaque = idp.app("opaque", |m| m.resources = holds(&[records, billing])).await;
        let signed = idp.app("signed", |m| {
            m.resources = holds(&[records, billing]);
            m.access_token_format = AccessTokenFormat::Jwt;
        }).await;
        let of_records = idp.app("records", |m| m.resources = holds(&[records])).await;
        let stranger = idp.app("stranger", |m| m.resources = holds(&["https://records.example"])).await;
        let gateway = idp.app("gateway", |m| m.introspect_all = true).await;
        for app in [&opaque, &signed] {
            let mut browser = idp.browser();
            let (mut pairs, mut all) = (Vec::new(), Vec::new());
            for resources in [vec![], vec![records], vec![billing], vec![records, billing]] {
                let mut query = app.path(&[]);
                for one in &resources {
                    query = format!("{query}&{}", encode(&[("resource", one)]));
                }
                let answer = browser.get(&query).await;
                let mut answer = browser.follow_within(answer).await;
                if answer.has("#login-form") {
                    answer = app.log_in(&mut browser, &answer, &amina).await;
                }
                let tokens = app.exchange(Callback::of(&answer).code()).await.json();
                let access = tokens["access_token"].as_str().unwrap().to_owned();
                pairs.push((access.clone(), resources.contains(&records)));
                all.extend([access, tokens["refresh_token"].as_str().unwrap().to_owned()]);
            }
            for (access, is_for_records) in &pairs {
                assert!(app.is_active(access).await && gateway.is_active(access).await);
                assert_eq!(of_records.is_active(access).await, *is_for_records);
            }
            for token in &all {
                let said = stranger.post("/oauth2/introspect", &[("token", token)]).await.json();
                assert_eq!(said, serde_json::json!({ "active": false }));
            }
            assert!(!gateway.is_active(&all[1]).await, "a refresh token is its own client's affair");
        }
        let program = idp.client("hr", "users.read").await;
        assert!(program.party.is_active(&program.token).await && !stranger.is_active(&program.token).await);
    }

    /// RFC 7009 §2: an access token goes alone, a refresh token takes its family along; what is unknown is no error.
    async fn revocation_ends_what_it_is_given(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let other = idp.app("other", |_| {}).await;
        let tokens = app.tokens(&mut idp.browser(), &amina, &[]).await;
        let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        for token in [access, refresh] {
            other.post("/oauth2/revoke", &[("token", token)]).await.assert_oauth_error(400, "invalid_grant");
            assert!(app.is_active(token).await);
        }
        let hinted = [("token", access), ("token_type_hint", "nonsense")];
        assert_eq!(app.post("/oauth2/revoke", &hinted).await.status, 200);
        assert!(!app.is_active(access).await && app.is_active(refresh).await);
        let second = app.refresh(refresh).await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(app.post("/oauth2/revoke", &[("token", refresh)]).await.status, 200);
        assert!(!app.is_active(&second).await && !app.is_active(refresh).await);
        for unknown in [refresh, "x", "a.b"] {
            assert_eq!(app.post("/oauth2/revoke", &[("token", unknown)]).await.status, 200, "{unknown}");
        }
        app.post("/oauth2/revoke", &[]).await.assert_oauth_error(400, "invalid_request");
    }

    /// OpenID Connect Discovery §3 and §4, RFC 8414 §2: what is published is so, and readable from other sites.
    async fn discovery_tells_the_truth(engine: Engine) {
        let idp = Idp::start(engine).await;
        let get = async |path: &str| {
            let from = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://spa.example"))]);
            idp.program(Method::GET, path, from, String::new()).await
        };
        let answer = get("/.well-known/openid-configuration").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let document = answer.json();
        assert_eq!(get("/.well-known/oauth-authorization-server").await.json(), document);
        let issuer = document["issuer"].as_str().unwrap();
        assert_eq!(issuer, "https://connect.example.org");
        for (name, value) in document.as_object().unwrap() {
            if name.ends_with("_endpoint") || name == "jwks_uri" {
                let path = value.as_str().unwrap().strip_prefix(issuer).unwrap();
                assert_ne!(get(path).await.status, 404, "{name}");
            }
        }
        let has = |name: &str, value: &str| document[name].as_array().unwrap().iter().any(|one| one == value);
        assert!(has("id_token_signing_alg_values_supported", "RS256") && has("scopes_supported", "openid"));
        assert!(has("code_challenge_methods_supported", "S256") && !has("code_challenge_methods_supported", "plain"));
        assert_eq!((document["request_parameter_supported"].as_bool(), document["request_uri_parameter_supported"].as_bool()), (Some(false), Some(false)));
        let jwks = get("/oauth2/jwks").await;
        assert!(jwks.header("cache-control").unwrap().starts_with("public, max-age="));
        let keys = jwks.json()["keys"].as_array().unwrap().clone();
        let mut kids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
        kids.dedup();
        let algorithms: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        assert_eq!((kids.len(), algorithms), (3, vec!["RS256", "PS256", "ES256"]));
        for key in &keys {
            assert_eq!(key["use"], "sig");
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(key.get(private), None, "{private}");
            }
        }
    }

    /// The Fetch standard's CORS: apps in browsers ask the back channel from their own pages, and nothing else of ours.
    async fn apps_in_browsers_may_ask_the_back_channel(engine: Engine) {
        let idp = Idp::start(engine).await;
        let preflight = HeaderMap::from_iter([
            (header::ORIGIN, HeaderValue::from_static("https://spa.example")),
            (header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST")),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization,baggage,sentry-trace")),
        ]);
        for path in ["/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke"] {
            let answer = idp.program(Method::OPTIONS, path, preflight.clone(), String::new()).await;
            assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, Some("*")), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            // Whatever headers a library that traces requests adds; the asterisk does not stand for Authorization.
            assert_eq!(answer.header("access-control-allow-headers"), Some("*,authorization"));
        }
        for path in ["/oauth2/authorize", "/oauth2/introspect", "/login"] {
            let answer = idp.program(Method::OPTIONS, path, preflight.clone(), String::new()).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
    }
}
