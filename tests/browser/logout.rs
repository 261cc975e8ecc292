//! The profile panel and logging out (L10).

use thirtyfour::Key;

use crate::harness::people::{AMINA, PAUL, ROOT};
use crate::harness::{Browser, Stage};

/// L10: what was private is not seen again.
pub async fn back_shows_nothing(Stage { browser, .. }: &Stage) {
    browser.sign_in(&AMINA).await;
    browser.open("/activity").await;
    browser.open("/sessions").await;
    browser.log_out().await;
    browser.reads("#login-notice", "You have logged out. Please close this tab.").await;
    for _ in 0..3 {
        browser.back().await;
        browser.see("#login-form").await;
        assert!(!browser.text("body").await.contains("Amina"), "{}", browser.view().await);
        assert!(!browser.has("[data-private], #profile-initials").await);
    }
}

#[tokio::test]
async fn back_after_logout_shows_nothing_private() {
    let Some(stage) = Stage::in_chromium().await else { return };
    back_shows_nothing(&stage).await;
}

/// L10
#[tokio::test]
async fn only_admins_read_their_user_type_in_the_profile() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let browser = &stage.browser;
    let people = [
        (AMINA, "AD", "Sunrise Homes (SUNRISE-IL)", None),
        (PAUL, "PN", "Sunrise Homes (SUNRISE-IL)", Some("Provider Admin")),
        (ROOT, "RO", "Therap (THERAP)", Some("Therap Admin")),
    ];
    for (user, initials, provider, user_type) in people {
        browser.sign_in(&user).await;
        browser.reads("#profile-initials", initials).await;
        assert!(!is_open(browser).await);
        let button = browser.see("#profile-initials").await.rect().await.unwrap();
        assert!(button.x > 1000.0 && button.y < 120.0, "the initials are at the top right: {button:?}");

        browser.click("#profile-initials").await;
        browser.reads("#profile-panel .profile-name", user.name).await;
        let facts = [user.login_name, provider].into_iter().chain(user_type).collect::<Vec<_>>();
        assert_eq!(browser.texts("#profile-panel dd").await, facts);
        assert_eq!(browser.texts("#user-type").await, Vec::from_iter(user_type));
        browser.reads("#logout", "Logout").await;

        browser.press(Key::Escape).await;
        assert!(!is_open(browser).await, "Escape closes the panel");
        browser.click("#profile-initials").await;
        assert!(is_open(browser).await);
        browser.click("h1").await;
        assert!(!is_open(browser).await, "a click elsewhere closes the panel");
        browser.log_out().await;
    }
}

async fn is_open(browser: &Browser) -> bool {
    browser.see("#profile-initials").await;
    browser.has(".profile[open]").await
}
