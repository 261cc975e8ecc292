//! The "Therap Connect" button, pressed as it should be (U2 to U4, U11).

use crate::accounts::INVALID;
use crate::harness::Stage;
use crate::harness::people::{AMINA, BRUNO, TINA};

/// U2, U4: a new tab, the Dashboard, and the note beneath the login type.
pub async fn press(Stage { browser, demo }: &Stage) {
    browser.log_in_to_therap(demo, &AMINA).await;
    let there = browser.tab().await;
    let here = browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;

    browser.open("/activity").await;
    let cell = "#activity-table tbody tr:first-child td:nth-child(3)";
    browser.reads(cell, "Unified Login\nLogin initiated from Therap Services").await;
    let note = browser.see(&format!("{cell} .note")).await.rect().await.unwrap();
    let above = browser.see(cell).await.rect().await.unwrap();
    assert!(note.y > above.y + note.height / 2.0, "the note is beneath the login type: {note:?} in {above:?}");
    browser.open("/sessions").await;
    browser.reads("#sessions-table td:nth-child(3)", "Unified Login\nLogin initiated from Therap Services").await;

    // Neither product's logout is the other's (U3).
    browser.go_to_tab(&there).await;
    browser.follow("#ts-logout").await;
    browser.go_to_tab(&here).await;
    browser.open("/").await;
    browser.is_in_as(&AMINA).await;

    browser.go_to_tab(&there).await;
    browser.log_in_to_therap(demo, &AMINA).await;
    browser.go_to_tab(&here).await;
    browser.log_out().await;
    browser.is_out().await;
    browser.go_to_tab(&there).await;
    browser.open(&demo.therap("/")).await;
    browser.reads("#ts-user", AMINA.name).await;
}

#[tokio::test]
async fn quick_the_button_opens_the_dashboard_in_a_new_tab() {
    let Some(stage) = Stage::in_chromium().await else { return };
    press(&stage).await;
    assert_eq!(stage.browser.complaints().await, [""; 0]);
}

/// U2
#[tokio::test]
async fn a_handoff_ends_on_the_target_that_it_names() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &AMINA).await;
    for (target, landing) in
        [("/activity?before=none", "/activity?before=none"), ("https://evil.example/", "/"), ("//evil.example", "/")]
    {
        let assertion = demo.assertion_with(&AMINA, &[("target", target)]).await;
        browser.send(demo, &assertion).await;
        browser.is_at(landing).await;
        browser.see("#profile-initials").await;
    }
}

/// U2: two clicks, two assertions, both accepted.
#[tokio::test]
async fn a_double_click_signs_in_both_tabs() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &AMINA).await;
    let before = browser.tabs().await;
    browser.double_click("#therap-connect").await;
    for tab in browser.new_tabs(&before, 2).await {
        browser.go_to_tab(&tab).await;
        browser.is_in_as(&AMINA).await;
    }
    browser.open("/activity").await;
    let logins = browser.texts("#activity-table td:nth-child(3)").await;
    assert_eq!(logins.iter().filter(|text| text.starts_with("Unified Login\n")).count(), 2, "{logins:?}");
}

/// U5: spent is spent; who came with it first stays signed in.
pub async fn twice(Stage { browser, demo }: &Stage) {
    browser.log_in_to_therap(demo, &AMINA).await;
    let there = browser.tab().await;
    let assertion = demo.assertion(&AMINA, 0).await;
    let first = browser.send(demo, &assertion).await;
    browser.is_in_as(&AMINA).await;
    browser.go_to_tab(&there).await;
    browser.send(demo, &assertion).await;
    browser.is_refused(demo, "Invalid Credential").await;
    browser.go_to_tab(&first).await;
    browser.reload().await;
    browser.is_in_as(&AMINA).await;
}

#[tokio::test]
async fn an_assertion_opens_the_door_once() {
    let Some(stage) = Stage::in_chromium().await else { return };
    twice(&stage).await;
}

/// U3: another user's session is ended, the same user's renewed.
pub async fn shared_workstation(Stage { browser, demo }: &Stage) {
    browser.sign_in(&BRUNO).await;
    let old = browser.tab().await;
    browser.open_tab().await;
    browser.log_in_to_therap(demo, &AMINA).await;
    let there = browser.tab().await;
    let new = browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;
    assert_eq!(demo.sessions(&BRUNO), [""; 0]);
    browser.go_to_tab(&old).await;
    browser.open_own("/activity").await;
    browser.see("#activity-table").await;
    browser.click("#profile-initials").await;
    browser.reads(".profile-name", AMINA.name).await;

    browser.go_to_tab(&there).await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;
    assert_eq!(demo.sessions(&AMINA).len(), 1, "the session was renewed");
    browser.open("/sessions").await;
    assert_eq!(browser.texts("#sessions-table tbody tr").await.len(), 1);
    browser.go_to_tab(&new).await;
    browser.reload().await;
    browser.is_in_as(&AMINA).await;
}

#[tokio::test]
async fn a_handoff_takes_over_the_browser() {
    let Some(stage) = Stage::in_chromium().await else { return };
    shared_workstation(&stage).await;
}

/// A direct session becomes one by handoff, and the other way round: still one.
#[tokio::test]
async fn the_two_doors_lead_to_one_session() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.open("/login").await;
    let form = browser.tab().await;
    browser.open_tab().await;
    browser.sign_in(&AMINA).await;
    browser.log_in_to_therap(demo, &AMINA).await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;
    assert_eq!(demo.sessions(&AMINA).len(), 1);
    // The login page was open all the time.
    browser.go_to_tab(&form).await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    browser.is_in_as(&AMINA).await;
    assert_eq!(demo.sessions(&AMINA).len(), 1);
    browser.open("/sessions").await;
    browser.reads("#sessions-table td:nth-child(3)", "Direct Login").await;
}

/// U11
#[tokio::test]
async fn a_temporary_password_does_not_matter_to_a_handoff() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &TINA).await;
    let there = browser.tab().await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&TINA).await;
    browser.log_out().await;
    browser.try_login(&TINA, TINA.password).await;
    browser.is_at("/password/update").await;

    // Unfinished, and then the button: in.
    browser.go_to_tab(&there).await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&TINA).await;
    browser.log_out().await;
    browser.try_login(&TINA, "Wrong#2026").await;
    browser.reads("#login-error", INVALID).await;
}

/// Surface: what a repeat of the second step does.
#[tokio::test]
async fn every_step_of_a_handoff_may_be_reloaded() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &AMINA).await;
    let there = browser.tab().await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;
    browser.reload().await;
    browser.is_in_as(&AMINA).await;

    let cookies = browser.cookies().await;
    let id = cookies.iter().find_map(|name| name.strip_prefix("handoff-")).unwrap();
    let step = format!("/unified-login/complete?h={id}");
    browser.open(&step).await;
    browser.is_in_as(&AMINA).await;
    assert_eq!(demo.sessions(&AMINA).len(), 1);
    browser.log_out().await;
    browser.open(&step).await;
    browser.is_at("/login").await;
    browser.forget_cookies().await;
    browser.open(&step).await;
    browser.is_refused(demo, "Invalid Credential").await;

    // A refusal's page is the answer to a POST: sent again, it is refused again.
    browser.go_to_tab(&there).await;
    browser.log_in_to_therap(demo, &AMINA).await;
    browser.send(demo, &demo.assertion(&AMINA, -31).await).await;
    let late = "Login failed due to request timeout. Please try again from Therap Services";
    browser.is_refused(demo, late).await;
    browser.turn_page(async || browser.reload().await).await;
    browser.is_refused(demo, late).await;
    browser.is_out().await;
}
