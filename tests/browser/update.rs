//! The Update Password page (L7 to L9).

use crate::accounts::INVALID;
use crate::harness::people::TINA;
use crate::harness::{Browser, Stage};

pub const LENGTH: &str = "The password must be 8 to 64 characters long.";
pub const UPPERCASE: &str = "The password must contain at least one uppercase letter (A-Z).";
pub const LOWERCASE: &str = "The password must contain at least one lowercase letter (a-z).";
pub const DIGIT: &str = "The password must contain at least one digit (0-9).";
pub const SPECIAL: &str = "The password must contain at least one special character, such as ! or #.";
const EDGES: &str = "The password must not begin or end with a space.";
const CONTROL: &str = "The password must not contain control characters, such as a tab or a line break.";
const SAME: &str = "The new password must differ from the current one.";
pub const MISMATCH: &str = "The two new passwords are not the same.";
pub const EMPTY: &str = "Please enter a new password.";
pub const EMPTY_AGAIN: &str = "Please enter the new password again.";

/// Sends a new password and its confirmation.
pub async fn choose(browser: &Browser, new: &str, again: &str) {
    browser.fill("#new-password", new).await;
    browser.fill("#confirm-new-password", again).await;
    browser.follow("#update-submit").await;
}

/// The page again, with these messages and no others.
pub async fn is_told(browser: &Browser, new: &[&str], again: &[&str]) {
    browser.see("#update-form").await;
    assert_eq!(browser.texts("#new-password-errors li").await, new);
    assert_eq!(browser.texts("#confirm-new-password-errors li").await, again);
    assert_eq!(browser.status().await, 422);
}

/// L7, L9
pub async fn forced_update(Stage { browser, .. }: &Stage) {
    browser.try_login(&TINA, TINA.password).await;
    browser.is_at("/password/update").await;
    browser.reads("h1", "Update Password").await;
    browser.reads("label[for=new-password]", "New Password").await;
    browser.reads("label[for=confirm-new-password]", "Confirm New Password").await;
    browser.reads("#update-submit", "Update").await;
    assert!(!browser.has("#current-password").await);
    for elsewhere in ["/", "/activity", "/sessions", "/password/change"] {
        browser.open(elsewhere).await;
        browser.is_at("/password/update").await;
    }

    browser.open("/login?return_to=/sessions").await;
    browser.enter(TINA.login_name, TINA.password, TINA.provider).await;
    browser.is_at("/password/update?return_to=%2Fsessions").await;
    choose(browser, "short", "short").await;
    is_told(browser, &[LENGTH, UPPERCASE, DIGIT, SPECIAL], &[]).await;
    choose(browser, "Better#2027", "Better#2027").await;
    browser.is_at("/sessions").await;
    browser.log_out().await;

    browser.try_login(&TINA, TINA.password).await;
    browser.reads("#login-error", INVALID).await;
    browser.try_login(&TINA, "Better#2027").await;
    browser.is_in_as(&TINA).await;
}

#[tokio::test]
async fn quick_a_temporary_password_is_replaced_before_anything_else() {
    let Some(stage) = Stage::in_chromium().await else { return };
    forced_update(&stage).await;
    assert_eq!(stage.browser.complaints().await, [""; 0]);
}

/// L8
pub async fn every_rule(Stage { browser, .. }: &Stage) {
    browser.try_login(&TINA, TINA.password).await;
    browser.is_at("/password/update").await;
    let long = format!("Ab1!{}", "x".repeat(61));
    let rounds: [(&str, &str, &[&str], &[&str]); 9] = [
        ("", "", &[EMPTY], &[EMPTY_AGAIN]),
        ("Good#2027", "", &[], &[EMPTY_AGAIN]),
        ("Good#2027", "Good#2028", &[], &[MISMATCH]),
        ("é", "", &[LENGTH, UPPERCASE, LOWERCASE, DIGIT, SPECIAL], &[EMPTY_AGAIN]),
        ("ABCDEFG", "x", &[LENGTH, LOWERCASE, DIGIT, SPECIAL], &[MISMATCH]),
        ("abc def 1", "abc def 1", &[UPPERCASE, SPECIAL], &[]),
        (" Good#2027", " Good#2027", &[EDGES], &[]),
        (&long, &long, &[LENGTH], &[]),
        (TINA.password, TINA.password, &[SAME], &[]),
    ];
    for (new, again, new_errors, again_errors) in rounds {
        choose(browser, new, again).await;
        is_told(browser, new_errors, again_errors).await;
        assert_eq!(browser.value("#new-password").await, "", "a password is never sent back");
    }
    // A keyboard's Tab goes elsewhere; a paste brings one.
    browser.run("for (const f of document.querySelectorAll('.password input')) f.value = 'Good\\t#2027'").await;
    browser.follow("#update-submit").await;
    is_told(browser, &[CONTROL], &[]).await;

    choose(browser, "Gut & schön 9", "Gut & schön 9").await;
    browser.is_in_as(&TINA).await;
}

#[tokio::test]
async fn every_broken_rule_is_told_at_once() {
    let Some(stage) = Stage::in_chromium().await else { return };
    every_rule(&stage).await;
}

/// L8: the rules are marked as the user types.
pub async fn live_rules(Stage { browser, .. }: &Stage) {
    browser.try_login(&TINA, TINA.password).await;
    browser.is_at("/password/update").await;
    let marks = async || {
        let marks = browser
            .run("return [...document.querySelectorAll('.rules li')].map((r) => r.dataset.met ?? '-').join(' ')");
        marks.await.as_str().unwrap().to_owned()
    };
    assert_eq!(marks().await, "- - - - - - - -", "nothing typed, nothing checked");
    browser.click("#new-password").await;
    // In the order of the page: length, upper, lower, digit, special, edges, control; then the confirmation.
    for (typed, expected) in [
        (" ", "no no no no no no yes -"),
        ("a", "no no yes no no no yes -"),
        ("B", "no yes yes no no no yes -"),
        ("3", "no yes yes yes no no yes -"),
        ("!", "no yes yes yes yes no yes -"),
        ("xyz", "yes yes yes yes yes no yes -"),
    ] {
        browser.press(typed).await;
        assert_eq!(marks().await, expected, "after {typed:?}");
    }
    browser.fill("#new-password", "aB3!wxyz").await;
    browser.click("#confirm-new-password").await;
    browser.press("aB3!wxy").await;
    assert_eq!(marks().await, "yes yes yes yes yes yes yes no");
    browser.press("z").await;
    assert_eq!(marks().await, "yes yes yes yes yes yes yes yes");
    assert_eq!(browser.texts(".field-errors li").await, [""; 0], "the server has not been asked");
}

#[tokio::test]
async fn rules_are_marked_as_one_types() {
    let Some(stage) = Stage::in_chromium().await else { return };
    live_rules(&stage).await;
}
