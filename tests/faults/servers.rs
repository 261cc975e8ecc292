//! Servers of others that a test starts for itself: PostgreSQL, HAProxy and PgBouncer, each in a folder and on a port
//! of its own. None of them likes to be root.

use std::fs;
use std::iter;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::Process;
use crate::support::eventually;

/// Who these servers are where the test is root.
const NOBODY: u32 = 65534;

/// A folder that these servers come to.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if geteuid().is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

/// A program that is not root, in a folder.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Runs a command that must succeed.
fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A running server.
pub struct Server {
    pub port: u16,
    process: Process,
}

impl Server {
    /// Starts a program that will listen on a port.
    pub async fn start(command: Command, folder: &Path, port: u16) -> Self {
        let process = Process::start(command, folder.join(format!("{port}.log")));
        Self { port, process: process.listening(port, Duration::from_secs(20)).await }
    }

    /// `kill -9`; what else it started ends with it.
    pub fn kill(&mut self) {
        let others = self.children();
        self.process.kill();
        // What was paused does not notice.
        for other in others {
            let _ = kill_process(other, Signal::CONT);
        }
    }

    /// It ends on its own, as this signal asks for.
    pub async fn end(&mut self, signal: Signal) {
        self.process.send(signal);
        eventually("the server ends", Duration::from_secs(30), async || self.process.ended().is_some()).await;
    }

    /// Takes connections, and does nothing any more; nor does what it started.
    pub fn pause(&self) {
        self.tell_all(Signal::STOP);
    }

    pub fn resume(&self) {
        self.tell_all(Signal::CONT);
    }

    fn tell_all(&self, signal: Signal) {
        // It first: it starts nothing more meanwhile.
        for process in iter::once(self.process.pid()).chain(self.children()) {
            // A child may have ended meanwhile.
            let _ = kill_process(process, signal);
        }
    }

    fn children(&self) -> Vec<Pid> {
        let processes =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let parent = |process: &i32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // After the name, which may hold anything: its state, its parent.
            stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
        };
        let ours = processes.filter(|process| parent(process) == Some(self.process.id()));
        ours.filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A PostgreSQL of the test's own.
pub struct Postgres {
    pub server: Server,
    programs: PathBuf,
    folder: PathBuf,
    data: String,
}

impl Postgres {
    /// One that is empty, ready to be followed by a standby.
    pub async fn first(programs: &Path, folder: &Path) -> Self {
        done(command(&programs.join("initdb"), folder).args([
            "--pgdata=first",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]));
        Self::run(programs, folder, "first", free_port()).await
    }

    /// A standby that follows it.
    pub async fn standby(&self, folder: &Path) -> Self {
        self.standby_at(folder, "second", free_port()).await
    }

    /// The same, in a folder of this name and on this port.
    pub async fn standby_at(&self, folder: &Path, data: &str, port: u16) -> Self {
        let copy = format!("--dbname=host=127.0.0.1 port={} user=postgres", self.server.port);
        let mut backup = command(&self.programs.join("pg_basebackup"), folder);
        let place = format!("--pgdata={data}");
        done(backup.args([&place, "--write-recovery-conf", "--checkpoint=fast", "--no-sync", &copy]));
        Self::run(&self.programs, folder, data, port).await
    }

    /// Acknowledges from here on what its standby has too.
    pub async fn wait_for_standby(&self) {
        let count = |state| format!("SELECT COUNT(*) FROM pg_stat_replication WHERE {state}");
        let (follows, waited_for) = (count("state = 'streaming'"), count("sync_state IN ('sync', 'quorum')"));
        eventually("the standby follows", Duration::from_secs(20), async || self.number(&follows).await == 1).await;
        self.run_sql("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        self.run_sql("SELECT pg_reload_conf()").await;
        eventually("the standby is waited for", Duration::from_secs(20), async || self.number(&waited_for).await == 1)
            .await;
    }

    /// Dead, and nothing of it is left.
    pub fn remove(&mut self) {
        self.server.kill();
        fs::remove_dir_all(self.folder.join(&self.data)).unwrap();
    }

    /// Starts again what has ended.
    pub async fn start_again(&mut self) {
        *self = Self::run(&self.programs, &self.folder, &self.data, self.server.port).await;
    }

    async fn run(programs: &Path, folder: &Path, data: &str, port: u16) -> Self {
        let mut postgres = command(&programs.join("postgres"), folder);
        postgres.args(["-D", data, "-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            // What one that is killed leaves behind goes with its folder.
            "dynamic_shared_memory_type=mmap",
        ] {
            postgres.args(["-c", setting]);
        }
        let server = Server::start(postgres, folder, port).await;
        let (programs, folder) = (programs.to_owned(), folder.to_owned());
        let postgres = Self { server, programs, folder, data: data.to_owned() };
        let answers = async || PgConnection::connect(&postgres.url()).await.is_ok();
        eventually("PostgreSQL answers", Duration::from_secs(20), answers).await;
        postgres
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.server.port)
    }

    /// Runs one statement.
    pub async fn run_sql(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }
}
