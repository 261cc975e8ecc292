//! Every page in every state, one after the other: for what must hold wherever one looks.

use crate::admin_tour::admin_pages;
use crate::harness::people::{AMINA, BRUNO, PAUL, TINA};
use crate::harness::{Demo, Stage};
use crate::update::choose;

/// Shows every page; `look` is told its name. The browser is left as it is looked at.
pub async fn every_page(stage: &Stage, look: impl AsyncFn(&str)) {
    entrance(stage, &look).await;
    update(stage, &look).await;
    refused(stage, &look).await;
    an_app(stage, &look).await;
    inside(stage, &look).await;
}

async fn entrance(Stage { browser, .. }: &Stage, look: &impl AsyncFn(&str)) {
    browser.open("/login").await;
    look("login").await;
    browser.follow("#login-submit").await;
    look("login-empty-fields").await;
    browser.enter("amina", "wrong", "SUNRISE-IL").await;
    look("login-invalid").await;
    browser.enter("lena", "wrong", "SUNRISE-IL").await;
    look("login-locked").await;
    browser.follow("#forgot-password").await;
    look("forgot-password").await;
    browser.open("/api/v1").await;
    browser.see("#problems").await;
    browser.click("details.endpoint summary").await;
    look("api").await;
    browser.open("/no-such-page").await;
    browser.see("#error-page").await;
    look("not-found").await;
}

async fn update(Stage { browser, .. }: &Stage, look: &impl AsyncFn(&str)) {
    browser.try_login(&TINA, TINA.password).await;
    browser.see("#update-form").await;
    look("update").await;
    browser.fill("#new-password", "Half done").await;
    browser.fill("#confirm-new-password", "Half").await;
    look("update-typed").await;
    choose(browser, "short", "else").await;
    look("update-errors").await;
    browser.follow("#update-cancel").await;
    look("logged-out").await;
}

async fn refused(Stage { browser, demo }: &Stage, look: &impl AsyncFn(&str)) {
    browser.log_in_to_therap(demo, &AMINA).await;
    let there = browser.tab().await;
    for (name, offset) in [("handoff-invalid", 60), ("handoff-late", -31)] {
        browser.send(demo, &demo.assertion(&AMINA, offset).await).await;
        browser.see("#handoff-error").await;
        look(name).await;
        browser.close_tab(&there).await;
    }
}

/// What an app's users see of us.
async fn an_app(Stage { browser, demo }: &Stage, look: &impl AsyncFn(&str)) {
    browser.open(demo.portal()).await;
    browser.follow("#portal-login").await;
    look("login-for-an-app").await;
    browser.enter(AMINA.login_name, AMINA.password, AMINA.provider).await;
    look("consent").await;
    browser.follow("#consent-allow").await;
    browser.open("/sessions").await;
    look("sessions-apps").await;
    browser.open(demo.portal()).await;
    browser.open("/oauth2/authorize?client_id=nobody").await;
    look("authorization-error").await;
    browser.open(&format!("{}/start?prompt=login", demo.portal())).await;
    look("login-again").await;
    browser.open("/oauth2/end_session").await;
    look("end-session").await;
    browser.follow("#logout-confirm").await;
    look("signed-out").await;
}

async fn inside(stage: &Stage, look: &impl AsyncFn(&str)) {
    let Stage { browser, demo } = stage;
    browser.sign_in(&BRUNO).await;
    look("dashboard-first").await;
    browser.log_out().await;
    browser.sign_in(&AMINA).await;
    hand_off(stage, demo).await;
    look("dashboard").await;
    browser.open("/activity").await;
    look("activity").await;
    browser.open("/password/change").await;
    look("change").await;
    browser.fill("#current-password", "Wrong#2026").await;
    choose(browser, "Better#2027", "Better#2027").await;
    look("change-errors").await;
    let other = stage.another_browser().await;
    other.sign_in(&AMINA).await;
    browser.open("/sessions").await;
    look("sessions").await;
    browser.follow(".above-table button").await;
    look("sessions-ended").await;
    browser.open("/").await;
    browser.log_out().await;
    browser.sign_in(&PAUL).await;
    browser.click("#profile-initials").await;
    look("profile-panel").await;
    browser.open("/").await;
    browser.log_out().await;
    admin_pages(stage, look).await;
}

/// The button, in this tab's window.
async fn hand_off(Stage { browser, .. }: &Stage, demo: &Demo) {
    let here = browser.tab().await;
    browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;
    browser.close_tab(&here).await;
    browser.open("/").await;
}
