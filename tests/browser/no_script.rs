//! Without JavaScript (L1): everything works, only less conveniently.

use crate::harness::Stage;
use crate::harness::people::{AMINA, TINA};
use crate::portal::sign_in;
use crate::update::{DIGIT, LENGTH, MISMATCH, SPECIAL, UPPERCASE, choose, is_told};

/// L1, L10. Not the Back button: Chromium may bring a page back from memory in spite of `no-store`, and only a script
/// can tell (`logout::back_after_logout_shows_nothing_private`).
#[tokio::test]
async fn somebody_signs_in_and_out_without_scripts() {
    let Some(stage) = Stage::without_scripts().await else { return };
    let browser = &stage.browser;
    browser.open("/login").await;
    assert!(!browser.has(".reveal").await, "scripts are off");
    browser.follow("#login-submit").await;
    assert_eq!(browser.texts(".field-error").await.len(), 3);
    browser.enter("amina", "wrong", "SUNRISE-IL").await;
    browser.reads("#login-error", "Invalid Credentials").await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_in_as(&AMINA).await;
    browser.log_out().await;
    browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
    browser.is_out().await;
}

/// L7, L8: the marks are the script's, the messages are the server's.
#[tokio::test]
async fn a_password_is_updated_without_scripts() {
    let Some(stage) = Stage::without_scripts().await else { return };
    let browser = &stage.browser;
    browser.try_login(&TINA, TINA.password).await;
    browser.fill("#new-password", "short").await;
    assert!(!browser.has("[data-met]").await, "scripts are off");
    choose(browser, "short", "shorter").await;
    is_told(browser, &[LENGTH, UPPERCASE, DIGIT, SPECIAL], &[MISMATCH]).await;
    choose(browser, "Better#2027", "Better#2027").await;
    browser.is_in_as(&TINA).await;
}

/// U2: the sender's page has a button then.
#[tokio::test]
async fn the_button_works_without_scripts() {
    let Some(stage) = Stage::without_scripts().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &AMINA).await;
    browser.press_the_button(demo).await;
    browser.follow("#send-submit").await;
    browser.is_in_as(&AMINA).await;
}

/// Front-Channel Logout §3: the app is framed, and the browser goes on automatically three seconds later.
#[tokio::test]
async fn a_logout_that_is_told_in_a_frame_goes_on_without_scripts() {
    let Some(stage) = Stage::without_scripts().await else { return };
    let Stage { browser, demo } = &stage;
    sign_in(browser, demo).await;
    browser.open("/").await;
    browser.log_out().await;
    assert!(browser.has("#signed-out iframe").await);
    browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
    browser.is_out().await;
}
