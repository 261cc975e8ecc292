//! What programs that people run in front of their apps really send, as it comes, and what they read of the answers.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_idp::crypto::jws::Unverified;
use connect_idp::model::activity::Kind;
use connect_idp::model::client::{AccessTokenFormat, AuthMethod};

use crate::actors::{Answer, Browser, Idp, RelyingParty, User, VERIFIER, claims, encode};

/// A user with an address that nobody proved.
async fn amina(idp: &Idp) -> User {
    let amina = idp.user("amina").create().await;
    let stored = r#"{"email":"b@example.org"}"#;
    idp.outsider().await.run(&format!("UPDATE users SET claims = '{stored}' WHERE id = '{}'", amina.id)).await;
    amina
}

/// A form to the token endpoint, with or without HTTP Basic.
async fn token(idp: &Idp, basic: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form)]);
    if let Some(pair) = basic {
        headers.insert(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)).parse().unwrap());
    }
    idp.program(Method::POST, "/oauth2/token", headers, encode(fields)).await
}

/// A request of a program's server: no cookie.
async fn server(idp: &Idp, path: &str) -> Answer {
    idp.program(Method::GET, path, HeaderMap::new(), String::new()).await
}

async fn signed_in(app: &RelyingParty, browser: &mut Browser, user: &User) -> (String, String) {
    let tokens = app.tokens(browser, user, &[("scope", "openid profile email")]).await;
    (tokens["access_token"].as_str().unwrap().into(), tokens["id_token"].as_str().unwrap().into())
}

