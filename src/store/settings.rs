//! Single facts about the installation.

use super::{Conn, Error, Tx, on};
use crate::time::Timestamp;

/// The fact that tells which key-encryption key the database belongs to.
pub const KEY_FINGERPRINT: &str = "key-encryption key";

/// The fact that tells which of the later key-encryption keys has a name.
#[must_use]
pub fn fingerprint_of(name: &str) -> String {
    format!("{KEY_FINGERPRINT} {name}")
}

/// When a replica last showed that it can write (Unix ms).
const WRITTEN_AT: &str = "written at";

/// Shows that the database takes a write, by writing down when that was.
///
/// # Errors
/// When it cannot be written: the disk is full, the database is read-only, …
pub async fn prove_write(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
    on!(tx, |c| sqlx::query(SQL).bind(WRITTEN_AT).bind(now.0.to_string()).execute(c).await.map(drop))?;
    Ok(())
}

/// The value of a fact.
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT value FROM settings WHERE name = $1";
    let row: Option<(String,)> = on!(conn, |c| sqlx::query_as(SQL).bind(name).fetch_optional(c).await)?;
    Ok(row.map(|(value,)| value))
}

/// Writes a fact down where none stands yet; `false` when one did.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, name: &str, value: &str) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    let rows = on!(tx, |c| sqlx::query(SQL).bind(name).bind(value).execute(c).await.map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}
