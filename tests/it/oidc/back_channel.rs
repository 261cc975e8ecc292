//! Whatever a program sends, it is answered in JSON with the standard's error (RFC 6749 §5.2).

use axum::http::{HeaderMap, HeaderValue, Method, header};

use crate::actors::Idp;

both_engines! {
    async fn every_malformed_request_is_answered_in_json(engine: Engine) {
        let idp = Idp::start(engine).await;
        let app = idp.app("portal", |_| {}).await;
        let large = "x=".to_owned() + &"y".repeat(20_000);
        for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
            let answer = idp.program(Method::GET, path, HeaderMap::new(), String::new()).await;
            answer.assert_oauth_error(405, "invalid_request");
            assert_eq!(answer.header("allow"), Some("POST"));
            let mut json = app.headers();
            json.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            idp.program(Method::POST, path, json, "{}".into()).await.assert_oauth_error(400, "invalid_request");
            idp.program(Method::POST, path, app.headers(), large.clone()).await.assert_oauth_error(413, "invalid_request");
            idp.program(Method::POST, path, app.headers(), "token=a&token=b".into()).await.assert_oauth_error(400, "invalid_request");
            let mut bytes = app.headers();
            bytes.insert(header::AUTHORIZATION, HeaderValue::from_bytes(b"Basic \xff").unwrap());
            idp.program(Method::POST, path, bytes, String::new()).await.assert_oauth_error(401, "invalid_client");
        }
        for path in ["/oauth2/userinfo", "/oauth2/jwks", "/.well-known/openid-configuration"] {
            idp.program(Method::DELETE, path, HeaderMap::new(), String::new()).await.assert_oauth_error(405, "invalid_request");
        }
        // On the front it is our page.
        let answer = idp.program(Method::POST, "/oauth2/authorize", app.headers(), large).await;
        assert_eq!((answer.status.as_u16(), answer.has("#error-page")), (413, true));
    }
}

both_engines! {
    /// PostgreSQL takes no NUL in a text: what holds one is simply not there.
    async fn a_nul_is_nowhere_a_fault_of_ours(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        assert_eq!(browser.get(&app.path(&[("client_id", "a\0b")])).await.status, 400);
        assert_eq!(browser.get("/oauth2/end_session?client_id=a%00b").await.status, 400);
        assert_eq!(browser.get("/oauth2/authorize/resume?i=%00").await.status, 400);
        assert_eq!(browser.post("/sessions/withdraw", &[("client", "a\0b")]).await.status, 303);
        for field in ["state", "nonce", "login_hint", "acr_values", "scope", "claims", "ui_locales", "redirect_uri", "resource", "prompt"] {
            assert!(!browser.get(&app.path(&[(field, "a\0b")])).await.status.is_server_error(), "{field}");
        }
        for token in ["a\0b", "a\0b.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a.b\0.c"] {
            app.refresh(token).await.assert_oauth_error(400, "invalid_grant");
            assert!(!app.is_active(token).await);
            assert_eq!(app.post("/oauth2/revoke", &[("token", token)]).await.status, 200);
        }
        app.exchange("a\0b").await.assert_oauth_error(400, "invalid_grant");
        let body = "grant_type=client_credentials&client_id=a%00b&client_secret=%00".to_owned();
        let form = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        idp.program(Method::POST, "/oauth2/token", form, body).await.assert_oauth_error(401, "invalid_client");
    }
}
