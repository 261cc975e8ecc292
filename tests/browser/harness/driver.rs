//! chromedriver and geckodriver: one for each browser, on a free port; killed with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use thirtyfour::prelude::*;
use thirtyfour::{Capabilities, LoggingPrefsLogLevel};

use crate::needs::named;

/// Which browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Chromium,
    Firefox,
}

/// How it is set.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// Whether it takes certificates that nobody whom it trusts has signed.
    pub any_certificate: bool,
    /// Ports of this machine, each with the one that it is led to in its place.
    pub detours: [Option<(u16, u16)>; 2],
}

impl Default for Options {
    fn default() -> Self {
        Self { scripts: true, any_certificate: false, detours: [None; 2] }
    }
}

/// What a browser needs to be driven.
#[derive(Debug)]
pub struct Programs {
    driver: PathBuf,
    browser: PathBuf,
}

impl Kind {
    /// Where they are; `None` when one is missing, which was then said.
    pub fn programs(self) -> Option<Programs> {
        let (driver, browser) = match self {
            Self::Chromium => ("CONNECT_IDP_TEST_CHROMEDRIVER", "CONNECT_IDP_TEST_CHROMIUM"),
            Self::Firefox => ("CONNECT_IDP_TEST_GECKODRIVER", "CONNECT_IDP_TEST_FIREFOX"),
        };
        Some(Programs { driver: named(driver)?, browser: named(browser)? })
    }
}

/// A running driver, and the browser it started.
pub struct Driver {
    child: Child,
    browser: Option<Pid>,
    // Profiles, caches, whatever else they write.
    home: tempfile::TempDir,
}

impl Driver {
    /// Starts the driver, and a browser with a fresh profile.
    pub async fn start(kind: Kind, programs: &Programs, options: Options) -> (Self, WebDriver) {
        let home = tempfile::Builder::new().prefix("browser.").tempdir().unwrap();
        let mut started = Err(String::new());
        // chromedriver takes a free port of IPv4 and wants the same of IPv6: where somebody else has that one, it ends.
        for _ in 0..5 {
            started = listening(kind, programs, home.path()).await;
            if started.is_ok() {
                break;
            }
        }
        let (child, port) = started.unwrap_or_else(|said| panic!("the driver ended: {said}"));
        let mut this = Self { child, browser: None, home };
        let address = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(address, capabilities(kind, &programs.browser, options)).await.unwrap();
        let pid = ["goog:processID", "moz:processID"].iter().find_map(|name| driver.capabilities().get(name));
        this.browser = pid.and_then(|id| Pid::from_raw(id.as_i64()?.try_into().ok()?));
        // `Drop` ends it, with the driver: asking a driver that is gone would only wait.
        driver.clone().leak().unwrap();
        (this, driver)
    }
}

/// A driver that listens, and on which port; or what it said before it ended.
async fn listening(kind: Kind, programs: &Programs, home: &Path) -> Result<(Child, u16), String> {
    let mut child = Command::new(&programs.driver)
        .args(arguments(kind, home))
        .env("HOME", home)
        .env("TMPDIR", home)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_CACHE_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let port = tokio::task::spawn_blocking(move || {
        let (mut lines, mut said) = (BufReader::new(out).lines().map_while(Result::ok), String::new());
        let port = lines.find_map(|line| {
            said = line;
            port_of(&said)
        });
        // Read to the end, else the driver blocks when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        port.ok_or(said)
    });
    let port = tokio::time::timeout(super::PATIENCE * 2, port).await.expect("the driver does not start").unwrap();
    if port.is_err() {
        child.wait().unwrap();
    }
    Ok((child, port?))
}

impl Drop for Driver {
    fn drop(&mut self) {
        let own = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        for pid in [self.browser, own].into_iter().flatten() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        // The browser's helpers write into the profile until they notice, and make it again.
        for _ in 0..50 {
            let helpers = processes_of(self.home.path());
            for pid in &helpers {
                let _ = kill_process(*pid, Signal::KILL);
            }
            if helpers.is_empty() && std::fs::remove_dir_all(self.home.path()).is_ok() {
                break;
            }
            std::thread::sleep(super::PAUSE);
        }
    }
}

/// The processes that this profile was named to; the browser names it to its helpers.
fn processes_of(home: &Path) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    let named = |pid: &Pid| {
        let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&*home.to_string_lossy())
    };
    ids.filter(named).collect()
}

fn arguments(kind: Kind, home: &Path) -> Vec<String> {
    match kind {
        Kind::Chromium => vec!["--port=0".into()],
        Kind::Firefox => {
            let profiles = home.to_str().unwrap();
            ["--port", "0", "--websocket-port", "0", "--profile-root", profiles].map(str::to_owned).into()
        }
    }
}

/// "ChromeDriver was started successfully on port 39057.", "… Listening on 127.0.0.1:43761"
fn port_of(line: &str) -> Option<u16> {
    let after = line.split_once("successfully on port ").or_else(|| line.split_once("Listening on 127.0.0.1:"))?.1;
    after.trim().trim_end_matches('.').parse().ok()
}

fn capabilities(kind: Kind, browser: &Path, options: Options) -> Capabilities {
    const FLAGS: [&str; 10] = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-quic",
        "--no-first-run",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
    ];
    let browser = browser.to_str().unwrap();
    match kind {
        Kind::Chromium => {
            let mut wanted = DesiredCapabilities::chrome();
            wanted.set_binary(browser).unwrap();
            for flag in FLAGS {
                wanted.add_arg(flag).unwrap();
            }
            let rules: Vec<_> = options
                .detours
                .iter()
                .flatten()
                .flat_map(|(from, to)| {
                    ["localhost", "127.0.0.1"].map(|host| format!("MAP {host}:{from} 127.0.0.1:{to}"))
                })
                .collect();
            if !rules.is_empty() {
                wanted.add_arg(&format!("--host-resolver-rules={}", rules.join(","))).unwrap();
            }
            wanted.set_logging_prefs("browser", LoggingPrefsLogLevel::All).unwrap();
            // 2 = block; password managers would put bubbles over the pages.
            let scripts = if options.scripts { 1 } else { 2 };
            let preferences = json!({
                "credentials_enable_service": false,
                "profile.password_manager_enabled": false,
                "profile.managed_default_content_settings.javascript": scripts,
            });
            wanted.add_experimental_option("prefs", preferences).unwrap();
            wanted.accept_insecure_certs(options.any_certificate).unwrap();
            wanted.into()
        }
        Kind::Firefox => {
            let mut wanted = DesiredCapabilities::firefox();
            wanted.set_firefox_binary(browser).unwrap();
            for flag in ["-headless", "--width=1280", "--height=900"] {
                wanted.add_arg(flag).unwrap();
            }
            wanted.into()
        }
    }
}
