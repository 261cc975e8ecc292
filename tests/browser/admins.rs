//! The people who run it, without a command line: from the first Provider Admin to the first handoff (U1, A2).

use crate::harness::people::{CARLA, PAUL, Person, ROOT};
use crate::harness::{Browser, Stage};
use crate::update::choose;

const NORA: Person = Person { login_name: "nora", name: "Nora New", password: "Nora##2026", provider: "CEDAR-OR" };

/// The words of a column of the record, newest first.
async fn column(browser: &Browser, label: &str) -> Vec<String> {
    browser.texts(&format!("#activity-table td[data-label='{label}']")).await
}

/// A Provider Admin, made by a Therap Admin, signs in for the first time.
async fn first_admin(root: &Browser, nora: &Browser) {
    root.sign_in(&ROOT).await;
    root.follow("nav a[href='/operator/providers']").await;
    root.fill("#q", "cedar").await;
    root.follow("#search-submit").await;
    root.follow("#providers-table a").await;
    root.fill("#login-name", NORA.login_name).await;
    root.fill("#admin-name", NORA.name).await;
    root.follow("#create-admin").await;
    let password = root.text("#temporary-password").await;
    nora.try_login(&NORA, &password).await;
    nora.see("#update-form").await;
    choose(nora, NORA.password, NORA.password).await;
    nora.is_in_as(&NORA).await;
}

/// The whole story: a user is made, Unified Login asked for and approved, the button appears, the user arrives, and the
/// own Provider Admin sees it in the record; another provider's does not.
#[tokio::test]
async fn quick_a_provider_comes_to_unified_login() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser: nora, demo } = &stage;
    let (root, user) = (stage.another_browser().await, stage.another_browser().await);
    first_admin(&root, nora).await;

    nora.follow("nav a[href='/admin/users']").await;
    nora.follow("#new-user").await;
    nora.fill("#login-name", "a b").await;
    nora.follow("#create-submit").await;
    nora.see("#form-errors").await;
    assert_eq!(nora.value("#login-name").await, "a b");
    nora.fill("#login-name", "nina").await;
    nora.fill("#name", "Nina Roy").await;
    nora.follow("#create-submit").await;
    let password = nora.text("#temporary-password").await;
    user.open("/login").await;
    user.enter("nina", &password, "CEDAR-OR").await;
    user.see("#update-form").await;
    user.forget_cookies().await;

    user.log_in_to_therap(demo, &CARLA).await;
    assert!(!user.has("#therap-connect").await, "no button without Unified Login");
    nora.follow("nav a[href='/admin/provider']").await;
    assert_eq!(nora.axe().await.unwrap_or_default(), [""; 0], "the request");
    nora.fill("#note", "We are ready.").await;
    nora.follow("#request-unified-login").await;
    nora.see("#withdraw-unified-login").await;

    root.follow("nav a[href='/operator/requests']").await;
    assert!(root.text("#waiting").await.contains("We are ready."));
    assert_eq!(root.axe().await.unwrap_or_default(), [""; 0], "the queue");
    root.set_width(360).await;
    root.fits(360, "the queue").await;
    root.set_width(1280).await;
    root.follow("#waiting a[href$='/approve']").await;
    root.fill("#confirm-password", ROOT.password).await;
    root.follow("#confirm-submit").await;
    root.reads("p.message", "The request was approved: Unified Login is on.").await;

    user.press_the_button(demo).await;
    user.is_in_as(&CARLA).await;
    nora.follow("nav a[href='/admin/activity']").await;
    assert_eq!(column(nora, "User").await[0], "carla\nCarla Jimenez");
    assert_eq!(column(nora, "Login type").await[0], "Unified Login\nLogin initiated from Therap Services");
    nora.fill("#user", "nina").await;
    nora.follow("#filter-submit").await;
    assert_eq!(column(nora, "What").await, ["Sign-in", "Account created\nRegular User"]);

    root.log_out().await;
    root.sign_in(&PAUL).await;
    root.follow("nav a[href='/admin/activity']").await;
    let seen = column(&root, "User").await;
    assert!(!seen.iter().any(|user| user.starts_with("carla") || user.starts_with("nina")), "{seen:?}");
}

