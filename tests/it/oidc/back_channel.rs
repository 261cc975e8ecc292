//! Whatever a program sends, it is answered in JSON with the standard's error (oidc.md, *Cross-cutting*).

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
