//! What a running service takes over of a configuration that is read again counts at the next request.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::actors::{Idp, PASSWORD, User, encode};

/// The address that is recorded of a sign-in which a proxy says is another's.
async fn recorded_of_another(idp: &Idp, user: &User) -> String {
    let mut headers = HeaderMap::new();
    let issuer = idp.app.config.issuer.clone();
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", &issuer),
        ("sec-fetch-site", "same-origin"),
        ("x-forwarded-for", "203.0.113.9"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let fields =
        encode(&[("login_name", &user.login_name), ("password", PASSWORD), ("provider_code", &user.provider_code)]);
    let answer = idp.browser().send(Method::POST, "/login", headers, fields).await;
    assert_eq!(answer.status, 303);
    idp.activity().await.pop().and_then(|record| record.address).unwrap()
}

both_engines! {
    async fn what_is_adopted_counts_at_the_next_request(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut config = idp.app.config.clone();

        assert_eq!(recorded_of_another(&idp, &amina).await, "192.0.2.7");
        config.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()];
        idp.app.adopt(&config);
        assert_eq!(recorded_of_another(&idp, &amina).await, "203.0.113.9");

        config.throttle.enabled = true;
        config.throttle.address_per_minute = 1;
        idp.app.adopt(&config);
        idp.browser().sign_in(&amina).await;
        assert_eq!(idp.browser().log_in(&amina, PASSWORD).await.status, 429);
        config.throttle.enabled = false;
        idp.app.adopt(&config);
        idp.browser().sign_in(&amina).await;
    }
}
