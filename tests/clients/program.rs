//! A program of a test's: it listens on a port, and is stopped with the test.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;

/// How long one may take until it listens: some are large, and the machine may be busy.
const START: Duration = Duration::from_mins(4);

pub struct Program(Process);

impl Program {
    /// Starts it; back when it listens.
    pub async fn start(name: &str, mut command: Command, folder: &Path, port: u16) -> Self {
        command.stdin(Stdio::null());
        Self(Process::start(command, folder.join(format!("{name}.log"))).listening(port, START).await)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked first: Apache ends its own children.
        if self.0.ended().is_none() {
            self.0.send(Signal::TERM);
        }
        for _ in 0..250 {
            if self.0.ended().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
