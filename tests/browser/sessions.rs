//! Several tabs, several browsers, and pages that outlive their session (L1, U3).

use crate::harness::Stage;
use crate::harness::people::{AMINA, BRUNO};

/// A page left open past its session: its form leads to the login page, and from there back to the page.
#[tokio::test]
async fn a_form_sent_after_the_session_leads_through_the_login_page_back() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.sign_in(&AMINA).await;
    browser.open("/password/change").await;
    demo.on_user("end-sessions", &AMINA);
    browser.fill("#current-password", AMINA.password).await;
    browser.fill("#new-password", "Better#2027").await;
    browser.fill("#confirm-new-password", "Better#2027").await;
    browser.follow("#update-submit").await;
    browser.is_at("/login?return_to=%2Fpassword%2Fchange").await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_at("/password/change").await;
    browser.see("#current-password").await;

    // The same for a page that only leads on, and for Logout, which is harmless then.
    browser.open("/").await;
    demo.on_user("end-sessions", &AMINA);
    browser.open_own("/sessions").await;
    browser.is_at("/login?return_to=%2Fsessions").await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_at("/sessions").await;
    demo.on_user("end-sessions", &AMINA);
    browser.log_out().await;
    browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
}

/// The tabs of one browser share one session.
#[tokio::test]
async fn what_one_tab_does_the_other_learns() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.open("/login").await;
    let first = browser.tab().await;
    let second = browser.open_tab().await;
    browser.sign_in(&BRUNO).await;

    // The login page in the first tab is from before: somebody else signs in with it.
    browser.go_to_tab(&first).await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_in_as(&AMINA).await;
    assert_eq!(demo.sessions(&BRUNO), [""; 0]);
    browser.go_to_tab(&second).await;
    browser.reload().await;
    browser.is_in_as(&AMINA).await;
    browser.open("/login?return_to=/activity").await;
    browser.is_at("/activity").await;

    browser.log_out().await;
    browser.go_to_tab(&first).await;
    browser.open_own("/activity").await;
    browser.is_at("/login?return_to=%2Factivity").await;

    // The login page stays good for a session that was ended meanwhile.
    browser.go_to_tab(&second).await;
    browser.sign_in(&AMINA).await;
    demo.on_user("end-sessions", &AMINA);
    browser.go_to_tab(&first).await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_at("/activity").await;
}

/// A user sees where else the account is signed in, and ends it there.
#[tokio::test]
async fn a_session_is_ended_from_another_browser() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    let other = stage.another_browser().await;
    let rows = async || browser.texts("#sessions-table tbody tr").await.len();
    browser.sign_in(&AMINA).await;
    other.sign_in(&AMINA).await;
    browser.open("/sessions").await;
    assert_eq!(rows().await, 2);
    browser.follow("#sessions-table form button").await;
    browser.reads("p.message", "The session was ended.").await;
    assert_eq!(rows().await, 1);
    other.reload().await;
    other.is_at("/login").await;

    other.sign_in(&AMINA).await;
    browser.open("/sessions").await;
    browser.follow(".above-table button").await;
    browser.reads("p.message", "All other sessions were ended.").await;
    other.reload().await;
    other.is_at("/login").await;
    assert_eq!(demo.sessions(&AMINA).len(), 1);

    // Left open: the button leads back to the list.
    other.sign_in(&AMINA).await;
    browser.reload().await;
    demo.on_user("end-sessions", &AMINA);
    browser.follow("#sessions-table form button").await;
    browser.is_at("/login?return_to=%2Fsessions").await;
}
