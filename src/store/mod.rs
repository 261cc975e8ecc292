//! What is remembered, and the only place that names sqlx: one file per table group, free functions, SQL beside the
//! function. This file is the two engines, transactions, and everything in which SQLite and PostgreSQL differ.
//!
//! A statement is written once and compiled against both drivers by `on!`; every write, and every `RETURNING`, runs
//! inside `in_transaction!` (G26), whose work is a task of its own: a caller that stops waiting cancels nothing (G7).

pub mod activity;
pub mod clients;
pub mod consents;
pub mod endings;
pub mod handoffs;
mod held;
pub mod idempotency;
pub mod interactions;
pub mod invariants;
pub mod issuers;
pub mod keys;
pub mod logouts;
pub mod mails;
pub mod measures;
mod migrations;
pub mod moving;
pub mod passwords;
mod postgres;
pub mod providers;
pub mod replicas;
pub mod sessions;
pub mod settings;
pub mod single_use;
pub mod sqlite_files;
pub mod statistics;
pub mod strikes;
pub mod tokens;
pub mod unified_login;
pub mod users;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool};
use tokio::time::Instant;

pub use migrations::Schema;

use measures::{Connections, Fault, Measures, Purpose};

use crate::config;
use crate::crypto::key_ring::give_to_owner_of_folder;
use crate::crypto::secret::Secret;
use crate::log;
use crate::time::{Clock, Deadline, Random};

/// No statement runs longer than this on PostgreSQL, and nothing waits longer for SQLite's one writer. Just under a
/// handoff's 30 seconds, so that an ordinary handoff needs no time-out of its own.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(28);
/// How long past its deadline a transaction may go without an answer before its connection is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// So many tries a transaction has that stands in another's way, each after a longer wait by chance: those that collided
/// would collide again at once.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// How long one try for a connection lasts before we look whether the database is there at all.
const ACQUIRE_TRY: Duration = Duration::from_secs(3);

/// The database: SQLite for one machine, PostgreSQL for many. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    clock: Clock,
    record_key: Option<Secret>,
    measures: Arc<Measures>,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite {
        reader: SqlitePool,
        writer: SqlitePool,
        #[expect(dead_code, reason = "held until dropped")]
        in_use: Arc<sqlite_files::InUse>,
    },
    Postgres(postgres::Server),
}

/// Either engine's own kind of the same thing.
pub enum On<S, P> {
    /// SQLite's.
    Sqlite(S),
    /// PostgreSQL's.
    Postgres(P),
}

/// A connection to either engine: what a SELECT runs on. Dropped while a statement is unanswered, it is closed: nobody
/// waits for an answer that may never come.
///
/// One task, one connection (G29): whoever holds one and waits for another can stop everybody, once all are held so. A
/// `match` or `for` holds what its head took; `held` finds that, and all else of the kind, in debug builds.
///
/// A connection that was cut is replaced under a SELECT, which is asked again (G33): nothing was written, and nobody notices.
pub struct Conn {
    connection: Connection,
    unanswered: bool,
    /// Whether another connection may take its place: once, and never in a transaction.
    renewable: bool,
    measures: Arc<Measures>,
    #[expect(dead_code, reason = "held until dropped")]
    held: held::Held,
}

enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(postgres::Lent),
}

