//! A connection to SQLite that somebody has for a while.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::OwnedSemaphorePermit;

use crate::store::connection::Show;
use crate::store::error::Error;
use crate::store::sqlite_files::InUse;
use crate::store::statement::{Row, Value};

/// The connections that nobody uses. The file is in use as long as anybody has one, or may.
#[derive(Debug)]
pub(super) struct IdleConnections {
    connections: Mutex<Vec<Connection>>,
    #[expect(dead_code, reason = "held until dropped")]
    in_use: Arc<InUse>,
}

impl IdleConnections {
    pub(super) fn with(connection: Connection, in_use: Arc<InUse>) -> Self {
        Self { connections: Mutex::new(vec![connection]), in_use }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Option<Connection> {
        self.lock().pop()
    }

    pub(super) fn put(&self, connection: Connection) {
        self.lock().push(connection);
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn close(&self) {
        self.lock().clear();
    }
}

/// A connection that goes back to its pool when dropped.
#[derive(Debug)]
pub(in crate::store) struct PooledConnection {
    connection: Option<Connection>,
    idle: Arc<IdleConnections>,
    /// Whether what it is asked may take long: the other tasks of this thread go on elsewhere meanwhile.
    is_slow: bool,
    #[expect(dead_code, reason = "held until dropped")]
    place: Option<OwnedSemaphorePermit>,
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.put(connection);
        }
    }
}

impl PooledConnection {
    pub(super) const fn new(
        connection: Connection,
        idle: Arc<IdleConnections>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { connection: Some(connection), idle, is_slow: false, place }
    }

    /// From now on it is asked for much.
    pub(in crate::store) const fn may_be_slow(&mut self) {
        self.is_slow = true;
    }

    #[expect(clippy::expect_used, reason = "it is taken out when this is dropped, and never before")]
    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a connection is there until it is dropped")
    }

    /// Runs a statement and shows each row until it is told to stop; how many rows were changed.
    pub(in crate::store) fn run(&self, sql: &str, values: &[Value<'_>], show: &mut Show<'_>) -> Result<u64, Error> {
        let has_threads = || Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
        if self.is_slow && has_threads() {
            return tokio::task::block_in_place(|| run(self.connection(), sql, values, show));
        }
        run(self.connection(), sql, values, show)
    }

    /// Runs one statement that binds and answers nothing, as BEGIN.
    pub(super) fn command(&self, sql: &str) -> Result<(), Error> {
        self.connection().prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Runs a text of one or more statements.
    #[cfg(test)]
    pub(in crate::store) fn simple(&self, sql: &str) -> Result<(), Error> {
        Ok(self.connection().execute_batch(sql)?)
    }
}

fn run(connection: &Connection, sql: &str, values: &[Value<'_>], show: &mut Show<'_>) -> Result<u64, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    // To SQLite `$2` is a name, and it numbers names as they come.
    for place in 1..=statement.parameter_count() {
        let number = statement.parameter_name(place).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        let value = value.ok_or_else(|| Error::Unexpected(format!("nothing is bound to place {place} of: {sql}")))?;
        statement.raw_bind_parameter(place, value)?;
    }
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if !show(&Row::Sqlite(row, Cell::new(0)))? {
            break;
        }
    }
    drop(rows);
    Ok(if statement.readonly() { 0 } else { connection.changes() })
}
