//! The database, whichever engine it is: opened, asked how it is, brought up to date, closed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::connection::{Conn, Link, query};
use super::error::Error;
use super::measures::{Connections, Fault, Measures, Purpose};
use super::migrations::{self, Schema};
use super::sqlite::{self, Sqlite};
use super::statement::Sql;
use super::{held, postgres, sqlite_files};
use crate::config;
use crate::crypto::secret::Secret;
use crate::time::{Clock, Timestamp};

/// The database: SQLite for one machine, PostgreSQL for many. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) record_key: Option<Secret>,
    pub(super) measures: Arc<Measures>,
}

#[derive(Clone, Debug)]
pub(super) enum Engine {
    Sqlite(Sqlite),
    Postgres(postgres::Server),
}

impl Database {
    /// Opens the database that a URL names. A SQLite file is made where there is none.
    ///
    /// # Errors
    /// When the URL or its options are wrong, or the file cannot be opened; PostgreSQL is first asked when first used.
    pub async fn open(settings: &config::Database, clock: Clock) -> anyhow::Result<Self> {
        let (url, connections) = (&settings.url, settings.connections);
        let engine = if url.starts_with("sqlite:") {
            let (url, clock) = (url.clone(), clock.clone());
            Engine::Sqlite(spawn_blocking(move || Sqlite::open(&url, connections, clock)).await??)
        } else {
            Engine::Postgres(postgres::Server::open(url, connections, settings.pooling)?)
        };
        Ok(Self { engine, clock, record_key: None, measures: Arc::default() })
    }

    /// The SQLite database of a place that one has alone: nothing can be written through it, and nobody else opens it
    /// until it is dropped.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open_alone(alone: sqlite_files::Alone) -> anyhow::Result<Self> {
        let (file, in_use) = alone.into_mark();
        let engine = Engine::Sqlite(Sqlite::open_alone(file, in_use)?);
        Ok(Self { engine, clock: Clock::System, record_key: None, measures: Arc::default() })
    }

    /// The same database. What it records from now on bears a proof by this key, under which the record is sealed, too
    /// (A3).
    #[must_use]
    pub fn with_record_key(mut self, key: Secret) -> Self {
        self.record_key = Some(key);
        self
    }

    /// Which engine it is, for people.
    #[must_use]
    pub const fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "SQLite",
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
            Engine::Sqlite(sqlite) => sqlite.connections(),
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
        sqlite::file_of(url).ok()
    }

    /// The SQLite URL of a file.
    #[must_use]
    pub fn sqlite_url(file: &Path) -> String {
        sqlite::url_of(file)
    }

    /// Copies a SQLite database as it is at one moment into a file, empty or not yet there. Writers go on meanwhile.
    ///
    /// # Errors
    /// On PostgreSQL, and when the copy cannot be made.
    pub async fn copy_into(&self, file: &Path) -> anyhow::Result<()> {
        let Engine::Sqlite(sqlite) = &self.engine else {
            anyhow::bail!("PostgreSQL is copied by its own programs");
        };
        let (sqlite, file) = (sqlite.clone(), file.to_owned());
        spawn_blocking(move || sqlite.copy_into(&file)).await?
    }

    /// The numbers of the steps that were taken on this database's schema.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn schema_steps(&self) -> Result<Vec<i64>, Error> {
        const SQL: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
        let mut conn = self.read().await?;
        let steps: Vec<(i64,)> = query(SQL).fetch_all(&mut conn).await?;
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

    /// Brings the schema up to date. Harmless when it is; safe from several processes at once. On PostgreSQL nobody who
    /// uses the database waits for it longer than a moment.
    ///
    /// # Errors
    /// When the database cannot be reached, or a step fails: on PostgreSQL no step was taken then, or all were, and
    /// indices that are missing are built the next time.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        let done = match &self.engine {
            Engine::Sqlite(sqlite) => {
                let sqlite = sqlite.clone();
                spawn_blocking(move || sqlite.migrate()).await?
            }
            Engine::Postgres(server) => server.migrate().await,
        };
        done.context("the database's schema could not be brought up to date")
    }

    /// How the schema stands to the one that this program was made for.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn schema(&self) -> Result<Schema, Error> {
        const IS_THERE: Sql = Sql::each(
            "SELECT CAST(1 AS BIGINT) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
            "SELECT CAST(1 AS BIGINT) WHERE to_regclass('_sqlx_migrations') IS NOT NULL",
        );
        const SQL: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";
        let mut conn = self.read().await?;
        let is_there: Option<(i64,)> = query(IS_THERE).fetch_optional(&mut conn).await?;
        if is_there.is_none() {
            return Ok(Schema::of(&[]));
        }
        let applied: Vec<(i64, Vec<u8>, bool)> = query(SQL).fetch_all(&mut conn).await?;
        Ok(Schema::of(&applied))
    }

    /// A connection for SELECT statements, given back when dropped.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn read(&self) -> Result<Conn, Error> {
        held::assert_none();
        let asked = Instant::now();
        let link = match &self.engine {
            Engine::Sqlite(sqlite) => Link::Sqlite(self.counted(sqlite.read().await)?),
            Engine::Postgres(server) => {
                let pooled = loop {
                    if let Some(pooled) = self.counted(server.acquire().await)? {
                        break pooled;
                    }
                };
                Link::Postgres(postgres::Talk::to_read(pooled).await?)
            }
        };
        self.measures.waited(Purpose::Read, asked.elapsed());
        Ok(Conn::new(link, Arc::clone(&self.measures)))
    }

    /// The same for what may read much: lists, exports, statistics. On SQLite others do not wait for this thread
    /// meanwhile, but go on at another one. Each such thread keeps memory of its own: what is done all the time takes
    /// [`Self::read`].
    ///
    /// # Errors
    /// When none can be had.
    pub async fn read_much(&self) -> Result<Conn, Error> {
        let mut conn = self.read().await?;
        if let Link::Sqlite(pooled) = conn.link() {
            pooled.may_be_slow();
        }
        Ok(conn)
    }

    /// Takes note of a connection that could not be had.
    pub(super) fn counted<T>(&self, acquired: Result<T, Error>) -> Result<T, Error> {
        if acquired.is_err() {
            self.measures.fault(Fault::Unreachable);
        }
        acquired
    }

    /// Why no connection can be had, if so: for who waited in vain.
    ///
    /// # Errors
    /// The reason, and what to do.
    pub async fn diagnose(&self) -> Result<(), String> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(server) => server.diagnose().await,
        }
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut conn = self.read().await?;
        let (_,): (i64,) = query("SELECT CAST(1 AS BIGINT)").fetch_one(&mut conn).await?;
        Ok(())
    }

    /// The database's own clock in Unix milliseconds; `None` on SQLite, which shares ours.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn clock(&self) -> Result<Option<i64>, Error> {
        const SQL: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        if let Engine::Sqlite(_) = self.engine {
            return Ok(None);
        }
        let mut conn = self.read().await?;
        let (now,): (i64,) = query(SQL).fetch_one(&mut conn).await?;
        Ok(Some(now))
    }

    /// What time it is for all who share the database, whatever their own clocks say: by the database's clock; on
    /// SQLite, whose users share a machine, by ours.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.clock().await?.map_or_else(|| self.clock.now(), Timestamp))
    }

    /// Closes every connection; on SQLite the write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(server) => server.close().await,
        }
    }
}