impl Conn {
    /// The connection of the engine in use.
    fn route(&mut self) -> On<&mut SqliteConnection, postgres::Statements<'_>> {
        self.unanswered = true;
        match &mut self.connection {
            Connection::Sqlite(connection) => On::Sqlite(&mut **connection),
            Connection::Postgres(lent) => On::Postgres(lent.statements()),
        }
    }

    async fn begin_to_read(&mut self) -> Result<(), Error> {
        if let Connection::Postgres(lent) = &mut self.connection {
            match lent.begin_to_read().await {
                Err(Error::Unavailable(_)) => {
                    lent.doubt();
                    lent.renew().await?;
                }
                begun => begun?,
            }
        }
        self.unanswered = false;
        Ok(())
    }

    /// Takes note of an answer: whether it says that the connection was cut. Such a one is closed.
    fn is_cut<T>(&mut self, done: &Result<T, sqlx::Error>) -> bool {
        self.unanswered = done.as_ref().is_err_and(postgres::is_cut);
        if let Err(error) = done
            && (self.unanswered || error.as_database_error().is_some())
        {
            self.measures.fault(if self.unanswered { Fault::Cut } else { Fault::Statement });
        }
        if self.unanswered
            && let Connection::Postgres(lent) = &self.connection
        {
            lent.doubt();
        }
        self.unanswered
    }

    /// Puts a new connection in the place of one that was cut, where that may be.
    async fn renew(&mut self) -> bool {
        match &mut self.connection {
            Connection::Postgres(lent) if std::mem::take(&mut self.renewable) => lent.renew().await.is_ok(),
            Connection::Sqlite(_) | Connection::Postgres(_) => false,
        }
    }

    fn close_on_drop(&mut self) {
        match &mut self.connection {
            Connection::Sqlite(connection) => connection.close_on_drop(),
            Connection::Postgres(connection) => connection.close_on_drop(),
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.unanswered {
            self.close_on_drop();
        }
    }
}

/// Runs one statement on whichever engine is in use: `on!(conn, |c| sqlx::query(SQL).bind(x).execute(c).await)`. The
/// body may run twice.
macro_rules! on {
    ($conn:expr, |$c:ident| $body:expr) => {
        loop {
            let done = match $conn.route() {
                $crate::store::On::Sqlite($c) => $body,
                $crate::store::On::Postgres($c) => $body,
            };
            if !$conn.is_cut(&done) || !$conn.renew().await {
                break done;
            }
        }
    };
    // With a row lock, which PostgreSQL needs and SQLite's one writer does not.
    ($conn:expr, $sql:literal locking $lock:literal, |$s:ident, $c:ident| $body:expr) => {
        $crate::store::on!($conn, ($sql) locking $lock, |$s, $c| $body)
    };
    ($conn:expr, ($($sql:tt)+) locking $lock:literal, |$s:ident, $c:ident| $body:expr) => {
        loop {
            let done = match $conn.route() {
                $crate::store::On::Sqlite($c) => {
                    let $s: &'static str = $($sql)+;
                    $body
                }
                $crate::store::On::Postgres($c) => {
                    let $s: &'static str = concat!($($sql)+, " ", $lock);
                    $body
                }
            };
            if !$conn.is_cut(&done) || !$conn.renew().await {
                break done;
            }
        }
    };
}
pub(crate) use on;

/// Runs a body as one transaction until its `Ok`, a few times more after a deadlock:
/// `in_transaction!(db, deadline, [user, session], |tx| { … Ok(x) })`. The names in brackets are cloned for each try.
macro_rules! in_transaction {
    ($db:expr, $deadline:expr, [$($captured:ident),* $(,)?], |$tx:ident| $body:expr) => {{
        // Taken before the names are shadowed: either may be a part of something captured.
        let (database, deadline) = (&$db, $deadline);
        $(let $captured = $captured.clone();)*
        database.transact(deadline, move |mut owned: $crate::store::Tx| {
            $(let $captured = $captured.clone();)*
            async move {
                let done = {
                    let $tx = &mut owned;
                    async { $body }.await
                };
                (owned, done)
            }
        })
        .await
    }};
}
pub(crate) use in_transaction;

