//! What the real binary runs in: configuration, keys and database in a temporary folder; and the processes in it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use connect_idp::crypto::password::Cost;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::databases::Database;
use crate::ports::free_port;
use crate::process::Process;
use crate::support::{Engine, PROVIDER, bare, eventually, hash, user};
use crate::visitors::{SENDER, Sender, Visitors};

/// The program of a release build, where a variable names one to be tested instead of this build's.
pub fn optimised() -> Option<PathBuf> {
    std::env::var_os("CONNECT_IDP_TEST_PROGRAM").map(|program| fs::canonicalize(program).unwrap())
}

pub struct Setup {
    pub folder: TempDir,
    pub issuer: String,
    pub database: String,
    pub sender: Sender,
    pub program: PathBuf,
    port: u16,
    engine: Engine,
    _postgres: Option<Database>,
}

impl Setup {
    /// Without throttle; with what [`Setup::seed`] says.
    pub async fn new(engine: Engine, users: usize, cost: Cost, settings: &str) -> Self {
        let setup = Self::empty(engine, cost, settings).await;
        setup.prepare();
        setup.apply(&setup.seed(users, cost).await);
        setup
    }

    /// A provider whose Unified Login is on, users `user0`, `user1`, … and a trusted issuer.
    pub async fn seed(&self, users: usize, cost: Cost) -> String {
        let hash = hash(cost).await;
        let mut seed = format!("[[provider]]\ncode = \"{PROVIDER}\"\nname = \"Sunrise\"\nunified_login = \"on\"\n");
        seed.extend((0..users).map(|number| user(&format!("user{number}"), &hash)));
        let issuer = format!(
            "[[trusted_issuer]]\nissuer = \"{SENDER}\"\ndisplay_name = \"Sender\"\norigins = [\"{SENDER}\"]\njwks = '{}'\n",
            self.sender.jwks()
        );
        seed + &issuer
    }

    /// A configuration and, on PostgreSQL, an empty database.
    pub async fn empty(engine: Engine, cost: Cost, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let issuer = format!("http://localhost:{port}");
        let postgres = match &engine {
            Engine::Sqlite => None,
            Engine::Postgres(cluster) => Some(Database::create(cluster).await),
        };
        let file = || format!("sqlite://{}/connect.db", folder.path().display());
        let database = postgres.as_ref().map_or_else(file, Database::url);
        let configuration = format!(
            "issuer = \"{issuer}\"\ndrain_seconds = 0\n[database]\nurl = \"{database}\"\n[keys]\ndir = \"{}/keys\"\n[throttle]\nenabled = false\n\
             [password]\nmemory_kib = {}\niterations = {}\nthreads = 2\n[log]\nlevel = \"warn\"\n{settings}",
            folder.path().display(),
            cost.memory_kib,
            cost.iterations
        );
        fs::write(folder.path().join("connect.toml"), configuration).unwrap();
        let sender = Sender::new(&issuer);
        let program = optimised().unwrap_or_else(|| env!("CARGO_BIN_EXE_connect-idp").into());
        Self { folder, issuer, database, sender, program, port, engine, _postgres: postgres }
    }

    /// Keys and schema, which SQLite's `serve` and `apply` make themselves.
    pub fn prepare(&self) {
        if matches!(self.engine, Engine::Postgres(_)) {
            self.cli(&["key", "init"]);
            self.cli(&["migrate"]);
        }
    }

    pub fn apply(&self, seed: &str) {
        let file = self.write("seed.toml", seed);
        self.cli(&["apply", file.to_str().unwrap()]);
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// The binary with this configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(&self.program);
        command.arg("--config").arg(self.folder.path().join("connect.toml")).args(arguments);
        command
    }

