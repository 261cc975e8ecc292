//! How a page looks and is read: colour scheme, width, accessibility, complaints of the browser, pictures.

use std::path::Path;

use serde_json::{Value, json};
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::{RequestData, SessionId};

use super::{Browser, Kind};
use crate::needs::named;

/// What the system is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A command of Chrome's `DevTools` protocol.
#[derive(Debug)]
struct DevTools(&'static str, Value);

impl FormatRequestData for DevTools {
    fn format_request(&self, session: &SessionId) -> RequestData {
        let address = format!("/session/{session}/goog/cdp/execute");
        RequestData::new("POST".parse().unwrap(), address).add_body(json!({ "cmd": self.0, "params": self.1 }))
    }
}

impl Browser {
    async fn dev_tools(&self, command: &'static str, parameters: Value) {
        self.driver.cmd(DevTools(command, parameters)).await.unwrap();
    }

    pub async fn set_scheme(&self, scheme: Scheme) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme.as_str() });
        self.dev_tools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
        self.settle().await;
    }

    /// A screen of a width in CSS pixels; a narrow one is a phone's.
    pub async fn set_width(&self, width: u32) {
        let phone = width < 600;
        let height = if phone { 740 } else { 900 };
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.dev_tools("Emulation.setDeviceMetricsOverride", screen).await;
        self.settle().await;
    }

    /// Colours on their way to others are nobody's choice.
    async fn settle(&self) {
        self.run("document.getAnimations().forEach((animation) => animation.finish())").await;
    }

    /// Nothing of the page lies beside the screen.
    pub async fn fits(&self, width: u64, page: &str) {
        let wide = self.run("return document.documentElement.scrollWidth").await;
        assert!(wide.as_u64().is_some_and(|wide| wide <= width), "{page} is {wide} pixels wide on a screen of {width}");
    }

    /// What axe-core finds wrong with the page; `None` when it is not here, which was then said.
    pub async fn axe(&self) -> Option<Vec<String>> {
        const RUN: &str = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                (found) => done(found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('; ')}`)),
                (error) => done([String(error)]));";
        let script = std::fs::read_to_string(named("CONNECT_IDP_TEST_AXE")?).unwrap();
        if self.run("return typeof axe").await == "undefined" {
            self.run(&script).await;
        }
        let found = self.driver.execute_async(RUN, Vec::new()).await.unwrap();
        Some(found.convert().unwrap())
    }

    /// What the browser has complained about in Therap Connect's pages since it was last asked.
    pub async fn complaints(&self) -> Vec<String> {
        assert_eq!(self.kind, Kind::Chromium, "geckodriver keeps no log");
        let entries = self.driver.browser_log().await.unwrap();
        let ours = entries.into_iter().filter(|entry| entry.message.contains(&self.issuer));
        // A page that is answered 403 or 422 is no complaint; a picture that is would be.
        let real = ours.filter(|entry| {
            !entry.message.contains("responded with a status of 4") || entry.message.contains("/assets/")
        });
        real.map(|entry| format!("{}: {}", entry.level, entry.message)).collect()
    }

    pub async fn picture(&self, file: &Path) {
        self.driver.screenshot(file).await.unwrap();
    }
}
