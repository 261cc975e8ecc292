//! The database under the service: made, and asked what it had to do.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::machine::cpu_of;

/// Where the service keeps its truth.
#[derive(Clone)]
pub enum Engine {
    Sqlite,
    /// The address of a server whose superuser we may be.
    Postgres(String),
}

/// One database of an engine. Dropped, it is removed.
pub enum Database {
    Sqlite(PathBuf),
    Postgres { server: String, name: String },
}

/// How far its counters have come.
pub struct Reading {
    /// SQLite: transactions that wrote. PostgreSQL's are counted by the relay.
    pub commits: Option<f64>,
    /// PostgreSQL: the end of the write-ahead log, which the whole server shares.
    pub wal: Option<f64>,
    cpu: BTreeMap<u32, Duration>,
}

impl Engine {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// A database of its own: a file in the folder of its service, or a copy of another on the server.
    pub fn create(&self, folder: &Path, template: Option<&str>) -> Database {
        match self {
            Self::Sqlite => Database::Sqlite(folder.join("connect.db")),
            Self::Postgres(server) => {
                let name = format!("connect_idp_bench_{}_{}", std::process::id(), template.map_or("own", |_| "copy"));
                let create = format!("CREATE DATABASE {name} TEMPLATE {};", template.unwrap_or("template1"));
                psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE); {create}")).unwrap();
                Database::Postgres { server: server.clone(), name }
            }
        }
    }
}

impl Database {
    /// PostgreSQL's name of it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { name, .. } => Some(name),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{}", file.display()),
            Self::Postgres { server, name } => {
                let mut url = url::Url::parse(server).unwrap();
                url.set_path(name);
                url.into()
            }
        }
    }

    /// Which program, and what decides how much a commit costs.
    pub fn facts(&self) -> String {
        match self {
            Self::Sqlite(file) => {
                let disk = Command::new("findmnt").args(["-no", "FSTYPE", "-T"]).arg(file).output();
                let disk =
                    disk.map(|found| String::from_utf8_lossy(&found.stdout).trim().to_owned()).unwrap_or_default();
                format!("WAL, synchronous=FULL, on {}", if disk.is_empty() { "a disk of unknown kind" } else { &disk })
            }
            Self::Postgres { server, .. } => {
                let settings = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "ssl"];
                let show = settings.map(|name| format!("'{name}=' || current_setting('{name}')")).join(" || ', ' || ");
                psql(server, &format!("SELECT 'PostgreSQL ' || current_setting('server_version') || ', ' || {show}"))
                    .unwrap()
            }
        }
    }

    /// Its own processes, if it runs on this machine.
    pub fn processes(&self) -> Vec<i32> {
        let Self::Postgres { server, name } = self else { return Vec::new() };
        let sql = format!(
            "SELECT string_agg(pid::TEXT, ' ') FROM pg_stat_activity WHERE datname = '{name}' \
             OR backend_type IN ('walwriter', 'checkpointer', 'background writer')"
        );
        let found = psql(server, &sql).unwrap_or_default();
        let found = found.split_whitespace().map(|number| number.parse().unwrap());
        found.filter(|process| is_postgres(*process)).collect()
    }

    pub fn read(&self) -> Reading {
        match self {
            Self::Sqlite(file) => {
                let index = WalIndex::of(file);
                Reading { commits: Some(f64::from(index.changes)), wal: None, cpu: BTreeMap::new() }
            }
            Self::Postgres { server, .. } => {
                let wal = psql(server, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").unwrap();
                let processes = self.processes().into_iter().filter_map(|process| u32::try_from(process).ok());
                let cpu = processes.filter_map(|process| Some((process, cpu_of(process)?))).collect();
                Reading { commits: None, wal: wal.parse().ok(), cpu }
            }
        }
    }
}

impl Reading {
    /// The CPU time of the database's own processes since an earlier reading; none where they cannot be seen.
    pub fn cpu_since(&self, earlier: &Self) -> Option<Duration> {
        let each = self
            .cpu
            .iter()
            .map(|(process, cpu)| cpu.saturating_sub(earlier.cpu.get(process).copied().unwrap_or_default()));
        (!self.cpu.is_empty()).then(|| each.sum())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres { server, name } = self {
            let _ = psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE);"));
        }
    }
}

/// Asks by PostgreSQL's own client.
pub fn psql(server: &str, sql: &str) -> Result<String, String> {
    let mut client = Command::new("psql");
    client.args(["-XAtq", "-v", "ON_ERROR_STOP=1", server]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = client.spawn().map_err(|error| format!("psql: {error}"))?;
    let sent = client.stdin.take().map(|mut stdin| writeln!(stdin, "{};", sql.trim_end_matches(';')));
    let output = client.wait_with_output().map_err(|error| error.to_string())?;
    let fine = output.status.success() && sent.is_some_and(|sent| sent.is_ok());
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if fine { Ok(said) } else { Err(format!("psql failed: {said}")) }
}

fn is_postgres(process: i32) -> bool {
    fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "postgres")
}

/// The head of SQLite's `-shm` file (sqlite.org/walformat.html, 2.1): native numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WalIndex {
    /// Transactions that wrote, since the file was made.
    pub changes: u32,
    /// Pages in the write-ahead log.
    pub pages: u32,
    /// Others after the log began from its start again.
    pub salt: u64,
}

impl WalIndex {
    pub fn of(database: &Path) -> Self {
        let bytes = fs::read(database.with_extension("db-shm")).unwrap();
        let number = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap());
        Self { changes: number(8), pages: number(16), salt: u64::from_ne_bytes(*bytes[32..].first_chunk().unwrap()) }
    }

    /// Bytes that the log got since: a page of 4096 with a head of 24 each.
    pub fn bytes_since(&self, earlier: &Self) -> f64 {
        let from = if earlier.salt == self.salt { earlier.pages } else { 0 };
        f64::from(self.pages.saturating_sub(from)) * f64::from(4096 + 24)
    }
}
