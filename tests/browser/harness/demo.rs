//! The demo: started for one test, stopped with it; and the product's commands on its database.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::people::Person;
use crate::process::Process;

/// One running demo.
pub struct Demo {
    // Killed: it removes its own folder when asked to stop, and ours is removed in any case.
    process: Process,
    place: Place,
    // Whatever is written goes here, and goes with it.
    _folder: tempfile::TempDir,
}

#[derive(Deserialize)]
struct Place {
    issuer: String,
    therap_services: String,
    foreign: String,
    portal: String,
    config: String,
}

impl Demo {
    /// Starts it on free ports; back when everything listens.
    pub async fn start(program: &Path, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("browser-demo.").tempdir().unwrap();
        let site: &[&str] = if arguments.contains(&"--site") { &[] } else { &["--site", "production"] };
        let mut child = Command::new(program)
            .args(["--port", "0", "--therap-port", "0", "--portal-port", "0", "--fast", "--output", "json"])
            .args(site)
            .args(arguments)
            .env("TMPDIR", folder.path())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let process = Process::of(child, folder.path().join("log"));
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(super::PATIENCE * 2, line).await;
        let line = line.expect("the demo starts").unwrap().unwrap();
        let place = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the demo ended: {line}"));
        Self { process, place, _folder: folder }
    }

    /// Therap Connect.
    pub fn issuer(&self) -> &str {
        &self.place.issuer
    }

    /// An address of the stand-in for Therap Services.
    pub fn therap(&self, path: &str) -> String {
        format!("{}{path}", self.place.therap_services)
    }

    /// The relying party.
    pub fn portal(&self) -> &str {
        &self.place.portal
    }

    /// The page that nobody registered.
    pub fn foreign(&self) -> &str {
        &self.place.foreign
    }

    /// The service's log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// An assertion for somebody, minted a number of seconds from now.
    pub async fn assertion(&self, user: &Person, iat_offset: i64) -> String {
        self.assertion_with(user, &[("iat_offset", &iat_offset.to_string())]).await
    }

    /// An assertion for somebody, in which these differ.
    pub async fn assertion_with(&self, user: &Person, differing: &[(&str, &str)]) -> String {
        let key = user.key();
        let query = differing.iter().chain(&[("user", key.as_str())]).copied().collect::<Vec<_>>();
        let address = url::Url::parse_with_params(&self.therap("/assertion"), query).unwrap();
        let answer = reqwest::get(address).await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    }

    /// Runs a command of the product on this demo's data; what it printed.
    pub fn command(&self, arguments: &[&str]) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_connect-idp"))
            .args(["--config", &self.place.config])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "connect-idp {arguments:?}: {said}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Runs a command about a user.
    pub fn on_user(&self, verb: &str, user: &Person) -> String {
        self.command(&["user", verb, "--provider", user.provider, "--login-name", user.login_name])
    }

    /// The ids of a user's open sessions.
    pub fn sessions(&self, user: &Person) -> Vec<String> {
        let who = ["--provider", user.provider, "--login-name", user.login_name, "--output", "json"];
        let said = self.command(&[["session", "list"].as_slice(), &who].concat());
        let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// An admin's reset: the temporary password.
    pub fn reset_password(&self, user: &Person) -> String {
        let who = ["--provider", user.provider, "--login-name", user.login_name, "--output", "json"];
        let said = self.command(&[["user", "reset-password"].as_slice(), &who].concat());
        let row: serde_json::Value = serde_json::from_str(&said).unwrap();
        row["temporary_password"].as_str().unwrap().to_owned()
    }
}