both_engines! {
    /// oauth2-proxy 7.15 lets in whoever has an address of the right domain, unless `email_verified` is false; its
    /// `backend_logout_url` is asked by its server.
    async fn oauth2_proxy_is_told_of_an_unproved_address_and_ends_a_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (amina(&idp).await, idp.app("oauth2-proxy", |_| {}).await);
        let mut browser = idp.browser();
        let (access, hint) = signed_in(&app, &mut browser, &amina).await;
        let userinfo = app.userinfo(&access).await.json();
        assert_eq!((userinfo["email"].as_str(), userinfo["email_verified"].as_bool()), (Some("b@example.org"), Some(false)));
        let other = idp.app("other", |_| {}).await;
        signed_in(&other, &mut browser, &amina).await;
        let answer = server(&idp, &format!("/oauth2/end_session?id_token_hint={hint}")).await;
        assert_eq!(answer.status, 200);
        browser.assert_signed_out().await;
        assert_eq!(idp.number("SELECT COUNT(*) FROM logout_notes").await, 1, "the session's apps are told");
        let logouts: Vec<_> = idp.activity().await.into_iter().filter(|record| record.kind == Kind::Logout).collect();
        assert_eq!((logouts.len(), logouts[0].note.as_deref()), (1, Some("asked for by The oauth2-proxy")));
    }

    /// Kubernetes 0.37, dex 2.45 and pgAdmin 9.18 read the ID token alone; after a refresh too. dex refuses a person
    /// without `email_verified`, pgAdmin names one without `email` by `sub`.
    async fn kubernetes_dex_and_pgadmin_find_claims_in_the_id_token(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, mut browser) = (amina(&idp).await, idp.browser());
        for name in ["kubernetes", "dex", "pgadmin"] {
            let app = idp.app(name, |m| m.id_token_claims = true).await;
            let first = app.tokens(&mut browser, &amina, &[("scope", "openid email profile provider")]).await;
            let second = app.refresh(first["refresh_token"].as_str().unwrap()).await.json();
            for tokens in [first, second] {
                let inside = claims(tokens["id_token"].as_str().unwrap());
                assert_eq!((inside["email"].as_str(), inside["email_verified"].as_bool()), (Some("b@example.org"), Some(false)));
                assert_eq!((inside["provider_code"].as_str(), inside["name"].as_str()), (Some("SUNRISE-IL"), Some("amina Diallo")));
            }
        }
    }

    /// `JupyterHub` 6.1 and mozilla-django-oidc send the secret in the form, without a look at discovery.
    async fn jupyterhub_and_mozilla_django_oidc_send_the_secret_in_the_form(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, mut browser) = (amina(&idp).await, idp.browser());
        let pin = |m: &mut connect_idp::model::client::Metadata| m.token_endpoint_auth_method = Some(AuthMethod::Basic);
        for (app, status) in [(idp.app("jupyterhub", |_| {}).await, 200), (idp.app("pinned", pin).await, 401)] {
            let without_pkce = [("code_challenge", ""), ("code_challenge_method", "")];
            let code = app.sign_in(&mut browser, &amina, &without_pkce).await.code().to_owned();
            let answer = token(&idp, None, &[
                ("client_id", app.client.client_id.as_str()),
                ("client_secret", app.secret.as_str()),
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", app.redirect_uri()),
            ]).await;
            assert_eq!(answer.status, status, "{}", answer.body);
        }
    }

    /// Go's oauth2 tries HTTP Basic first, and after any refusal the same request with the secret in the form.
    async fn gos_oauth2_hears_the_same_reason_twice(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (amina(&idp).await, idp.app("gitea", |_| {}).await);
        let code = app.sign_in(&mut idp.browser(), &amina, &[]).await.code().to_owned();
        let basic = format!("gitea:{}", app.secret);
        let plain = [
            ("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://gitea.example/elsewhere"), ("code_verifier", VERIFIER),
        ];
        let mut in_form = plain.to_vec();
        in_form.extend([("client_id", "gitea"), ("client_secret", app.secret.as_str())]);
        token(&idp, Some(&basic), &plain).await.assert_oauth_error(400, "invalid_grant");
        token(&idp, None, &in_form).await.assert_oauth_error(400, "invalid_grant");
    }

    /// Keycloak 26.7 as a broker: its server asks, with an address to go back to.
    async fn keycloak_ends_a_session_and_is_answered_with_a_redirect(engine: Engine) {
        let idp = Idp::start(engine).await;
        let home = "https://keycloak.example/realms/r/broker/connect/endpoint/logout_response";
        let app = idp.app("keycloak", |m| m.post_logout_redirect_uris = vec![home.into()]).await;
        let (amina, mut browser) = (amina(&idp).await, idp.browser());
        let (_, hint) = signed_in(&app, &mut browser, &amina).await;
        let asked = [("state", "a.b-c"), ("id_token_hint", &hint), ("post_logout_redirect_uri", home)];
        let answer = server(&idp, &format!("/oauth2/end_session?{}", encode(&asked))).await;
        assert_eq!(answer.location(), format!("{home}?state=a.b-c"));
        browser.assert_signed_out().await;
    }

    /// Gitea 1.26 and `JupyterHub` 6.1 send the browser without a hint; Okta's middleware to an address that is one
    /// slash longer than the registered one.
    async fn gitea_jupyterhub_and_oktas_middleware_log_a_browser_out(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = amina(&idp).await;
        let app = idp.app("gitea", |m| m.post_logout_redirect_uris = vec!["https://gitea.example".into()]).await;
        let (_, hint) = signed_in(&app, &mut idp.browser(), &amina).await;
        let (registered, longer) = (("post_logout_redirect_uri", "https://gitea.example"), ("post_logout_redirect_uri", "https://gitea.example/"));
        for (asked, is_refused) in [
            ([("client_id", "gitea"), registered], false),
            ([("client_id", "gitea"), longer], true),
            ([("id_token_hint", hint.as_str()), longer], true),
        ] {
            let mut browser = idp.browser();
            browser.sign_in(&amina).await;
            let page = browser.get(&format!("/oauth2/end_session?{}", encode(&asked))).await;
            assert_eq!((page.has("#error-page"), page.has("a[href^='https://gitea.example']")), (is_refused, false));
            let ended = browser.submit(&page, "#logout-form", &[]).await;
            assert_eq!(ended.text("#signed-out h1"), "You are signed out");
            let links = if is_refused { vec![] } else { vec!["Back to The gitea"] };
            assert_eq!(ended.texts("#back-to-app"), links);
            browser.assert_signed_out().await;
        }
    }

    /// passport-openidconnect names openid twice.
    async fn passport_may_name_openid_twice(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (amina(&idp).await, idp.app("node-red", |_| {}).await);
        let tokens = app.tokens(&mut idp.browser(), &amina, &[("scope", "openid openid profile")]).await;
        assert_eq!(tokens["scope"], "openid profile");
    }

    /// Spring Security 7 as a resource server wants `typ` JWT of an access token. RFC 9068 §2.1 says otherwise; the
    /// guide names the validator that knows it.
    async fn spring_security_gets_an_at_jwt_and_is_told_how_to_read_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (amina(&idp).await, idp.app("spring", |m| m.access_token_format = AccessTokenFormat::Jwt).await);
        let (access, _) = signed_in(&app, &mut idp.browser(), &amina).await;
        assert_eq!(Unverified::parse(&access, 8192).unwrap().header["typ"], "at+jwt");
        assert!(include_str!("../../../docs/relying-party.md").contains("JwtValidators.createAtJwtValidator()"));
    }
}
