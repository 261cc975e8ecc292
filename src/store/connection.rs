//! What statements run on: a connection for reading, or a transaction, which may also write.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::{fmt, mem};

use super::error::Error;
use super::measures::{Fault, Measures};
use super::statement::{FromRow, Row, Sql, Value};
use super::{held, postgres, sqlite};
use crate::crypto::secret::Secret;

/// A connection to either engine: what a SELECT runs on.
///
/// One task, one connection (G29): whoever holds one and waits for another can stop everybody, once all are held so. A
/// `match` or `for` holds what its head took; `held` finds that, and all else of the kind, in debug builds.
#[derive(Debug)]
pub struct Conn {
    link: Link,
    /// Whether a statement of this transaction failed: then nothing of it is kept, whatever its body makes of that.
    failed: bool,
    /// Whether the one statement that a transaction is for was asked.
    spent: Option<bool>,
    measures: Arc<Measures>,
    #[expect(dead_code, reason = "held until dropped")]
    held: held::Held,
}

#[derive(Debug)]
pub(super) enum Link {
    Sqlite(sqlite::PooledConnection),
    Postgres(postgres::Talk),
}

/// How much a transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// As many statements as its body has.
    Many,
    /// One statement: a second one is refused.
    One,
}

/// An open transaction: a connection that may also write.
#[derive(Debug)]
pub struct Tx {
    conn: Conn,
    pub(super) record_key: Option<Secret>,
    after_commit: AfterCommit,
}

/// What is to be said once a transaction is committed. Its body may run more than once, and only one run of it counts.
#[derive(Default)]
pub(super) struct AfterCommit(Vec<Box<dyn FnOnce() + Send>>);

impl AfterCommit {
    /// Says it.
    pub(super) fn say(self) {
        for say in self.0 {
            say();
        }
    }
}

impl fmt::Debug for AfterCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AfterCommit({})", self.0.len())
    }
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

impl Conn {
    pub(super) fn new(link: Link, measures: Arc<Measures>) -> Self {
        Self { link, failed: false, spent: None, measures, held: held::Held::only() }
    }

    /// That of a transaction.
    pub(super) fn of(extent: Extent, link: Link, measures: Arc<Measures>) -> Self {
        Self { spent: (extent == Extent::One).then_some(false), ..Self::new(link, measures) }
    }

