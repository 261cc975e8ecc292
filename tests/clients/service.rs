//! The service under test: the real binary over TLS, with SQLite in a temporary folder.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::harness::people::AMINA;
use crate::ports::free_port;
use crate::program::Program;

/// Everybody's and everything's, where a client has one.
pub const SECRET: &str = "a-secret-of-the-tests-0123456789-abcdefghijk";

pub struct Service {
    pub issuer: String,
    pub certificates: Certificates,
    pub folder: TempDir,
    /// Where it listens.
    pub port: u16,
    _program: Program,
}

impl Service {
    /// With one user, [`AMINA`], and this client (a table of the seed file, which others may follow).
    pub async fn start(client: &str) -> Self {
        let port = free_port();
        Self::of(port, port, client).await
    }

    /// Behind a proxy, which has the certificate and this port.
    pub async fn behind(proxy: u16, client: &str) -> Self {
        Self::of(free_port(), proxy, client).await
    }

    async fn of(port: u16, public: u16, client: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("clients.").tempdir().unwrap();
        let certificates = Certificates::make(folder.path());
        let issuer = format!("https://localhost:{public}");
        let (home, pem) = (folder.path().display(), |file: &PathBuf| file.display().to_string());
        let (proxies, tls) = if port == public {
            let Certificates { certificate, key, .. } = &certificates;
            ("", format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", pem(certificate), pem(key)))
        } else {
            ("trusted_proxies = [\"127.0.0.1/32\"]\n", String::new())
        };
        let configuration = format!(
            "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{port}\"\ninternal_listen = \"127.0.0.1:{}\"\n{proxies}\
             [database]\nurl = \"sqlite://{home}/connect.db\"\n[keys]\ndir = \"{home}/keys\"\n{tls}\
             [outbound]\nca_files = [\"{}\"]\n[password]\nmemory_kib = 8\niterations = 1\n[throttle]\nenabled = false\n",
            free_port(),
            pem(&certificates.authority),
        );
        fs::write(folder.path().join("connect.toml"), configuration).unwrap();
        let seed = format!(
            "[[provider]]\ncode = \"{provider}\"\nname = \"Sunrise Homes\"\nunified_login = \"on\"\n\
             [[user]]\nprovider = \"{provider}\"\nlogin_name = \"{login_name}\"\nname = \"{name}\"\n\
             password = \"{password}\"\ntemporary = false\nclaims = {{ email = \"amina@sunrise.example\" }}\n\
             [[client]]\n{client}",
            provider = AMINA.provider,
            login_name = AMINA.login_name,
            name = AMINA.name,
            password = AMINA.password,
        );
        let file = folder.path().join("seed.toml");
        fs::write(&file, seed).unwrap();
        run(&folder, &["apply", file.to_str().unwrap()]);
        let mut serve = command(&folder, &["serve"]);
        serve.env("RUST_LOG", "info");
        let program = Program::start("the service", serve, folder.path(), port).await;
        Self { issuer, certificates, folder, port, _program: program }
    }

    /// The `sub` of [`AMINA`], the only user there is.
    pub fn sub(&self) -> String {
        let database = rusqlite::Connection::open(self.folder.path().join("connect.db")).unwrap();
        database.query_row("SELECT id FROM users", [], |row| row.get(0)).unwrap()
    }

    /// User Activity, oldest first.
    pub fn activity(&self) -> Vec<Value> {
        let lines = run(&self.folder, &["activity", "export"]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asks it as a program does; the answer is never followed anywhere.
    pub fn web(&self) -> reqwest::ClientBuilder {
        let trusted = reqwest::Certificate::from_pem(&fs::read(&self.certificates.authority).unwrap()).unwrap();
        reqwest::Client::builder().tls_certs_merge([trusted]).redirect(reqwest::redirect::Policy::none())
    }
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connect-idp"));
    command.arg("--config").arg(folder.path().join("connect.toml")).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that must succeed; what it printed.
fn run(folder: &TempDir, arguments: &[&str]) -> String {
    let done = command(folder, arguments).output().unwrap();
    assert!(done.status.success(), "connect-idp {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
