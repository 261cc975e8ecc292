//! A process that a test started. Dropped, it is killed; when the test fails, the end of its log is shown.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How many lines of a log are its end.
const END: usize = 60;

pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it says is added to this log.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self::of(child, log)
    }

    /// One that was started, and writes this log.
    pub fn of(child: Child, log: PathBuf) -> Self {
        Self { child, log }
    }

    /// Back when it listens on this port.
    pub async fn listening(mut self, port: u16, within: Duration) -> Self {
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                let ended = self.ended();
                assert!(ended.is_none(), "{} of a process that ended: {ended:?}", self.log.display());
                sleep(Duration::from_millis(25)).await;
            }
        };
        let listens = timeout(within, listens).await;
        assert!(listens.is_ok(), "{} of a process that does not listen", self.log.display());
        self
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap()
    }

    pub fn send(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// `kill -9`; it may be gone already.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- {} ---\n{}", self.log.display(), lines[lines.len().saturating_sub(END)..].join("\n"));
        }
    }
}