    pub(super) const fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Runs a statement and shows each row until it is told to stop; how many rows were changed.
    async fn run(&mut self, sql: &Sql, values: &[Value<'_>], show: &mut Show<'_>) -> Result<u64, Error> {
        if self.spent == Some(true) {
            return Err(Error::Unexpected("a transaction of one statement asked for a second one".into()));
        }
        self.spent = self.spent.map(|_| true);
        let done = self.ask(sql, values, show).await;
        self.failed |= done.is_err();
        done
    }

    async fn ask(&mut self, sql: &Sql, values: &[Value<'_>], show: &mut Show<'_>) -> Result<u64, Error> {
        match &mut self.link {
            Link::Sqlite(pooled) => {
                let done = pooled.run(sql.for_sqlite(), values, show);
                if done.is_err() {
                    self.measures.fault(Fault::Statement);
                }
                done
            }
            Link::Postgres(talk) => {
                // Boxed, so that its states are not copied into those of every statement.
                let (rows, changed) = Box::pin(talk.run(sql.for_postgres(), values, &self.measures)).await?;
                for row in &rows {
                    if !show(&Row::Postgres(row))? {
                        break;
                    }
                }
                Ok(changed)
            }
        }
    }
}

impl Tx {
    pub(super) fn new(conn: Conn, record_key: Option<Secret>) -> Self {
        Self { conn, record_key, after_commit: AfterCommit::default() }
    }

    /// Has something said, in the log or by a count, once this transaction is committed, and not where it is taken
    /// back: its body may run again then.
    pub fn after_commit(&mut self, say: impl FnOnce() + Send + 'static) {
        self.after_commit.0.push(Box::new(say));
    }

    /// The result of its body, and what is to be said of that. Nothing is kept of a transaction in which a statement
    /// failed: PostgreSQL would take it back and call that a commit, and SQLite may have taken a part of it back.
    pub(super) fn checked<T>(&mut self, done: Result<T, Error>) -> Result<(T, AfterCommit), Error> {
        match done {
            Ok(_) if self.conn.failed => {
                Err(Error::Unexpected("a transaction went on after a statement failed".into()))
            }
            Ok(done) => Ok((done, mem::take(&mut self.after_commit))),
            Err(error) => Err(error),
        }
    }

    /// Whether one statement may write several tables: on PostgreSQL that saves round trips.
    pub(super) const fn writes_at_once(&self) -> bool {
        matches!(self.conn.link, Link::Postgres(_))
    }

    /// Whether its statement was sent alone: its answer says that it is kept.
    pub(super) const fn is_kept(&self) -> bool {
        match &self.conn.link {
            Link::Postgres(talk) => talk.writes_at_once(),
            Link::Sqlite(_) => false,
        }
    }

    /// Runs a text of one or more statements.
    #[cfg(test)]
    pub(super) async fn simple(&mut self, sql: &str) -> Result<(), Error> {
        let measures = Arc::clone(&self.conn.measures);
        match self.link() {
            Link::Sqlite(pooled) => pooled.simple(sql),
            Link::Postgres(talk) => talk.simple(sql, &measures).await,
        }
    }
}

/// Sees a row; whether it wants another one.
pub(super) type Show<'a> = dyn FnMut(&Row<'_>) -> Result<bool, Error> + Send + 'a;

/// A statement about to run.
#[derive(Debug)]
#[must_use = "it runs when it is executed or fetched"]
pub struct Query<'q> {
    sql: Sql,
    values: Vec<Value<'q>>,
}

/// Begins a statement: `query(SQL).bind(x).fetch_optional(conn).await`.
pub fn query<'q>(sql: impl Into<Sql>) -> Query<'q> {
    Query { sql: sql.into(), values: Vec::with_capacity(8) }
}

impl<'q> Query<'q> {
    /// Binds the next `$n`.
    pub fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; how many rows it changed. Writing takes a transaction (G26).
    ///
    /// # Errors
    /// When the database refuses it or does not answer.
    pub async fn execute(self, tx: &mut Tx) -> Result<u64, Error> {
        tx.run(&self.sql, &self.values, &mut |_| Ok(true)).await
    }

    /// Its first row, where there is one.
    ///
    /// # Errors
    /// When the database refuses it or does not answer, or the row is another one than was meant.
    pub async fn fetch_optional<T: FromRow + Send>(self, conn: &mut Conn) -> Result<Option<T>, Error> {
        let mut found = None;
        let mut keep = |row: &Row<'_>| {
            found = Some(T::from_row(row)?);
            Ok(false)
        };
        conn.run(&self.sql, &self.values, &mut keep).await?;
        Ok(found)
    }

    /// Its first row.
    ///
    /// # Errors
    /// When there is none, the database refuses it or does not answer, or the row is another one than was meant.
    pub async fn fetch_one<T: FromRow + Send>(self, conn: &mut Conn) -> Result<T, Error> {
        self.fetch_optional(conn).await?.ok_or_else(|| Error::Damaged("a row is missing".into()))
    }

    /// All its rows.
    ///
    /// # Errors
    /// When the database refuses it or does not answer, or a row is another one than was meant.
    pub async fn fetch_all<T: FromRow + Send>(self, conn: &mut Conn) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        let mut keep = |row: &Row<'_>| {
            found.push(T::from_row(row)?);
            Ok(true)
        };
        conn.run(&self.sql, &self.values, &mut keep).await?;
        Ok(found)
    }
}
