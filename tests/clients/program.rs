//! A program of a test's: it listens on a port, and is stopped with the test.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long one may take until it listens: some are large, and the machine may be busy.
const START: Duration = Duration::from_mins(4);

pub struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; back when it listens.
    pub async fn start(name: &'static str, mut command: Command, folder: &Path, port: u16) -> Self {
        let log = folder.join(format!("{port}.log"));
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {command:?}: {error}"));
        let mut this = Self { name, child, log };
        let listens = tokio::time::timeout(START, async {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                if let Some(status) = this.child.try_wait().unwrap() {
                    panic!("{name} ended: {status}");
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        });
        assert!(listens.await.is_ok(), "{name} does not listen");
        this
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- {}'s log ---\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        // Asked first: Apache ends its own children.
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = id.map(|id| kill_process(id, Signal::TERM));
        for _ in 0..250 {
            if !self.child.try_wait().is_ok_and(|status| status.is_none()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port below those that outgoing connections take, so that it stays free until it is listened on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 500).unwrap() * 8;
    loop {
        let port = 6_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 4_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
