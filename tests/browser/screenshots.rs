//! Pictures of every page, for people to look at: `CONNECT_IDP_SCREENSHOTS=folder cargo test --test browser
//! screenshots`.

use std::path::Path;

use crate::harness::{Kind, Options, Scheme, Stage};
use crate::tour::every_page;

#[tokio::test]
async fn screenshots() {
    let Some(folder) = std::env::var_os("CONNECT_IDP_SCREENSHOTS") else {
        // Not a test that is missing: pictures are made on demand.
        eprintln!("left out: screenshots (CONNECT_IDP_SCREENSHOTS names no folder)");
        return;
    };
    for site in ["production", "beta"] {
        let Some(stage) = Stage::of(Kind::Chromium, &["--site", site], Options::default()).await else { return };
        let folder = Path::new(&folder).join(site);
        std::fs::create_dir_all(&folder).unwrap();
        every_page(&stage, async |page| {
            for scheme in [Scheme::Light, Scheme::Dark] {
                stage.browser.set_scheme(scheme).await;
                for (screen, width) in [("desktop", 1280), ("phone", 360)] {
                    stage.browser.set_width(width).await;
                    let file = format!("{page}-{}-{screen}.png", scheme.as_str());
                    stage.browser.picture(&folder.join(file)).await;
                }
            }
            stage.browser.set_width(1280).await;
        })
        .await;
    }
}
