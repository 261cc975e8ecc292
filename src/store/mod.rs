//! What is remembered, and the only place that names sqlx: one file per table group, free functions, SQL beside the
//! function. This file is the two engines, transactions, and everything in which SQLite and PostgreSQL differ.
//!
//! A statement is written once and compiled against both drivers by `on!`; every write, and every `RETURNING`, runs
//! inside `in_transaction!` (G26), whose work is a task of its own: a caller that stops waiting cancels nothing (G7).

pub mod access_tokens;
pub mod activity;
pub mod activity_chain;
pub mod activity_counts;
pub mod activity_proof;
pub mod clients;
pub mod codes;
pub mod consents;
pub mod directory;
pub mod families;
pub mod handoffs;
mod held;
pub mod idempotency;
pub mod interactions;
pub mod invariants;
pub mod issuers;
pub mod logouts;
pub mod mails;
mod migrations;
pub mod password_links;
pub mod pre_auths;
pub mod provider_list;
pub mod providers;
pub mod refused_handoffs;
pub mod seed_rows;
pub mod sessions;
pub mod settings;
pub mod signing_keys;
pub mod single_use;
pub mod statistics;
pub mod strikes;
pub mod unified_login;
pub mod users;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};

use crate::crypto::secret::Secret;
use crate::time::{Clock, Deadline};

/// No statement runs longer than this on PostgreSQL, and nothing waits longer for SQLite's one writer. Just under a
/// handoff's 30 seconds, so that an ordinary handoff needs no time-out of its own.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(28);
/// How long past its deadline a transaction may go without an answer before its connection is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// A PostgreSQL connection idle for longer is asked whether it still stands before it is used.
const TRUST_IDLE: Duration = Duration::from_secs(2);
/// How long one try for a connection lasts before we look whether the database is there at all.
const ACQUIRE_TRY: Duration = Duration::from_secs(3);

/// The database: SQLite for one machine, PostgreSQL for many. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    clock: Clock,
    record_key: Option<Secret>,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite { reader: SqlitePool, writer: SqlitePool },
    Postgres(PgPool),
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
pub struct Conn {
    connection: Connection,
    unanswered: bool,
    #[expect(dead_code, reason = "held until dropped")]
    held: held::Held,
}

enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Conn {
    /// The connection of the engine in use.
    fn route(&mut self) -> On<&mut SqliteConnection, &mut PgConnection> {
        self.unanswered = true;
        match &mut self.connection {
            Connection::Sqlite(connection) => On::Sqlite(&mut **connection),
            Connection::Postgres(connection) => On::Postgres(&mut **connection),
        }
    }

    const fn answered(&mut self) {
        self.unanswered = false;
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

/// Runs one statement on whichever engine is in use: `on!(conn, |c| sqlx::query(SQL).bind(x).execute(c).await)`.
macro_rules! on {
    ($conn:expr, |$c:ident| $body:expr) => {{
        let done = match $conn.route() {
            $crate::store::On::Sqlite($c) => $body,
            $crate::store::On::Postgres($c) => $body,
        };
        $conn.answered();
        done
    }};
    // With a row lock, which PostgreSQL needs and SQLite's one writer does not.
    ($conn:expr, $sql:literal locking $lock:literal, |$s:ident, $c:ident| $body:expr) => {
        $crate::store::on!($conn, ($sql) locking $lock, |$s, $c| $body)
    };
    ($conn:expr, ($($sql:tt)+) locking $lock:literal, |$s:ident, $c:ident| $body:expr) => {{
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
        $conn.answered();
        done
    }};
}
pub(crate) use on;

/// Runs a body as one transaction until its `Ok`, once more after a deadlock:
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
    /// Two transactions stood in each other's way twice.
    #[error("two transactions stood in each other's way: {0}")]
    Contended(sqlx::Error),
    /// The database is not there, or broke the connection. A commit under way may or may not have happened.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
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
    /// As much is remembered of one issuer as may be (G2).
    #[error("too many assertions of one issuer are remembered")]
    Full,
    /// The task that held the transaction died.
    #[error("the transaction's task died")]
    TaskDied,
}

/// PostgreSQL's word for a write to a server that is read-only.
const READ_ONLY: &str = "25006";

impl Error {
    /// Whether nothing was written for a reason that may be gone already: two stood in each other's way, or the connection
    /// was made while the server was read-only.
    fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Contended(_) => true,
            Self::Unavailable(error) => {
                error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(READ_ONLY))
            }
            Self::Late
            | Self::Stalled(_)
            | Self::Unexpected(_)
            | Self::Damaged(_)
            | Self::Withdrawn
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
        match database.code().as_deref() {
            // PostgreSQL: statement and lock time-outs. SQLite: busy.
            Some("57014" | "55P03" | "5") => Self::Stalled(error),
            // PostgreSQL: serialization failure, deadlock. SQLite: busy snapshot.
            Some("40001" | "40P01" | "517") => Self::Contended(error),
            // PostgreSQL: connection trouble, shutting down, starting up, too many, read-only (it failed over).
            Some(code)
                if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") || code == READ_ONLY =>
            {
                Self::Unavailable(error)
            }
            // SQLite: disk I/O, full, cannot open.
            Some("10" | "13" | "14") => Self::Unavailable(error),
            _ => Self::Unexpected(error),
        }
    }
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
    async fn simple(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        on!(self, |c| sqlx::raw_sql(sql).execute(c).await.map(drop))
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
    pub async fn open(url: &str, connections: u32, clock: Clock) -> anyhow::Result<Self> {
        let engine = if url.starts_with("sqlite:") {
            open_sqlite(url, connections).await?
        } else {
            open_postgres(url, connections)?
        };
        Ok(Self { engine, clock, record_key: None })
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

    /// The file of a SQLite URL.
    #[must_use]
    pub fn sqlite_file(url: &str) -> Option<PathBuf> {
        Some(SqliteConnectOptions::from_str(url).ok()?.get_filename().to_owned())
    }

    /// Brings the schema up to date. Harmless when it is; safe from several processes at once.
    ///
    /// # Errors
    /// When the database cannot be reached, or its schema is newer than this program.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        match &self.engine {
            Engine::Sqlite { writer, .. } => migrations::migrator(true).run(writer).await,
            Engine::Postgres(pool) => {
                // An index of ten million records takes longer than any statement of ours may: this connection has all
                // the time there is, and is not used for anything else.
                let mut connection = pool.acquire().await?;
                connection.close_on_drop();
                sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
                migrations::migrator(false).run(&mut *connection).await
            }
        }
        .context("the database's schema could not be brought up to date")
    }

    /// Whether the schema is the one this program was made for.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn is_migrated(&self) -> Result<bool, Error> {
        let wanted = migrations::newest();
        let mut conn = self.read().await?;
        let found: Result<(i64,), sqlx::Error> = on!(conn, |c| sqlx::query_as(
            "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM _sqlx_migrations WHERE success"
        )
        .fetch_one(c)
        .await);
        match found {
            // A newer schema only has more: the version before keeps running beside it (G23).
            Ok((version,)) => Ok(version >= wanted),
            Err(error) if error.as_database_error().is_some() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A connection for SELECT statements, given back when dropped.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn read(&self) -> Result<Conn, Error> {
        let held = held::Held::only();
        loop {
            let tried = match &self.engine {
                Engine::Sqlite { reader, .. } => reader.acquire().await.map(Connection::Sqlite),
                Engine::Postgres(pool) => pool.acquire().await.map(Connection::Postgres),
            };
            match tried {
                Err(sqlx::Error::PoolTimedOut) if self.all_taken() => {}
                Err(error @ sqlx::Error::PoolTimedOut) => return Err(Error::Unavailable(error)),
                other => return Ok(Conn { connection: other?, unanswered: false, held }),
            }
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
        match &self.engine {
            Engine::Sqlite { .. } => Ok(None),
            Engine::Postgres(pool) => {
                const SQL: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
                let (now,): (i64,) = sqlx::query_as(SQL).fetch_one(pool).await?;
                Ok(Some(now))
            }
        }
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
            Engine::Sqlite { reader, writer } => {
                reader.close().await;
                writer.close().await;
            }
            Engine::Postgres(pool) => pool.close().await,
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
        let task = tokio::spawn(async move {
            let tried = async {
                match database.attempt(deadline, &work).await {
                    Err(error) if error.is_worth_another_try() => database.attempt(deadline, &work).await,
                    other => other,
                }
            };
            // The server's own time-outs come first; this one is for a server that is gone without a word.
            tokio::time::timeout(deadline.left() + SILENCE, tried).await.unwrap_or(Err(Error::Silent))
        });
        task.await.map_err(|_| Error::TaskDied)?
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

    /// Opens a transaction. Connections that were cut while they were idle are closed on the way: nothing was asked of
    /// them yet, so as many as there may be are tried, and a new one after them.
    async fn begin(&self, deadline: Deadline) -> Result<Tx, Error> {
        let mut cut = 0;
        loop {
            match self.try_begin(deadline).await {
                Err(Error::Unavailable(sqlx::Error::PoolTimedOut)) => {
                    return Err(Error::Unavailable(sqlx::Error::PoolTimedOut));
                }
                Err(Error::Unavailable(_)) if cut < self.size() => cut += 1,
                other => return other,
            }
        }
    }

    async fn try_begin(&self, deadline: Deadline) -> Result<Tx, Error> {
        let connection = loop {
            let tried = match &self.engine {
                Engine::Sqlite { writer, .. } => writer.acquire().await.map(Connection::Sqlite),
                Engine::Postgres(pool) => pool.acquire().await.map(Connection::Postgres),
            };
            match tried {
                Ok(connection) => break connection,
                Err(sqlx::Error::PoolTimedOut) if deadline.is_past(self.clock.now()) => return Err(Error::Late),
                // Every connection is taken by somebody: go on waiting. Otherwise none could be made.
                Err(sqlx::Error::PoolTimedOut) if self.all_taken() => {}
                Err(error @ sqlx::Error::PoolTimedOut) => return Err(Error::Unavailable(error)),
                Err(error) => return Err(error.into()),
            }
        };
        if deadline.is_past(self.clock.now()) {
            return Err(Error::Late);
        }
        let conn = Conn { connection, unanswered: false, held: held::Held::only() };
        let mut tx = Tx { conn, finished: false, record_key: self.record_key.clone() };
        match self.engine {
            Engine::Sqlite { .. } => tx.simple("BEGIN IMMEDIATE").await?,
            Engine::Postgres(_) => {
                tx.simple("BEGIN").await?;
                let left = deadline.left();
                if left < STATEMENT_TIMEOUT {
                    // set_config(…, true) is SET LOCAL with a parameter.
                    const SQL: &str = "SELECT set_config('statement_timeout', $1, true)";
                    let millis = left.as_millis().max(1).to_string();
                    if let On::Postgres(c) = tx.route() {
                        sqlx::query(SQL).bind(millis).execute(c).await?;
                    }
                }
            }
        }
        Ok(tx)
    }

    /// How many connections of those that write there may be.
    fn size(&self) -> u32 {
        match &self.engine {
            Engine::Sqlite { .. } => 1,
            Engine::Postgres(pool) => pool.options().get_max_connections(),
        }
    }

    fn all_taken(&self) -> bool {
        match &self.engine {
            // The file is this machine's own: a connection that is long in coming is one that is taken.
            Engine::Sqlite { .. } => true,
            Engine::Postgres(pool) => pool.size() >= pool.options().get_max_connections(),
        }
    }
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
    let reader = SqlitePoolOptions::new()
        .max_connections(connections.min(8))
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TRY)
        .test_before_acquire(false)
        .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
        .await
        .with_context(|| format!("the database file {shown} cannot be read"))?;
    Ok(Engine::Sqlite { reader, writer })
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

fn open_postgres(url: &str, connections: u32) -> anyhow::Result<Engine> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| anyhow::anyhow!("database.url is not a PostgreSQL address: {error}"))?
        .application_name("connect-idp")
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
            // Our statements are short; compiling one takes longer than it runs.
            ("jit", "off".to_owned()),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TRY)
        // Asking before every use nearly doubles a read; asking after a pause finds what a restart cut off.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUST_IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options);
    Ok(Engine::Postgres(pool))
}
