//! Changing the password at will (L8).

use crate::accounts::INVALID;
use crate::harness::Stage;
use crate::harness::people::AMINA;
use crate::update::{EMPTY, EMPTY_AGAIN, LENGTH, LOWERCASE, SPECIAL, choose, is_told};

/// L8: the current password is asked for, and the user's other sessions end.
pub async fn change(stage: &Stage) {
    let browser = &stage.browser;
    let other = stage.another_browser().await;
    other.sign_in(&AMINA).await;
    browser.sign_in(&AMINA).await;
    browser.open("/.well-known/change-password").await;
    browser.is_at("/password/change").await;
    browser.reads("h1", "Change Password").await;
    browser.reads("label[for=current-password]", "Current Password").await;

    browser.follow("#update-submit").await;
    is_told(browser, &[EMPTY], &[EMPTY_AGAIN]).await;
    browser.reads("#current-password-errors li", "Please enter your current password.").await;

    browser.fill("#current-password", AMINA.password).await;
    choose(browser, "ABC123", "ABC123").await;
    is_told(browser, &[LENGTH, LOWERCASE, SPECIAL], &[]).await;

    browser.fill("#current-password", "Wrong#2026").await;
    choose(browser, "Better#2027", "Better#2027").await;
    is_told(browser, &[], &[]).await;
    browser.reads("#current-password-errors li", "The current password is incorrect.").await;

    browser.fill("#current-password", AMINA.password).await;
    choose(browser, "Better#2027", "Better#2027").await;
    browser.reads("p.message", "Your password was changed. Your other sessions were ended.").await;
    assert_eq!(browser.texts("#sessions-table tbody tr").await.len(), 1);
    other.reload().await;
    other.is_at("/login").await;

    browser.log_out().await;
    browser.try_login(&AMINA, AMINA.password).await;
    browser.reads("#login-error", INVALID).await;
    browser.try_login(&AMINA, "Better#2027").await;
    browser.is_in_as(&AMINA).await;
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let Some(stage) = Stage::in_chromium().await else { return };
    change(&stage).await;
}
