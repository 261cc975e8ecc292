//! The real binary as a child process on the server's core, with a configuration and a database of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http::{Http, Request};
use crate::machine::{Cores, Process};
use crate::ports::free_port;

const SETTINGS: &str = "drain_seconds = 0\n[throttle]\nenabled = false\n[log]\nlevel = \"error\"\n[tokens]\ncode_seconds = 300\n\
                        access_minutes = 240\n[session]\nidle_minutes = 240\n";

/// Its files and its addresses. Dropped, they are gone.
pub struct Service {
    pub port: u16,
    internal: u16,
    /// The address of its database.
    pub database: String,
    folder: TempDir,
    program: PathBuf,
}

impl Service {
    /// A configuration; `database` makes an address from the folder.
    pub fn new(program: &Path, database: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, internal, database) = (free_port(), free_port(), database(folder.path()));
        let configuration = format!(
            "issuer = \"http://localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\ninternal_listen = \"127.0.0.1:{internal}\"\n{SETTINGS}\
             [database]\nurl = \"{database}\"\n[keys]\ndir = \"{}/keys\"\n",
            folder.path().display()
        );
        fs::write(folder.path().join("connect.toml"), configuration).unwrap();
        Self { port, internal, database, folder, program: program.to_owned() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keys and schema.
    pub fn prepare(&self) {
        self.run(&["key", "init"]);
        self.run(&["migrate"]);
    }

    pub fn apply(&self, seed: &str) {
        let file = self.folder().join("seed.toml");
        fs::write(&file, seed).unwrap();
        self.run(&["apply", file.to_str().unwrap()]);
    }

    /// Serves, by this way to its database.
    pub fn serve(&self, cores: &Cores, database: &str) -> Process {
        let process = cores.start(self.command(&["serve"]).env("CONNECT_IDP__DATABASE__URL", database));
        wait_for(self.internal, "/health/ready");
        process
    }

    fn run(&self, verb: &[&str]) {
        assert!(self.command(verb).status().unwrap().success(), "connect-idp {verb:?} failed");
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.folder().join("connect.toml")).args(verb).stdout(Stdio::null());
        command
    }
}

/// Waits until an address answers 200.
pub fn wait_for(port: u16, path: &str) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_mins(1) {
        if Http::new(port).send(&Request::get(path)).is_ok_and(|answer| answer.status == 200) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing answers at {path} of port {port}");
}
