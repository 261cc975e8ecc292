//! The login page: what it says, what it asks, what it answers (L1 to L3, L6).

use crate::harness::people::{AMINA, DORA, INES};
use crate::harness::{Browser, Stage};

/// L1, L2, L9, L10: in by the login page and out again.
pub async fn sign_in_and_out(Stage { browser, .. }: &Stage) {
    browser.open("/").await;
    browser.is_at("/login").await;
    browser.sign_in(&AMINA).await;
    browser.open("/activity").await;
    browser.reads("#activity-table tbody tr:first-child td:nth-child(2)", "Sign-in").await;
    browser.reads("#activity-table tbody tr:first-child td:nth-child(3)", "Direct Login").await;
    browser.log_out().await;
    browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
    browser.is_out().await;
}

#[tokio::test]
async fn quick_somebody_signs_in_and_out() {
    let Some(stage) = Stage::in_chromium().await else { return };
    sign_in_and_out(&stage).await;
    assert_eq!(stage.browser.complaints().await, [""; 0]);
}

/// L1, L2
#[tokio::test]
async fn the_login_page_says_what_it_is() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.open("/login").await;

    assert_eq!(browser.title().await, "Sign in · Therap Connect");
    browser.reads("label[for=login-name]", "Login Name").await;
    browser.reads("label[for=password]", "Password").await;
    browser.reads("label[for=provider-code]", "Provider Code").await;
    browser.reads("#login-submit", "Therap Connect Login").await;
    browser.reads("#forgot-password", "Forgot Password?").await;
    browser.reads("#therap-services", "Therap Services").await;
    assert_eq!(browser.attribute("#therap-services", "href").await, Some(demo.therap("/")));

    let link = browser.see("#therap-services").await.rect().await.unwrap();
    assert!(link.x + link.width > 1100.0 && link.y < 120.0, "the link is at the top right: {link:?}");
    let panel = browser.see("#login-form").await.rect().await.unwrap();
    assert!(panel.x > 500.0, "the credentials are on the right: {panel:?}");

    browser.follow("#therap-services").await;
    browser.is_at(&demo.therap("/login")).await;
}

/// L6, and where the user was going is not forgotten on the way.
#[tokio::test]
async fn forgot_password_explains_and_leads_back() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let browser = &stage.browser;
    browser.open("/sessions").await;
    browser.is_at("/login?return_to=%2Fsessions").await;

    browser.follow("#forgot-password").await;
    browser.reads("h1", "Forgot Password?").await;
    browser.reads("#back", "Back").await;
    let words = browser.text("main").await;
    for sentence in [
        "Ask a Provider Admin of your agency to reset your password.",
        "Ask another Provider Admin of your agency, or Therap support.",
    ] {
        assert!(words.contains(sentence), "{words}");
    }
    browser.follow("#back").await;
    browser.is_at("/login?return_to=/sessions").await;

    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_at("/sessions").await;
}

/// L2: each empty field has its own message, and what was typed stays.
pub async fn empty_fields(Stage { browser, .. }: &Stage) {
    const MESSAGES: [&str; 3] =
        ["Please enter your Login Name.", "Please enter your Password.", "Please enter your Provider Code."];
    browser.open("/login").await;
    browser.follow("#login-submit").await;
    assert_eq!(browser.texts(".field-error").await, MESSAGES);
    assert_eq!(browser.status().await, 422);
    assert_eq!(browser.focus().await, "login-name");

    browser.enter("amina", "", "").await;
    assert_eq!(browser.texts(".field-error").await, MESSAGES[1..]);
    assert_eq!(browser.focus().await, "password");
    assert_eq!(browser.value("#login-name").await, "amina");

    browser.enter("amina", "x", "").await;
    assert_eq!(browser.texts(".field-error").await, MESSAGES[2..]);
    assert_eq!(browser.focus().await, "provider-code");
    assert_eq!(browser.value("#password").await, "", "a password is never sent back");
}

#[tokio::test]
async fn each_empty_field_has_its_own_message() {
    let Some(stage) = Stage::in_chromium().await else { return };
    empty_fields(&stage).await;
}

/// L2, L3
pub async fn anything_wrong(Stage { browser, .. }: &Stage) {
    let wrong = [
        ("amina", "Amina#2026", "sunrise-il"),
        ("amina", "Amina#2026", "NOWHERE-XX"),
        ("amina", "Amina#2026", "SUNRISE-IL "),
        ("nobody", "Amina#2026", "SUNRISE-IL"),
        (" amina", "Amina#2026", "SUNRISE-IL"),
        (INES.login_name, INES.password, INES.provider),
        (DORA.login_name, DORA.password, DORA.provider),
        ("amina", "amina#2026", "SUNRISE-IL"),
        ("amina", "Amina#2026 ", "SUNRISE-IL"),
    ];
    browser.open("/login").await;
    for (login_name, password, provider_code) in wrong {
        browser.enter(login_name, password, provider_code).await;
        browser.reads("#login-error", "Invalid Credentials").await;
        assert_eq!(browser.attribute("#login-error", "role").await.as_deref(), Some("alert"));
        assert_eq!(browser.status().await, 403);
        kept(browser, login_name, provider_code).await;
    }
    // The Login Name alone may be typed in either case.
    browser.enter("AMINA", AMINA.password, AMINA.provider).await;
    browser.is_in_as(&AMINA).await;
}

async fn kept(browser: &Browser, login_name: &str, provider_code: &str) {
    assert_eq!(browser.value("#login-name").await, login_name);
    assert_eq!(browser.value("#provider-code").await, provider_code);
    assert_eq!(browser.value("#password").await, "");
}

#[tokio::test]
async fn whatever_is_wrong_reads_invalid_credentials() {
    let Some(stage) = Stage::in_chromium().await else { return };
    anything_wrong(&stage).await;
}

/// L1: passwords can be looked at, and are hidden again before they are sent.
#[tokio::test]
async fn a_password_can_be_shown_and_hidden() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let browser = &stage.browser;
    browser.open("/login").await;
    browser.fill("#password", "Amina#2026").await;
    for (text, name, kind) in [("Show", "Show Password", "password"), ("Hide", "Hide Password", "text")] {
        browser.reads(".reveal", text).await;
        assert_eq!(browser.attribute(".reveal", "aria-label").await.as_deref(), Some(name));
        assert_eq!(browser.attribute("#password", "type").await.as_deref(), Some(kind));
        browser.click(".reveal").await;
    }
    assert_eq!(browser.attribute("#password", "type").await.as_deref(), Some("password"));
    assert_eq!(browser.value("#password").await, "Amina#2026");

    browser.click(".reveal").await;
    browser.run("document.forms[0].addEventListener('submit', (event) => event.preventDefault())").await;
    browser.click("#login-submit").await;
    assert_eq!(browser.attribute("#password", "type").await.as_deref(), Some("password"));
}