/// Lets a row become a struct by column names; columns after `parsed` are words that parse.
macro_rules! from_row {
    ($type:ty { $($field:ident),* $(,)? } parsed { $($parsed:ident),* $(,)? }) => {
        $crate::store::from_row!($type { $($field),* } parsed { $($parsed),* } within {});
    };
    // Fields after `within` are rows of their own, out of the same columns.
    ($type:ty { $($field:ident),* $(,)? } parsed { $($parsed:ident),* } within { $($within:ident),* }) => {
        $crate::store::from_row!(@ sqlx::sqlite::SqliteRow, $type { $($field),* } { $($parsed),* } { $($within),* });
        $crate::store::from_row!(@ sqlx::postgres::PgRow, $type { $($field),* } { $($parsed),* } { $($within),* });
    };
    (@ $row:ty, $type:ty { $($field:ident),* } { $($parsed:ident),* } { $($within:ident),* }) => {
        impl<'r> sqlx::FromRow<'r, $row> for $type {
            fn from_row(row: &'r $row) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self {
                    $($field: row.try_get(stringify!($field))?,)*
                    $($parsed: $crate::store::parsed(row.try_get(stringify!($parsed))?)?,)*
                    $($within: sqlx::FromRow::from_row(row)?,)*
                })
            }
        }
    };
}
pub(crate) use from_row;

/// Whether PostgreSQL takes a text at all. What cannot be stored is not there, on either engine.
fn can_be_stored(text: &str) -> bool {
    !text.contains('\0')
}

fn parsed<T: std::str::FromStr<Err = String>>(word: &str) -> Result<T, sqlx::Error> {
    word.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))
}

/// What can go wrong between us and the database. For our own code; people see a reference number.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was late before the commit: nothing was written.
    #[error("the deadline passed before the commit")]
    Late,
    /// The database kept a statement waiting until its time-out: rolled back.
    #[error("the database did not answer in time: {0}")]
    Stalled(sqlx::Error),
    /// Two transactions stood in each other's way, however often they were tried.
    #[error("two transactions stood in each other's way: {0}")]
    Contended(sqlx::Error),
    /// No connection can be had: why, and what to do. Nothing was written.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The database broke the connection, or can take nothing. A commit under way may or may not have happened.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// A pooler parted what belongs to one session.
    #[error("a pooler gives each transaction any connection: set database.pooling = \"transaction\" ({0})")]
    Parted(sqlx::Error),
    /// The database refused or returned what it never should.
    #[error("the database does not fit this program: {0}")]
    Unexpected(sqlx::Error),
    /// A stored value makes no sense.
    #[error("a stored value is damaged: {0}")]
    Damaged(String),
    /// The work took itself back, as a rehearsal does: nothing was written.
    #[error("the work was taken back")]
    Withdrawn,
    /// The database said nothing at all for too long. A commit under way may or may not have happened.
    #[error("the database does not answer")]
    Silent,
    /// What the act rested on was taken away meanwhile (G28): nothing was written.
    #[error("the permission for this was taken away meanwhile; nothing was written")]
    NoAuthority,
    /// As much is remembered of one issuer as may be (G2).
    #[error("too many assertions of one issuer are remembered")]
    Full,
    /// The task that held the transaction died.
    #[error("the transaction's task died")]
    TaskDied,
}

impl Error {
    /// Whether nothing was written for a reason that may be gone already: two stood in each other's way, or the connection
    /// was made while the server was read-only.
    fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Contended(_) => true,
            Self::Unavailable(error) => {
                error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(postgres::READ_ONLY))
            }
            Self::Late
            | Self::Stalled(_)
            | Self::Unreachable(_)
            | Self::Parted(_)
            | Self::Unexpected(_)
            | Self::Damaged(_)
            | Self::Withdrawn
            | Self::NoAuthority
            | Self::Silent
            | Self::Full
            | Self::TaskDied => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Tls, WorkerCrashed};
            return if matches!(error, PoolTimedOut) {
                Self::Stalled(error)
            } else if matches!(error, Io(_) | Tls(_) | PoolClosed | WorkerCrashed) {
                Self::Unavailable(error)
            } else {
                Self::Unexpected(error)
            };
        };
        let Some(code) = database.code() else { return Self::Unexpected(error) };
        if let Some(primary) = sqlite_code(&code) {
            return match (primary, code.as_ref()) {
                (_, BUSY_SNAPSHOT) => Self::Contended(error),
                // Busy, locked.
                (5 | 6, _) => Self::Stalled(error),
                // Read-only, disk I/O, full, cannot open.
                (8 | 10 | 13 | 14, _) => Self::Unavailable(error),
                _ => Self::Unexpected(error),
            };
        }
        match code.as_ref() {
            // Statement and lock time-outs.
            "57014" | "55P03" => Self::Stalled(error),
            // Serialization failure, deadlock.
            "40001" | "40P01" => Self::Contended(error),
            // A statement whose name is not known there, or known already.
            "26000" | "42P05" => Self::Parted(error),
            // Too many, out of memory, a full disk.
            code if postgres::ends_connection(code) || code.starts_with("53") => Self::Unavailable(error),
            _ => Self::Unexpected(error),
        }
    }
}

