//! What a journey is told with: [`Stage`] is the demo and one browser, [`people`] is who there is.

mod browser;
mod demo;
mod detour;
mod driver;
mod looks;
pub mod people;
mod tabs;

use std::time::Duration;

pub use browser::Browser;
pub use demo::Demo;
use detour::Detour;
pub use detour::Files;
pub use driver::{Kind, Options};
pub use looks::Scheme;

use crate::needs::named;

/// How long anything may take to become true.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(40);

/// A demo of its own and a browser with a profile of its own.
pub struct Stage {
    // The browser goes first: it would only see the demo go.
    pub browser: Browser,
    pub demo: Demo,
}

impl Stage {
    /// In Chromium; `None` when something for it is missing, which was then said.
    pub async fn in_chromium() -> Option<Self> {
        Self::of(Kind::Chromium, &[], Options::default()).await
    }

    /// In Firefox.
    pub async fn in_firefox() -> Option<Self> {
        Self::of(Kind::Firefox, &[], Options::default()).await
    }

    /// In Chromium whose pages may not run scripts.
    pub async fn without_scripts() -> Option<Self> {
        Self::of(Kind::Chromium, &[], Options { scripts: false, ..Options::default() }).await
    }

    /// With further arguments for the demo.
    pub async fn of(kind: Kind, demo: &[&str], options: Options) -> Option<Self> {
        let (demo_program, driver) = (named("CONNECT_IDP_TEST_DEMO")?, kind.programs()?);
        let demo = Demo::start(&demo_program, demo).await;
        let browser = Browser::start(kind, &driver, options, demo.issuer()).await;
        Some(Self { browser, demo })
    }

    /// In Chromium, where script files of ours and of Therap Services are broken on their way.
    pub async fn with_broken(files: Files) -> Option<Self> {
        let (demo_program, driver) = (named("CONNECT_IDP_TEST_DEMO")?, Kind::Chromium.programs()?);
        let demo = Demo::start(&demo_program, &[]).await;
        let detours = [Detour::before(demo.issuer(), files).await, Detour::before(&demo.therap(""), files).await];
        let options = Options { detours: [Some(detours[0].ports()), Some(detours[1].ports())], ..Options::default() };
        let browser = Browser::start(Kind::Chromium, &driver, options, demo.issuer()).await.by(detours.into());
        Some(Self { browser, demo })
    }

    /// Another browser of the same kind, of another person or on another machine.
    pub async fn another_browser(&self) -> Browser {
        let kind = self.browser.kind;
        let driver = kind.programs().unwrap();
        Browser::start(kind, &driver, Options::default(), self.demo.issuer()).await
    }
}

/// Tries until it succeeds; when patience ends, what the last try said, or that it never came back.
pub async fn eventually<T, E>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> Result<T, Option<E>> {
    let mut last = None;
    let trying = async {
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(PATIENCE, trying).await {
        Ok(value) => Ok(value),
        Err(_) => Err(last),
    }
}
