//! Single facts about the installation.

use super::{Conn, Error, Tx, locking, query};

/// The fact that tells which key-encryption key the database belongs to.
pub const KEY_FINGERPRINT: &str = "key-encryption key";

/// The fact that tells which of the later key-encryption keys has a name.
#[must_use]
pub fn fingerprint_of(name: &str) -> String {
    format!("{KEY_FINGERPRINT} {name}")
}

/// The fact that tells by which address browsers and apps know the installation.
pub const ISSUER: &str = "issuer";

/// The fact that tells what a trusted proxy said last that could not be read.
pub const UNREADABLE_HOP: &str = "unread hop";

/// The fact that tells from when on claims of single use are complete, in Unix milliseconds: a restore lost those
/// before it.
pub const CLAIMS_SINCE: &str = "claims are complete since";

/// Writes a fact down, whatever stands there.
///
/// # Errors
/// When it cannot be written.
pub async fn put(tx: &mut Tx, name: &str, value: &str) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
    query(SQL).bind(name).bind(value).execute(tx).await?;
    Ok(())
}

/// Shows that the database takes a write: a row of a name that nobody else has comes and goes. One row for all replicas
/// would let one that freezes here keep the others waiting.
///
/// # Errors
/// When it cannot be written: the disk is full, the database is read-only, …
pub async fn prove_write(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const DELETE: &str = "DELETE FROM settings WHERE name = $1";
    let name = format!("write of {id}");
    insert(tx, &name, "").await?;
    query(DELETE).bind(&name).execute(tx).await?;
    Ok(())
}

/// The value of a fact.
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT value FROM settings WHERE name = $1";
    let row: Option<(String,)> = query(SQL).bind(name).fetch_optional(conn).await?;
    Ok(row.map(|(value,)| value))
}

/// Lets those take turns who may be about to end the last Therap Admin, until the transaction ends. It is a row of its
/// own to hold: that of the operator realm is read by every act of theirs, and each would wait for the other.
///
/// # Errors
/// When the database cannot be asked.
pub async fn take_turn(tx: &mut Tx) -> Result<(), Error> {
    query(locking!("SELECT value FROM settings WHERE name = $1", "FOR NO KEY UPDATE"))
        .bind(KEY_FINGERPRINT)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes a fact down where none stands yet; `false` when one did.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, name: &str, value: &str) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    let rows = query(SQL).bind(name).bind(value).execute(tx).await?;
    Ok(rows == 1)
}