/// SQLite's word for a transaction that read before another wrote.
const BUSY_SNAPSHOT: &str = "517";

/// The primary one of SQLite's result codes, which are small numbers, in any of its extended forms; PostgreSQL's have five
/// characters.
fn sqlite_code(code: &str) -> Option<u32> {
    (code.len() < 5).then(|| code.parse::<u32>().ok()).flatten().map(|code| code & 0xff)
}

/// An open transaction: a connection that may also write. Dropped unfinished, the connection is closed and never handed
/// to the next borrower.
pub struct Tx {
    conn: Conn,
    finished: bool,
    record_key: Option<Secret>,
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl Tx {
    async fn simple(&mut self, sql: impl SqlSafeStr) -> Result<(), sqlx::Error> {
        let sql = sql.into_sql_str();
        on!(self, |c| sqlx::raw_sql(sql.clone()).execute(c).await.map(drop))
    }

    async fn rollback(mut self) {
        // A connection whose rollback failed is closed by Drop.
        self.finished = self.simple("ROLLBACK").await.is_ok();
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.finished {
            self.conn.close_on_drop();
        }
    }
}

impl Database {
    /// Opens the database that a URL names. A SQLite file is made where there is none.
    ///
    /// # Errors
    /// When the URL or its options are wrong, or the file cannot be opened; PostgreSQL is first asked when first used.
    pub async fn open(settings: &config::Database, clock: Clock) -> anyhow::Result<Self> {
        let (url, connections) = (&settings.url, settings.connections);
        let engine = if url.starts_with("sqlite:") {
            open_sqlite(url, connections).await?
        } else {
            Engine::Postgres(postgres::Server::open(url, connections, settings.pooling)?)
        };
        Ok(Self { engine, clock, record_key: None, measures: Arc::default() })
    }

    /// The SQLite database of a place that one has alone: nothing can be written through it, and nobody else opens it until
    /// it is dropped.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open_alone(alone: sqlite_files::Alone) -> anyhow::Result<Self> {
        let (file, in_use) = alone.into_mark();
        let options = SqliteConnectOptions::from_str(&Self::sqlite_url(&file))?
            .create_if_missing(false)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let reader = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        let reader = reader.with_context(|| format!("the database file {} cannot be read", file.display()))?;
        let engine = Engine::Sqlite { writer: reader.clone(), reader, in_use: Arc::new(in_use) };
        Ok(Self { engine, clock: Clock::System, record_key: None, measures: Arc::default() })
    }

    /// The same database. What it records from now on bears a proof by this key, under which the record is sealed, too (A3).
    #[must_use]
    pub fn with_record_key(mut self, key: Secret) -> Self {
        self.record_key = Some(key);
        self
    }

