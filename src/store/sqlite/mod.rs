//! SQLite as we use it: readers that answer on the thread that asks, and one thread that writes ([`writer`]).

mod connect;
mod migrate;
mod pool;
#[cfg(test)]
mod tests;
mod work;
mod writer;
mod writer_thread;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Semaphore;

use self::connect::{Use, closed, connect};
pub(super) use self::connect::{file_of, url_of};
use self::pool::IdleConnections;
pub(super) use self::pool::PooledConnection;
use self::writer::Writer;
use super::connection::AfterCommit;
use super::error::Error;
use super::measures::{Connections, Measures};
use super::sqlite_files::InUse;
use crate::time::{Clock, Deadline};

/// A page asks a handful of things, each for a moment: more readers than this only fill memory.
const MOST_READERS: u32 = 8;

/// What is said to whoever wants to write through what was opened alone.
const READING_ALONE: &str = "it is open for reading alone";

/// The file, and our connections to it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sqlite(Arc<Parts>);

struct Parts {
    file: PathBuf,
    readers: Arc<IdleConnections>,
    /// A place for each reader that may be.
    places: Arc<Semaphore>,
    most: usize,
    writer: Option<Writer>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.0.file.display())
    }
}

impl Sqlite {
    /// Opens the file of a URL, which is made where there is none.
    pub(super) fn open(url: &str, connections: u32, clock: Clock) -> anyhow::Result<Self> {
        let file = file_of(url)?;
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        let in_use = Arc::new(InUse::share(&file)?);
        let writing = connect(&file, Use::Write)
            .with_context(|| format!("the database file {} cannot be opened", file.display()))?;
        connect::keep_private(&file)?;
        let writer = Writer::start(writing, &file, clock, Arc::clone(&in_use))?;
        Self::with(file, connections.min(MOST_READERS), Some(writer), in_use)
    }

    /// Opens a file that one has alone: nothing can be written through it.
    pub(super) fn open_alone(file: PathBuf, in_use: InUse) -> anyhow::Result<Self> {
        Self::with(file, 2, None, Arc::new(in_use))
    }

    fn with(file: PathBuf, readers: u32, writer: Option<Writer>, in_use: Arc<InUse>) -> anyhow::Result<Self> {
        let most = usize::try_from(readers.max(1))?;
        let first = connect(&file, Use::Read)
            .with_context(|| format!("the database file {} cannot be read", file.display()))?;
        let readers = Arc::new(IdleConnections::with(first, in_use));
        Ok(Self(Arc::new(Parts { file, readers, places: Arc::new(Semaphore::new(most)), most, writer })))
    }

    /// A connection for reading.
    pub(super) async fn read(&self) -> Result<PooledConnection, Error> {
        let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| closed())?;
        let connection = match self.0.readers.take() {
            Some(connection) => connection,
            None => connect(&self.0.file, Use::Read)?,
        };
        Ok(PooledConnection::new(connection, Arc::clone(&self.0.readers), Some(place)))
    }

    /// Has work done by the one thread that writes: see [`Writer::write`].
    pub(super) async fn write<T, W, F>(&self, deadline: Deadline, measures: &Arc<Measures>, work: W) -> Result<T, Error>
    where
        W: Fn(PooledConnection) -> F + Send + 'static,
        F: Future<Output = Result<(T, AfterCommit), Error>>,
        T: Send + 'static,
    {
        let writer = self.0.writer.as_ref().ok_or_else(|| Error::ReadOnly(READING_ALONE.into()))?;
        writer.write(deadline, measures, work).await
    }

    /// Takes the steps of the schema that are missing.
    pub(super) fn migrate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.writer.is_some(), "{READING_ALONE}");
        migrate::run(&mut connect(&self.0.file, Use::Change)?)
    }

    /// Copies it, as it is at one moment, into another file. Writers go on meanwhile.
    pub(super) fn copy_into(&self, file: &Path) -> anyhow::Result<()> {
        let from = connect(&self.0.file, Use::Read).context("the database cannot be read")?;
        let copied = connect::copy(&from, file);
        copied.context("the database could not be copied: is the disk of the backup full?")
    }

    /// A connection that nobody else gets.
    pub(super) fn reader(&self) -> anyhow::Result<rusqlite::Connection> {
        Ok(connect(&self.0.file, Use::Read)?)
    }

    pub(super) fn connections(&self) -> Connections {
        let pooled = self.0.most.saturating_sub(self.0.places.available_permits());
        let (writers, writing) = self.0.writer.as_ref().map_or((0, false), |writer| (1, writer.is_at_work()));
        let writing = usize::from(writing);
        Connections {
            in_use: pooled + writing,
            idle: self.0.readers.count() + writers - writing,
            most: self.0.most + writers,
        }
    }

    /// Closes every connection, that of the writer last: it folds the log into the file.
    pub(super) async fn close(&self) {
        let most = u32::try_from(self.0.most).unwrap_or(MOST_READERS);
        // Closed already, there is nobody to wait for.
        let _all = self.0.places.acquire_many(most).await;
        self.0.places.close();
        self.0.readers.close();
        if let Some(writer) = &self.0.writer {
            writer.stop().await;
        }
    }
}
