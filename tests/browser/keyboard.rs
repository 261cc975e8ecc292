//! Without a mouse (L1).

use thirtyfour::Key;

use crate::harness::people::{AMINA, TINA};
use crate::harness::{Browser, Stage};

/// Presses Tab, and what has the focus then is drawn as such.
async fn tab_to(browser: &Browser, id: &str) {
    browser.press(Key::Tab).await;
    assert_eq!(browser.focus().await, id);
    let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(outline, "solid", "the focus on #{id} is to be seen");
}

/// L1: from the login page to logout.
pub async fn keyboard_alone(Stage { browser, .. }: &Stage) {
    browser.open("/login").await;
    assert_eq!(browser.focus().await, "login-name");
    browser.press(AMINA.login_name).await;
    tab_to(browser, "password").await;
    browser.press("wrong").await;
    tab_to(browser, "").await; // Show
    tab_to(browser, "provider-code").await;
    browser.press(AMINA.provider).await;
    tab_to(browser, "login-submit").await;
    tab_to(browser, "forgot-password").await;
    tab_to(browser, "shared-computer").await;
    browser.press_with_shift(Key::Tab).await;
    browser.press_with_shift(Key::Tab).await;
    assert_eq!(browser.focus().await, "login-submit");
    browser.turn_page(async || browser.press_enter().await).await;
    browser.reads("#login-error", "Invalid Credentials").await;

    // The page comes back ready for another try; Enter sends it from any field.
    assert_eq!(browser.focus().await, "password");
    browser.press(AMINA.password).await;
    browser.turn_page(async || browser.press_enter().await).await;
    browser.is_in_as(&AMINA).await;

    browser.press(Key::Tab).await;
    let skip = browser.run("return document.activeElement.getAttribute('href')").await;
    assert_eq!(skip, "#content");
    browser.press(Key::Enter).await;
    assert_eq!(browser.focus().await, "content");

    browser.run("document.querySelector('.bar-links a:last-child').focus()").await;
    tab_to(browser, "profile-initials").await;
    browser.press(Key::Enter).await;
    browser.see("#logout").await;
    for _ in ["My activity", "My sessions", "Change password", "Help"] {
        tab_to(browser, "").await;
    }
    tab_to(browser, "logout").await;
    browser.press(Key::Escape).await;
    assert_eq!(browser.focus().await, "profile-initials");
    browser.press(Key::Enter).await;
    browser.see("#logout").await;
    for _ in 0..6 {
        browser.press(Key::Tab).await;
    }
    let open = browser.run("return document.querySelector('.profile').open").await;
    assert_eq!(open, false, "the panel does not stay open behind the focus");
    browser.run("document.getElementById('profile-initials').focus()").await;
    browser.press(" ").await;
    for _ in ["My activity", "My sessions", "Change password", "Help", "Logout"] {
        browser.press(Key::Tab).await;
    }
    browser.turn_page(async || browser.press_enter().await).await;
    browser.see("#login-notice").await;
}

#[tokio::test]
async fn everything_is_done_with_the_keyboard_alone() {
    let Some(stage) = Stage::in_chromium().await else { return };
    keyboard_alone(&stage).await;
}

/// L7
#[tokio::test]
async fn a_password_is_updated_with_the_keyboard_alone() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let browser = &stage.browser;
    browser.try_login(&TINA, TINA.password).await;
    browser.see("#update-form").await;
    assert_eq!(browser.focus().await, "new-password");
    browser.press("Better#2027").await;
    tab_to(browser, "").await;
    tab_to(browser, "confirm-new-password").await;
    browser.press("Better#202").await;
    tab_to(browser, "").await;
    tab_to(browser, "update-submit").await;
    browser.turn_page(async || browser.press_enter().await).await;
    browser.reads("#confirm-new-password-errors", "The two new passwords are not the same.").await;
    assert_eq!(browser.focus().await, "confirm-new-password");
    browser.run("document.getElementById('new-password').focus()").await;
    browser.press("Better#2027").await;
    tab_to(browser, "").await;
    tab_to(browser, "confirm-new-password").await;
    browser.press("Better#2027").await;
    browser.turn_page(async || browser.press_enter().await).await;
    browser.is_in_as(&TINA).await;
}