    /// Which engine it is, for people.
    #[must_use]
    pub const fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite { .. } => "SQLite",
            Engine::Postgres(_) => "PostgreSQL",
        }
    }

    /// What is counted of our dealings with it.
    #[must_use]
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// How many connections there are to it.
    #[must_use]
    pub fn connections(&self) -> Connections {
        match &self.engine {
            Engine::Sqlite { reader, writer, .. } => Connections::of(reader).and(Connections::of(writer)),
            Engine::Postgres(server) => server.connections(),
        }
    }

    /// The number of the last step of the schema that this program knows.
    #[must_use]
    pub fn own_schema() -> i64 {
        migrations::last()
    }

    /// The file of a SQLite URL.
    #[must_use]
    pub fn sqlite_file(url: &str) -> Option<PathBuf> {
        Some(SqliteConnectOptions::from_str(url).ok()?.get_filename().to_owned())
    }

    /// The SQLite URL of a file.
    #[must_use]
    pub fn sqlite_url(file: &Path) -> String {
        let path = file.display().to_string();
        format!("sqlite://{}", path.replace('%', "%25").replace('?', "%3F").replace('#', "%23"))
    }

    /// Copies a SQLite database as it is at one moment into a file, empty or not yet there. Writers go on meanwhile.
    ///
    /// # Errors
    /// On PostgreSQL, and when the copy cannot be made.
    pub async fn copy_into(&self, file: &Path) -> anyhow::Result<()> {
        let Engine::Sqlite { reader, .. } = &self.engine else {
            anyhow::bail!("PostgreSQL is copied by its own programs");
        };
        let path = file.to_str().context("the name of the backup must be UTF-8 text")?;
        // VACUUM INTO reads in one transaction of its own; in WAL mode no writer waits for it.
        let options = reader.connect_options().as_ref().clone().pragma("query_only", "OFF");
        let mut conn = options.connect().await.context("the database cannot be read")?;
        let copied = sqlx::query("VACUUM INTO $1").bind(path).execute(&mut conn).await;
        copied.context("the database could not be copied: is the disk of the backup full?")?;
        Ok(sqlx::Connection::close(conn).await?)
    }

    /// The numbers of the steps that were taken on this database's schema.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn schema_steps(&self) -> Result<Vec<i64>, Error> {
        const SQL: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
        let mut conn = self.read().await?;
        let steps: Vec<(i64,)> = on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
        Ok(steps.into_iter().map(|(version,)| version).collect())
    }

    /// Those of these steps that this program does not know.
    #[must_use]
    pub fn unknown_steps(steps: &[i64]) -> Vec<i64> {
        let migrator = migrations::migrator();
        steps.iter().copied().filter(|step| !migrator.version_exists(*step)).collect()
    }

    /// Whether a URL names a database on another machine and does not ask for TLS.
    #[must_use]
    pub fn is_unprotected(url: &str) -> bool {
        postgres::is_unprotected(url)
    }

    /// Brings the schema up to date. Harmless when it is; safe from several processes at once. On PostgreSQL nobody who uses
    /// the database waits for it longer than a moment.
    ///
    /// # Errors
    /// When the database cannot be reached, or a step fails: on PostgreSQL no step was taken then, or all were, and indices
    /// that are missing are built the next time.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        let done = match &self.engine {
            Engine::Sqlite { writer, .. } => migrations::migrator().run(writer).await.map_err(Into::into),
            Engine::Postgres(server) => server.migrate().await,
        };
        done.context("the database's schema could not be brought up to date")
    }

    /// How the schema stands to the one that this program was made for.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn schema(&self) -> Result<Schema, Error> {
        const SQL: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";
        let mut conn = self.read().await?;
        let found: Result<Vec<(i64, Vec<u8>, bool)>, sqlx::Error> =
            on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await);
        match found {
            Ok(applied) => Ok(Schema::of(&applied)),
            Err(error) if is_no_such_table(&error) => Ok(Schema::of(&[])),
            Err(error) => Err(error.into()),
        }
    }

    /// A connection for SELECT statements, given back when dropped.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn read(&self) -> Result<Conn, Error> {
        let held = held::Held::only();
        let asked = Instant::now();
        let connection = loop {
            if let Some(connection) = self.acquire(false).await? {
                break connection;
            }
        };
        self.measures.waited(Purpose::Read, asked.elapsed());
        let measures = Arc::clone(&self.measures);
        let mut conn = Conn { connection, unanswered: true, renewable: true, measures, held };
        conn.begin_to_read().await?;
        Ok(conn)
    }

    /// A connection, on SQLite of those that write or of those that read; `None` when it may be tried again.
    async fn acquire(&self, writes: bool) -> Result<Option<Connection>, Error> {
        let acquired = self.try_acquire(writes).await;
        if acquired.is_err() {
            self.measures.fault(Fault::Unreachable);
        }
        acquired
    }

    async fn try_acquire(&self, writes: bool) -> Result<Option<Connection>, Error> {
        match &self.engine {
            Engine::Sqlite { reader, writer, .. } => match if writes { writer } else { reader }.acquire().await {
                Ok(connection) => Ok(Some(Connection::Sqlite(connection))),
                // The file is this machine's own: a connection that is long in coming is one that is taken.
                Err(sqlx::Error::PoolTimedOut) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Engine::Postgres(server) => Ok(server.acquire().await?.map(Connection::Postgres)),
        }
    }

    /// Why no connection can be had, if so: for who waited in vain.
    ///
    /// # Errors
    /// The reason, and what to do.
    pub async fn diagnose(&self) -> Result<(), String> {
        match &self.engine {
            Engine::Sqlite { .. } => Ok(()),
            Engine::Postgres(server) => server.diagnose().await,
        }
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut conn = self.read().await?;
        let (_,): (i64,) = on!(conn, |c| sqlx::query_as("SELECT CAST(1 AS BIGINT)").fetch_one(c).await)?;
        Ok(())
    }

    /// The database's own clock in Unix milliseconds; `None` on SQLite, which shares ours.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn clock(&self) -> Result<Option<i64>, Error> {
        const SQL: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        if let Engine::Sqlite { .. } = self.engine {
            return Ok(None);
        }
        let mut conn = self.read().await?;
        let (now,): (i64,) = on!(conn, |c| sqlx::query_as(SQL).fetch_one(c).await)?;
        Ok(Some(now))
    }

    /// Does to the rows what somebody does who has the database alone.
    #[cfg(test)]
    pub(crate) async fn meddle(&self, sql: &'static str) {
        in_transaction!(self, Deadline::after(Duration::from_secs(10), self.clock.now()), [], |tx| Ok(tx
            .simple(sql)
            .await?))
        .unwrap();
    }

    /// Closes every connection; on SQLite the write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { reader, writer, .. } => {
                reader.close().await;
                writer.close().await;
            }
            Engine::Postgres(server) => server.close().await,
        }
    }

    /// The work of `in_transaction!`: a task that begins, works, judges the deadline once more, and commits. It goes
    /// on when nobody waits for it any longer.
    ///
    /// # Errors
    /// [`Error::Late`] when the deadline came before the commit (nothing was written); otherwise what went wrong.
    pub async fn transact<T, W, F>(&self, deadline: Deadline, work: W) -> Result<T, Error>
    where
        W: Fn(Tx) -> F + Send + Sync + 'static,
        F: Future<Output = (Tx, Result<T, Error>)> + Send,
        T: Send + 'static,
    {
        held::assert_none();
        let database = self.clone();
        let task = log::spawn(async move {
            let tried = database.try_often(deadline, &work);
            // The server's own time-outs come first; this one is for a server that is gone without a word.
            let done = tokio::time::timeout(deadline.left() + SILENCE, tried).await;
            if let (Err(_), Engine::Postgres(server)) = (&done, &database.engine) {
                server.doubt();
            }
            match &done {
                Err(_) => database.measures.fault(Fault::Silent),
                Ok(Err(Error::Late)) => database.measures.fault(Fault::Late),
                Ok(_) => {}
            }
            done.unwrap_or(Err(Error::Silent))
        });
        task.await.map_err(|_| Error::TaskDied)?
    }

    async fn try_often<T, W, F>(&self, deadline: Deadline, work: &W) -> Result<T, Error>
    where
        W: Fn(Tx) -> F,
        F: Future<Output = (Tx, Result<T, Error>)>,
    {
        for tried in 1..TRIES {
            match self.attempt(deadline, work).await {
                Err(Error::Contended(_)) if !deadline.is_past(self.clock.now()) => {
                    tokio::time::sleep(wait_by_chance(tried).min(deadline.left())).await;
                }
                Err(error) if error.is_worth_another_try() => break,
                other => return other,
            }
        }
        self.attempt(deadline, work).await
    }

    async fn attempt<T, W, F>(&self, deadline: Deadline, work: &W) -> Result<T, Error>
    where
        W: Fn(Tx) -> F,
        F: Future<Output = (Tx, Result<T, Error>)>,
    {
        let tx = self.begin(deadline).await?;
        let (mut tx, done) = work(tx).await;
        let value = match done {
            Ok(_) if deadline.is_past(self.clock.now()) => {
                tx.rollback().await;
                return Err(Error::Late);
            }
            Ok(value) => value,
            // The connection may stand and yet be of no use, as one to a server that is read-only by now: closed (G33).
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => {
                tx.rollback().await;
                return Err(error);
            }
        };
        tx.simple("COMMIT").await?;
        tx.finished = true;
        Ok(value)
    }

    /// Opens a transaction. A connection that was cut while it was idle is found out here, once: nothing was asked of it
    /// yet, and those as old as it are passed over after it.
    async fn begin(&self, deadline: Deadline) -> Result<Tx, Error> {
        match self.try_begin(deadline).await {
            Err(Error::Unavailable(_)) => self.try_begin(deadline).await,
            other => other,
        }
    }

    async fn try_begin(&self, deadline: Deadline) -> Result<Tx, Error> {
        let asked = Instant::now();
        let connection = loop {
            let tried = self.acquire(true).await;
            if deadline.is_past(self.clock.now()) {
                return Err(Error::Late);
            }
            if let Some(connection) = tried? {
                break connection;
            }
        };
        self.measures.waited(Purpose::Write, asked.elapsed());
        let begin = match &connection {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE".into_sql_str(),
            Connection::Postgres(lent) => lent.begin(deadline.left()),
        };
        let (measures, held) = (Arc::clone(&self.measures), held::Held::only());
        let conn = Conn { connection, unanswered: false, renewable: false, measures, held };
        let mut tx = Tx { conn, finished: false, record_key: self.record_key.clone() };
        tx.simple(begin).await?;
        Ok(tx)
    }
}

