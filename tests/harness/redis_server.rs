//! A Redis of the test's own, on a port and in a folder of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::needs::named;
use crate::ports::free_port;
use crate::process::Process;

/// The database that tests use: not the one that is used where nobody says.
const DATABASE: u8 = 3;

/// See the head of this file. Dropped, it is killed.
pub struct RedisServer {
    pub port: u16,
    program: PathBuf,
    folder: TempDir,
    options: Vec<String>,
    user: String,
    process: Option<Process>,
}

impl RedisServer {
    /// One that is up and empty; `None` where none is installed.
    pub fn start() -> Option<Self> {
        let mut server = Self::absent()?;
        server.run();
        Some(server)
    }

    /// Further options of its command line.
    pub fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
    }

    /// Who its visitors are from now on, as addresses say it.
    pub fn log_in_as(&mut self, user_and_password: &str) {
        self.user = format!("{user_and_password}@");
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One that is not up yet.
    pub fn absent() -> Option<Self> {
        let program = named("CONNECT_IDP_TEST_REDIS_SERVER")?;
        let folder = tempfile::tempdir().unwrap();
        Some(Self { port: free_port(), program, folder, options: Vec::new(), user: String::new(), process: None })
    }

    /// Starts it, or starts it again: empty.
    pub fn run(&mut self) {
        self.kill();
        let mut redis = Command::new(&self.program);
        redis.args(["--port", &self.port.to_string(), "--dir"]).arg(self.folder.path()).stdin(Stdio::null());
        redis
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(&self.options);
        self.process = Some(Process::start(redis, self.folder.path().join("log")));
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "Redis does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn url(&self) -> String {
        format!("redis://{}127.0.0.1:{}/{DATABASE}", self.user, self.port)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// It is there, and says nothing.
    pub fn pause(&self) {
        self.process.as_ref().unwrap().send(Signal::STOP);
    }

    pub fn resume(&self) {
        self.process.as_ref().unwrap().send(Signal::CONT);
    }

    /// Somebody else's connection to the database that replicas use.
    pub fn outsider(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Every key of the database, with the milliseconds it has yet to live.
    pub fn keys(&self) -> Vec<(String, i64)> {
        let mut outsider = self.outsider();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut outsider).unwrap();
        let lives = |key: String| {
            let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut outsider).unwrap();
            (key, left)
        };
        // One that ended meanwhile is none.
        keys.into_iter().map(lives).filter(|(_, left)| *left != -2).collect()
    }

    /// Every command that it is given from now on, as it writes them down.
    pub fn monitor(&self) -> Arc<Mutex<String>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert_eq!(first, "+OK\r\n");
        let seen = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        seen
    }
}
