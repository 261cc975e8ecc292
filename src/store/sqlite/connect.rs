//! A connection to a file of SQLite: its address, what it is told, what it says when it fails, and a copy of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use percent_encoding::percent_decode_str;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::crypto::key_ring::give_to_owner_of_folder;
use crate::store::error::Error;
use crate::store::patience::STATEMENT_TIMEOUT;

/// At most this number of statements stays compiled on each connection.
const STATEMENTS: usize = 128;

/// A reader waits for a lock only while another process mends the file after a crash.
const READER_WAITS: Duration = Duration::from_secs(2);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// To be asked.
    Read,
    /// To be written to, by many small transactions.
    Write,
    /// To change the schema, and whatever is there with it.
    Change,
}

pub(super) fn connect(file: &Path, to: Use) -> Result<Connection, Error> {
    let create = if to == Use::Read { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_CREATE };
    // A reader may write, too: it may be the first after a crash, which mends the file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(if to == Use::Read { READER_WAITS } else { STATEMENT_TIMEOUT })?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
    if to == Use::Read {
        // The system keeps the file's pages in memory as well: each of the readers need not.
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -500")?;
    } else {
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Error::Unexpected(format!("SQLite keeps no write-ahead log there, but a {mode} journal")));
        }
        // Folding the log into the file costs syncs of its own: seldom, in large pieces.
        connection.execute_batch("PRAGMA wal_autocheckpoint = 4000")?;
    }
    if to == Use::Write {
        // What a statement or a savepoint may take back stays in memory: it is small.
        connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    }
    // A plan does not depend on what is bound. Otherwise each `LIMIT $1` would be compiled again whenever it is asked.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// What is said to whoever comes after the end.
pub(super) fn closed() -> Error {
    Error::Unavailable("the database was closed".into())
}

/// The file of a `sqlite:` URL.
pub(in crate::store) fn file_of(url: &str) -> anyhow::Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").context("database.url is not a SQLite address")?;
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let path = percent_decode_str(path.strip_prefix("//").unwrap_or(path)).decode_utf8();
    let path = path.context("database.url is not a SQLite address: its path is no UTF-8 text")?;
    if !matches!(options, "" | "mode=rwc") {
        bail!("database.url is not a SQLite address: the options {options:?} after its path are not known");
    }
    if path.is_empty() || path == ":memory:" {
        bail!(
            "database.url is not a SQLite address: it names no file, as sqlite:///var/lib/connect-idp/connect.db does"
        );
    }
    Ok(PathBuf::from(path.into_owned()))
}

/// The `sqlite:` URL of a file.
pub(in crate::store) fn url_of(file: &Path) -> String {
    let path = file.display().to_string();
    format!("sqlite://{}", path.replace('%', "%25").replace('?', "%3F").replace('#', "%23"))
}

/// The file holds password hashes: nobody but its owner has business with it.
pub(super) fn keep_private(file: &Path) -> anyhow::Result<()> {
    for part in ["", "-wal", "-shm"] {
        let name = PathBuf::from(format!("{}{part}", file.display()));
        if name.exists() {
            std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600))
                .with_context(|| format!("{} cannot be made private", name.display()))?;
            give_to_owner_of_folder(&name)
                .with_context(|| format!("{} cannot be given to its owner", name.display()))?;
        }
    }
    Ok(())
}

/// Copies what it holds at this moment, and nothing that was deleted: one transaction that reads, which no writer waits
/// for.
pub(super) fn copy(from: &Connection, file: &Path) -> anyhow::Result<()> {
    let name = file.to_str().context("the name of the backup must be UTF-8 text")?;
    from.execute_batch("PRAGMA query_only = OFF")?;
    from.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let said = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Stalled(said),
            Some(ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen) => {
                Self::Unavailable(said)
            }
            _ => Self::Unexpected(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_and_back() {
        for (url, file) in [
            ("sqlite://connect.db", "connect.db"),
            ("sqlite:connect.db", "connect.db"),
            ("sqlite:///var/lib/x/connect.db", "/var/lib/x/connect.db"),
            ("sqlite:///tmp/a%20b/100%25.db?mode=rwc", "/tmp/a b/100%.db"),
        ] {
            assert_eq!(file_of(url).unwrap(), PathBuf::from(file), "{url}");
        }
        let odd = Path::new("/tmp/100% of #1?.db");
        assert_eq!(file_of(&url_of(odd)).unwrap(), odd);
        for url in ["sqlite://", "sqlite::memory:", "sqlite://a.db?mode=memory", "postgres://x", "sqlite://%ff"] {
            assert!(file_of(url).unwrap_err().to_string().contains("is not a SQLite address"), "{url}");
        }
    }
}