/// Up to twice as long after each try. Nothing depends on this chance but who comes first.
fn wait_by_chance(tried: u32) -> Duration {
    let part = u32::from(u16::from_be_bytes(Random::System.bytes()));
    (FIRST_WAIT * 2_u32.pow(tried)).mul_f64(f64::from(part) / f64::from(u16::MAX))
}

/// PostgreSQL's and SQLite's word for it; SQLite's is its word for any statement that it cannot understand.
fn is_no_such_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| matches!(code.as_ref(), "42P01" | "1"))
}

async fn open_sqlite(url: &str, connections: u32) -> anyhow::Result<Engine> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| anyhow::anyhow!("database.url is not a SQLite address: {error}"))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Folding the log into the file costs syncs of its own: less often, in larger pieces.
        .pragma("wal_autocheckpoint", "4000")
        .busy_timeout(STATEMENT_TIMEOUT)
        .disable_statement_logging();
    let file = options.get_filename().to_owned();
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    let shown = file.display().to_string();
    let in_use = Arc::new(sqlite_files::InUse::share(&file)?);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TRY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await
        .with_context(|| format!("the database file {shown} cannot be opened"))?;
    keep_private(&file)?;
    for part in ["", "-wal", "-shm"] {
        let path = std::path::PathBuf::from(format!("{shown}{part}"));
        if path.exists() {
            give_to_owner_of_folder(&path)
                .with_context(|| format!("{} cannot be given to its owner", path.display()))?;
        }
    }
    let reader = SqlitePoolOptions::new()
        .max_connections(connections.min(8))
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TRY)
        .test_before_acquire(false)
        .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
        .await
        .with_context(|| format!("the database file {shown} cannot be read"))?;
    Ok(Engine::Sqlite { reader, writer, in_use })
}

/// The file holds password hashes: nobody but its owner has business with it.
fn keep_private(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for suffix in ["", "-wal", "-shm"] {
        let name = PathBuf::from(format!("{}{suffix}", file.display()));
        if name.exists() {
            std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600))
                .with_context(|| format!("{} cannot be made private", name.display()))?;
        }
    }
    Ok(())
}
