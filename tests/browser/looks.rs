//! What holds on every page: accessible in light and dark, nothing beside a phone's screen, no complaint of the
//! browser, and beta can be told from production (L1, L11).

use crate::harness::{Browser, Kind, Options, Scheme, Stage};
use crate::tour::every_page;

/// No violation, by axe-core, in either scheme.
async fn is_accessible(browser: &Browser, page: &str) {
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.set_scheme(scheme).await;
        let Some(found) = browser.axe().await else { return };
        assert!(found.is_empty(), "{page}, {}: {found:#?}", scheme.as_str());
    }
}

async fn is_well(browser: &Browser, page: &str) {
    is_accessible(browser, page).await;
    for width in [360, 768] {
        browser.set_width(width).await;
        browser.fits(width.into(), page).await;
    }
    is_accessible(browser, &format!("{page} on a tablet")).await;
    browser.set_width(1280).await;
    assert_eq!(browser.complaints().await, [""; 0], "{page}");
}

#[tokio::test]
async fn quick_the_login_page_is_accessible() {
    let Some(stage) = Stage::in_chromium().await else { return };
    stage.browser.open("/login").await;
    is_well(&stage.browser, "login").await;
    stage.browser.follow("#login-submit").await;
    is_well(&stage.browser, "login with messages").await;
}

#[tokio::test]
async fn every_page_is_accessible_fits_a_phone_and_draws_no_complaint() {
    let Some(stage) = Stage::in_chromium().await else { return };
    every_page(&stage, async |page| {
        is_well(&stage.browser, page).await;
        assert!(!stage.browser.has("#beta-banner").await, "{page}");
        assert!(!stage.browser.title().await.contains("BETA"), "{page}");
    })
    .await;
}

/// L11
#[tokio::test]
async fn beta_says_so_on_every_page() {
    let Some(stage) = Stage::of(Kind::Chromium, &["--site", "beta"], Options::default()).await else { return };
    let browser = &stage.browser;
    every_page(&stage, async |page| {
        let banner = browser.text("#beta-banner").await;
        assert!(banner.ends_with("This is a non-production site for training and testing."), "{page}: {banner}");
        assert!(browser.title().await.starts_with("[BETA] "), "{page}");
        is_accessible(browser, page).await;
    })
    .await;
}
