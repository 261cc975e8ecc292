//! The real binary as a child process, seeded: what every bench measures.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};

/// Where the service keeps its truth.
pub struct Engine {
    pub name: &'static str,
    postgres: Option<String>,
}

/// SQLite always; PostgreSQL where `CONNECT_IDP_TEST_POSTGRES` names one.
pub fn engines() -> Vec<Engine> {
    let mut engines = vec![Engine { name: "SQLite", postgres: None }];
    match std::env::var("CONNECT_IDP_TEST_POSTGRES") {
        Ok(url) => engines.push(Engine { name: "PostgreSQL", postgres: Some(url) }),
        Err(_) => println!("\nPostgreSQL is left out: set CONNECT_IDP_TEST_POSTGRES to the address of one"),
    }
    engines
}

/// The running service. Dropped, it is stopped.
pub struct House {
    pub issuer: String,
    pub client: Client,
    process: Process,
    _folder: tempfile::TempDir,
}

impl House {
    /// Starts the service on a database of its own, after `apply` of a seed; `settings` end its configuration.
    pub async fn start(engine: &Engine, seed: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, internal) = (free_port(), free_port());
        let issuer = format!("http://localhost:{port}");
        let database = match &engine.postgres {
            None => format!("sqlite://{}/connect.db", folder.path().display()),
            Some(url) => create_database(url),
        };
        let configuration = format!(
            "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{port}\"\ninternal_listen = \"127.0.0.1:{internal}\"\n\
             [database]\nurl = \"{database}\"\n[keys]\ndir = \"{}/keys\"\n[throttle]\nenabled = false\n[log]\nlevel = \"error\"\n{settings}",
            folder.path().display()
        );
        let config = folder.path().join("connect.toml");
        fs::write(&config, configuration).unwrap();
        let seed_file = folder.path().join("seed.toml");
        fs::write(&seed_file, seed).unwrap();
        let command = |verb: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_connect-idp"));
            command.arg("--config").arg(&config).args(verb).stdout(Stdio::null());
            command
        };
        if engine.postgres.is_some() {
            assert!(command(&["key", "init"]).status().unwrap().success());
            assert!(command(&["migrate"]).status().unwrap().success());
        }
        assert!(command(&["apply", seed_file.to_str().unwrap()]).status().unwrap().success());
        let process = Process(command(&["serve"]).spawn().unwrap());
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        answers(&client, &format!("http://127.0.0.1:{internal}/health/ready")).await;
        Self { issuer, client, process, _folder: folder }
    }

    /// User and system time of the process so far.
    pub fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    /// Resident memory.
    pub fn memory_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// A child process. Dropped, it is stopped.
pub struct Process(pub Child);

impl Process {
    /// User and system time so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<u64> =
            stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|f| f.parse().unwrap()).collect();
        // Linux counts in hundredths of a second, whatever the machine.
        Duration::from_millis((fields[0] + fields[1]) * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until an address answers 200.
pub async fn answers(client: &Client, address: &str) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if client.get(address).send().await.is_ok_and(|r| r.status() == StatusCode::OK) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{address} did not answer");
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A database of its own on the given server, by PostgreSQL's own client.
fn create_database(url: &str) -> String {
    let name = format!("connect_idp_bench_{}", std::process::id());
    let mut psql = Command::new("psql").arg(url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writeln!(psql.stdin.take().unwrap(), "DROP DATABASE IF EXISTS {name};\nCREATE DATABASE {name};").unwrap();
    assert!(psql.wait().unwrap().success());
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

pub fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
