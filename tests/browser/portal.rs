//! An app that signs its users in with us: the demo's Care Portal (R1, R2, R4).

use crate::harness::people::{AMINA, BRUNO, CARLA};
use crate::harness::{Browser, Demo, Stage};

/// From the app to the login page.
async fn to_the_login_page(browser: &Browser, demo: &Demo) {
    browser.open(demo.portal()).await;
    browser.follow("#portal-login").await;
    browser.reads("#client-name", "Care Portal").await;
}

/// In by password and consent.
pub async fn sign_in(browser: &Browser, demo: &Demo) {
    to_the_login_page(browser, demo).await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.see("#consent-form").await;
    browser.follow("#consent-allow").await;
    browser.reads("#portal-user", AMINA.name).await;
}

/// R1, R2: sign in, see claims, refresh, log out there and so here.
pub async fn there_and_back(Stage { browser, demo }: &Stage) {
    sign_in(browser, demo).await;
    browser.reads("#portal-method", "urn:therap-connect:acr:password").await;
    let told = browser.text("#userinfo").await;
    for fact in ["\"preferred_username\": \"amina\"", "\"provider_code\": \"SUNRISE-IL\"", "amina@sunrise.example"] {
        assert!(told.contains(fact), "{told}");
    }
    let before = browser.text("#id-claims").await;
    browser.follow("#portal-refresh").await;
    browser.reads("#portal-user", AMINA.name).await;
    assert_ne!(browser.text("#id-claims").await, before, "a new ID token");

    // Signed in here, the next sign-in there shows no page.
    browser.open("/").await;
    browser.is_in_as(&AMINA).await;
    browser.reads("#apps a.button", "Care Portal").await;
    browser.follow("#apps a.button").await;
    browser.reads("#portal-user", AMINA.name).await;

    browser.follow("#portal-logout").await;
    browser.see("#portal-login").await;
    browser.open("/").await;
    browser.is_out().await;
}

#[tokio::test]
async fn quick_an_app_signs_its_user_in_and_out() {
    let Some(stage) = Stage::in_chromium().await else { return };
    there_and_back(&stage).await;
    assert_eq!(stage.browser.complaints().await, [""; 0]);
}

/// R4: our own logout, and an admin's lock, are told to the app.
#[tokio::test]
async fn an_app_is_told_when_the_session_is_over() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    sign_in(browser, demo).await;
    browser.open("/").await;
    browser.log_out().await;
    browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
    browser.open(demo.portal()).await;
    let told = browser.text("#portal-told").await;
    assert!(told.contains("told this app that the session is over"), "{told}");

    to_the_login_page(browser, demo).await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.reads("#portal-user", AMINA.name).await;
    demo.on_user("lock", &AMINA);
    browser.wait_for_app_to_be_told(demo).await;
    demo.on_user("unlock", &AMINA);
}

/// R2: a session opened by the button serves the app alike, and says so.
#[tokio::test]
async fn a_session_of_the_button_serves_the_app() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &BRUNO).await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&BRUNO).await;
    browser.open(demo.portal()).await;
    browser.follow("#portal-login").await;
    browser.follow("#consent-allow").await;
    browser.reads("#portal-user", BRUNO.name).await;
    browser.reads("#portal-method", "urn:therap-connect:acr:handoff").await;

    // A handoff that names the app lands there.
    let assertion = demo.assertion_with(&BRUNO, &[("target", "care-portal")]).await;
    browser.log_in_to_therap(demo, &BRUNO).await;
    browser.send(demo, &assertion).await;
    browser.reads("#portal-user", BRUNO.name).await;
}

/// R2: asked to sign in again, the user is told of both ways; Cancel and "Do not allow" go back to the app.
#[tokio::test]
async fn a_no_goes_back_to_the_app() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    to_the_login_page(browser, demo).await;
    browser.follow("#login-cancel").await;
    assert!(browser.text("body").await.contains("access_denied"));
    to_the_login_page(browser, demo).await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.follow("#consent-deny").await;
    assert!(browser.text("body").await.contains("access_denied"));
    browser.open(demo.portal()).await;
    browser.follow("#portal-login-again").await;
    browser.see("#reauth-notice").await;
}

/// U9: the sister product asks before it shows its button.
#[tokio::test]
async fn the_button_is_shown_only_where_unified_login_is_on() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &AMINA).await;
    assert!(browser.has("#therap-connect").await && !browser.has("#no-button").await);
    browser.log_in_to_therap(demo, &CARLA).await;
    assert!(browser.has("#no-button").await && !browser.has("#therap-connect").await);
}
