//! What every client goes through, as a person sees it.

use serde_json::Value;

use crate::harness::Browser;
use crate::harness::people::AMINA;
use crate::service::Service;
use crate::stage::Stage;

/// An app of docs/relying-party.md: from its front page to signed in, refreshed, and signed out everywhere.
pub async fn through_an_app(stage: &Stage) {
    let Stage { browser, service, app } = stage;
    browser.open(&app.origin).await;
    browser.follow("#sign-in").await;
    browser.follow("#login-cancel").await;
    browser.is_at(&format!("{}/", app.origin)).await;

    browser.follow("#sign-in").await;
    sign_in(browser).await;
    allow(browser, &app.origin).await;

    let first = shown(browser).await;
    assert_is_amina(&first, service).await;
    assert_eq!(first["refreshes"], 0);

    browser.follow("#refresh").await;
    let second = shown(browser).await;
    assert_is_amina(&second, service).await;
    assert_eq!(second["refreshes"], 1);
    assert_same_sign_in(&first["id_token"], &second["id_token"]);

    // Signed in already, and allowed already: nobody is asked anything.
    browser.open(&format!("{}/sign-in", app.origin)).await;
    let third = shown(browser).await;
    assert_eq!(third["refreshes"], 0);
    assert_same_sign_in(&first["id_token"], &third["id_token"]);

    browser.follow("#sign-out").await;
    browser.is_at(&format!("{}/", app.origin)).await;
    browser.see("#sign-in").await;
    browser.is_out().await;
    // Whoever signs in next is asked who they are.
    browser.open(&format!("{}/sign-in", app.origin)).await;
    browser.see("#login-form").await;
}

/// At the login page that the client led to: signs in.
pub async fn sign_in(browser: &Browser) {
    browser.see("#login-form").await;
    assert!(browser.text("#client-name").await.contains("Care Portal"));
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
}

/// At the consent page: allows, and comes back to the client.
pub async fn allow(browser: &Browser, origin: &str) {
    browser.see("#consent-form").await;
    browser.follow("#consent-allow").await;
    let address = browser.address().await;
    assert!(address.starts_with(origin), "{}", browser.view().await);
}

/// What the client shows of the user.
pub async fn shown(browser: &Browser) -> Value {
    let text = browser.text("#who").await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The claims of the ID token and of the userinfo endpoint.
pub async fn assert_is_amina(shown: &Value, service: &Service) {
    let (id_token, userinfo) = (&shown["id_token"], &shown["userinfo"]);
    assert_eq!(id_token["iss"], service.issuer.as_str());
    assert_eq!(id_token["acr"], "urn:therap-connect:acr:password");
    assert_eq!(id_token["sub"], service.sub());
    assert_userinfo_is_amina(userinfo, service).await;
}

/// The claims of the userinfo endpoint.
pub async fn assert_userinfo_is_amina(userinfo: &Value, service: &Service) {
    assert_eq!(userinfo["sub"], service.sub());
    assert_eq!(userinfo["preferred_username"], AMINA.login_name);
    assert_eq!(userinfo["name"], AMINA.name);
    assert_eq!(userinfo["email"], "amina@sunrise.example");
    assert_eq!(userinfo["provider_code"], AMINA.provider);
    assert_eq!(userinfo["provider_name"], "Sunrise Homes");
    assert_eq!(userinfo["user_type"], "Regular User");
}

/// OpenID Connect Core §12.2, §2: whatever was issued since, it speaks of one sign-in.
pub fn assert_same_sign_in(one: &Value, other: &Value) {
    for claim in ["iss", "sub", "aud", "auth_time", "acr", "amr", "sid"] {
        assert_eq!(one[claim], other[claim], "{claim}");
    }
}