    /// Runs a command that must succeed; what it printed.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(status.success(), "connect-idp {arguments:?}: {status}\n{err}\n{out}");
        out
    }

    /// User Activity, oldest first.
    pub fn activity(&self) -> Vec<Record> {
        self.cli(&["activity", "export"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub async fn serve(&self) -> Service {
        self.serve_with(&[]).await
    }

    /// Settings overridden by variables.
    pub async fn serve_with(&self, variables: &[(&str, &str)]) -> Service {
        self.ready(self.start(self.port, variables)).await
    }

    /// A second replica.
    pub async fn serve_too(&self) -> Service {
        self.serve_too_with(&[]).await
    }

    pub async fn serve_too_with(&self, variables: &[(&str, &str)]) -> Service {
        self.ready(self.start(free_port(), variables)).await
    }

    /// Waits until it is.
    pub async fn ready(&self, service: Service) -> Service {
        let client = Visitors::new(&service.address, &self.issuer);
        let ready = format!("http://127.0.0.1:{}/health/ready", service.internal);
        eventually("the service is ready", Duration::from_secs(20), async || client.status(&ready).await == Some(200))
            .await;
        service
    }

    /// A service that may never become ready.
    pub fn start(&self, port: u16, variables: &[(&str, &str)]) -> Service {
        self.start_on([port, free_port()], variables)
    }

    /// A service in the place of one that ended.
    pub fn start_again(&self, service: &mut Service, variables: &[(&str, &str)]) {
        let port = service.address.rsplit(':').next().unwrap().parse().unwrap();
        *service = self.start_on([port, service.internal], variables);
    }

    /// A service to which this socket is handed over, as systemd does it.
    pub fn start_handed(&self, socket: OwnedFd) -> Service {
        // The shell becomes the service: its number stays.
        const HAND_OVER: &str =
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http exec \"$0\" \"$@\"";
        let serve = self.command(&["serve"]);
        let mut shell = bare("sh".as_ref());
        shell.arg("-c").arg(HAND_OVER).arg(serve.get_program()).args(serve.get_args()).stdin(socket);
        // Nobody's address: it could not be bound.
        self.spawn(shell, [1, free_port()], &[("CONNECT_IDP__LISTEN", "192.0.2.1:1")])
    }

    fn start_on(&self, ports: [u16; 2], variables: &[(&str, &str)]) -> Service {
        self.spawn(self.command(&["serve"]), ports, variables)
    }

    fn spawn(&self, mut serve: Command, [port, internal]: [u16; 2], variables: &[(&str, &str)]) -> Service {
        let log = self.folder.path().join(format!("serve-{port}.log"));
        serve
            .env("CONNECT_IDP__LISTEN", format!("127.0.0.1:{port}"))
            .env("CONNECT_IDP__INTERNAL_LISTEN", format!("127.0.0.1:{internal}"))
            .envs(variables.iter().copied());
        let child = Process::start(serve, log);
        Service { child, address: format!("http://127.0.0.1:{port}"), issuer: self.issuer.clone(), internal }
    }

    /// Changes the database by another way than the program's.
    pub async fn run_sql(&self, sql: &'static str) {
        if matches!(self.engine, Engine::Sqlite) {
            self.sqlite().execute_batch(sql).unwrap();
        } else {
            sqlx::query(sql).execute(&mut PgConnection::connect(&self.database).await.unwrap()).await.unwrap();
        }
    }

    /// Two texts from each row.
    pub async fn pairs(&self, sql: &'static str) -> Vec<(String, String)> {
        if matches!(self.engine, Engine::Sqlite) {
            let connection = self.sqlite();
            let mut statement = connection.prepare(sql).unwrap();
            let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            pairs.map(Result::unwrap).collect()
        } else {
            let mut connection = PgConnection::connect(&self.database).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        }
    }

    pub async fn count(&self, from_where: &str) -> usize {
        let sql = format!("SELECT COUNT(*) FROM {from_where}");
        let count: i64 = if matches!(self.engine, Engine::Sqlite) {
            self.sqlite().query_row(&sql, [], |row| row.get(0)).unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.database).await.unwrap();
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap()
        };
        usize::try_from(count).unwrap()
    }

    /// A connection of our own to the file.
    pub fn sqlite(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.database.trim_start_matches("sqlite://")).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }
}

/// What a process, or `self`, took of the processors so far, in seconds of one.
pub fn processor_seconds(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which may hold anything, the 12th and the 13th: ticks for itself, and in the kernel for it.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / f64::from(u32::try_from(clock_ticks_per_second()).unwrap())
}

/// What these tests read of a record of User Activity.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Record {
    pub outcome: String,
    pub reason: Option<String>,
    pub login_type: Option<String>,
    pub login_name: Option<String>,
    pub handoff_id: Option<String>,
}

/// A running service.
pub struct Service {
    pub address: String,
    issuer: String,
    internal: u16,
    child: Process,
}

impl Service {
    /// People with browsers of their own.
    pub fn visitors(&self) -> Visitors {
        Visitors::new(&self.address, &self.issuer)
    }

    /// An address for whoever runs it.
    pub fn internal(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.internal)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    pub fn terminate(&self) {
        self.send(Signal::TERM);
    }

    pub fn send(&self, signal: Signal) {
        self.child.send(signal);
    }

    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", within, async || {
            status = self.child.ended();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    pub fn runs(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// No file of its may grow past a number of bytes, as on a disk that is full; `None`: any may again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.child.pid()), Resource::Fsize, limit).unwrap();
    }

    /// What it wrote to its log.
    pub fn said(&self) -> String {
        self.child.log()
    }

    /// How many files and sockets it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What it took of the processors so far, in seconds of one.
    pub fn processor_seconds(&self) -> f64 {
        processor_seconds(&self.child.id().to_string())
    }

    /// A line of `/proc/PID/status`, in MiB: `VmRSS`, or `VmHWM` for the most there ever was.
    pub fn memory_mib(&self, line: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
    }
}
