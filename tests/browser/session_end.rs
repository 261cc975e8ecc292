//! The warning before a session ends: it renews in every tab, is reached by the keyboard, and says what cannot be renewed.

use thirtyfour::Key;

use crate::harness::people::{AMINA, PAUL};
use crate::harness::{Browser, Scheme, Stage};

/// Brings the page's own clock forward; that of the service stays.
async fn pass(browser: &Browser, seconds: u64) {
    let script = format!("const now = Date.now; Date.now = () => now() + {seconds} * 1000;");
    browser.run(&script).await;
}

/// Makes the service say, to this page, that so little is left.
async fn told(browser: &Browser, idle_seconds: u64, absolute_seconds: u64) {
    let script = format!(
        "const fetched = window.fetch; window.fetch = (address, options) => options.method === 'POST' ? fetched(address, options) : \
         Promise.resolve(Response.json({{ idle_seconds: {idle_seconds}, absolute_seconds: {absolute_seconds} }}));"
    );
    browser.run(&script).await;
}

async fn is_accessible(browser: &Browser) {
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.set_scheme(scheme).await;
        if let Some(found) = browser.axe().await {
            assert!(found.is_empty(), "{found:#?}");
        }
    }
}

async fn is_gone(browser: &Browser) {
    browser.hidden("#session-dialog").await;
}

#[tokio::test]
async fn a_warning_renews_the_session_and_the_other_tab_agrees() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let browser = &stage.browser;
    browser.sign_in(&PAUL).await;
    let first = browser.tab().await;
    browser.open("/admin/users/new").await;
    assert!(!browser.has("#session-dialog[open]").await);
    browser.hidden("#session-end").await;
    browser.fill("#name", "Nora").await;
    let second = browser.open_tab().await;
    browser.open("/").await;
    for tab in [&first, &second] {
        browser.go_to_tab(tab).await;
        told(browser, 115, 40_000).await;
        pass(browser, 29 * 60).await;
        browser.see("#session-dialog[open]").await;
        assert_eq!(browser.focus().await, "session-renew");
        assert_eq!(browser.attribute("#session-dialog", "role").await.as_deref(), Some("alertdialog"));
        browser.reads("#session-dialog-heading", "Are you still there?").await;
    }
    is_accessible(browser).await;
    browser.set_width(360).await;
    browser.fits(360, "the warning").await;
    is_accessible(browser).await;
    browser.set_width(1280).await;

    // It answers to Tab, and to Enter: the real service says how long the session lasts now.
    browser.press(Key::Tab).await;
    browser.press_with_shift(Key::Tab).await;
    assert_eq!(browser.focus().await, "session-renew");
    browser.press(Key::Enter).await;
    is_gone(browser).await;
    browser.go_to_tab(&first).await;
    is_gone(browser).await;
    assert_eq!((browser.focus().await.as_str(), browser.value("#name").await.as_str()), ("name", "Nora"));

    // The menu of a phone.
    browser.set_width(360).await;
    browser.click("#menu").await;
    browser.see(".bar-links a[href='/admin/users']").await;
    is_accessible(browser).await;
    browser.fits(360, "the menu").await;
    browser.set_width(1280).await;

    // Escape stays, too.
    pass(browser, 29 * 60).await;
    browser.see("#session-dialog[open]").await;
    browser.press(Key::Escape).await;
    is_gone(browser).await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn the_longest_time_cannot_be_renewed_and_a_session_that_ended_leads_to_the_sign_in() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.sign_in(&AMINA).await;
    browser.open("/activity").await;
    told(browser, 100, 90).await;
    pass(browser, 29 * 60).await;
    browser.reads("#session-dialog-heading", "Your session ends soon").await;
    browser.hidden("#session-renew").await;
    assert_eq!(browser.focus().await, "session-dismiss");
    is_accessible(browser).await;
    browser.press(Key::Escape).await;
    is_gone(browser).await;
    pass(browser, 90).await;
    told(browser, 0, 0).await;
    browser.reads("#session-dialog-heading", "Your session has ended").await;
    is_accessible(browser).await;
    browser.click("#session-dismiss").await;
    is_gone(browser).await;

    // Ended by somebody meanwhile: to renew is too late.
    browser.open("/activity").await;
    told(browser, 100, 40_000).await;
    pass(browser, 29 * 60).await;
    browser.see("#session-renew").await;
    demo.on_user("end-sessions", &AMINA);
    told(browser, 0, 0).await;
    browser.click("#session-renew").await;
    browser.reads("#session-dialog-heading", "Your session has ended").await;
    browser.follow("#session-sign-in").await;
    browser.is_at("/login?return_to=%2Factivity").await;
}

#[tokio::test]
async fn without_scripts_a_line_says_when_the_session_ends_and_a_menu_opens() {
    let Some(stage) = Stage::without_scripts().await else { return };
    let browser = &stage.browser;
    browser.sign_in(&PAUL).await;
    let line = browser.text("#session-end").await;
    assert!(
        line.starts_with("Your session ends at ") && line.ends_with(" unless you use this site before then."),
        "{line}"
    );

    // The navigation of a phone.
    browser.set_width(360).await;
    browser.hidden(".bar-links").await;
    browser.click("#menu").await;
    browser.fits(360, "the menu").await;
    browser.follow(".bar-links a[href='/admin/users']").await;
    browser.is_at("/admin/users").await;
    browser.set_width(1280).await;
    browser.hidden("#menu").await;
    browser.see(".bar-links a[href='/admin/provider']").await;
}