/// The list, a lock, a reset and a session, as an admin's day goes.
#[tokio::test]
async fn an_admin_helps_a_user_back_in() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, .. } = &stage;
    browser.sign_in(&PAUL).await;
    browser.open("/admin/users?state=locked").await;
    browser.click("#users-table input[type=checkbox]").await;
    browser.follow("#unlock-selected").await;
    browser.reads("h1", "Unlock 1 user?").await;
    browser.follow("#confirm-submit").await;
    browser.reads("h1", "Done for 1 of 1 user").await;
    browser.follow("#go-on").await;
    browser.see("#users-table").await;
    browser.open("/admin/users?q=dora").await;
    browser.follow("#users-table a").await;
    browser.follow("#reactivate").await;
    browser.reads("p.message", "The user is active again.").await;
    browser.follow("#reset-password").await;
    browser.follow("#confirm-submit").await;
    let password = browser.text("#temporary-password").await;
    let dora = stage.another_browser().await;
    dora.open("/login").await;
    dora.enter("dora", &password, "SUNRISE-IL").await;
    dora.see("#update-form").await;
}

/// L1: plain forms; what a script adds is convenience.
#[tokio::test]
async fn without_scripts_an_admin_works_as_well() {
    let Some(stage) = Stage::without_scripts().await else { return };
    let Stage { browser, .. } = &stage;
    browser.try_login(&PAUL, PAUL.password).await;
    browser.open("/admin/users/import").await;
    browser.fill("#text", "login_name,name\nimported,Imported User\n").await;
    browser.follow("#import-submit").await;
    browser.follow("#import-create").await;
    browser.see("#import-done").await;
    browser.open("/admin/users?q=imported").await;
    browser.follow("#users-table a").await;
    browser.follow("#lock").await;
    browser.fill("#reason", "left the agency").await;
    browser.follow("#confirm-submit").await;
    browser.reads("p.message", "The user is locked by an admin. Every session was ended.").await;
    browser.open("/admin/activity?user=imported").await;
    assert_eq!(
        column(browser, "What").await,
        ["Account locked\nlocked by an administrator; left the agency", "Account created\nRegular User"]
    );
}

/// G34: a client is deleted on purpose, on a page that names it, and not by accident: neither by its button, nor by the Back
/// button, a reload, a wrong password, or a page that somebody else overtook.
#[tokio::test]
async fn a_client_is_deleted_on_purpose_and_not_by_accident() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let (browser, other) = (&stage.browser, stage.another_browser().await);
    let open = async |browser: &Browser| {
        browser.open("/operator/clients").await;
        browser.follow("#clients-table a").await;
    };
    browser.sign_in(&ROOT).await;
    open(browser).await;
    let name = browser.text("h1").await;
    browser.follow("#delete").await;
    browser.reads("h1", &format!("Delete the client {name}?")).await;
    let address = browser.address().await;

    browser.fill("#confirm-password", "Wrong##2026").await;
    browser.follow("#confirm-submit").await;
    browser.reads("#confirm-password-error", "The password is incorrect.").await;
    browser.turn_page(async || browser.back().await).await;
    browser.reads("h1", &format!("Delete the client {name}?")).await;
    browser.follow("#confirm-cancel").await;
    browser.reads("h1", &name).await;
    browser.follow("#delete").await;

    other.sign_in(&ROOT).await;
    open(&other).await;
    other.fill("#client-name", "Renamed").await;
    other.follow("#save-submit").await;
    browser.fill("#confirm-password", ROOT.password).await;
    browser.follow("#confirm-submit").await;
    browser.see("#stale").await;
    browser.reads("h1", "Delete the client Renamed?").await;

    browser.fill("#confirm-password", ROOT.password).await;
    browser.follow("#confirm-submit").await;
    browser.reads("p.message", "Client deleted, with its secrets, consents and tokens.").await;
    browser.open(&address).await;
    browser.see("#error-page").await;
}
