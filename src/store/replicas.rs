//! The replicas that run: each gives a sign of life, with what its settings are known by.

use super::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// What a replica says of itself.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its own for as long as it runs.
    pub id: String,
    /// The name of its machine.
    pub host: String,
    /// Of the program.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: i64,
    /// When it last gave a sign of life, by the database's clock.
    pub seen_at: i64,
    /// Until when that counts, by the same.
    pub expires_at: i64,
    /// A JSON object: keyed digests of its settings, by their keys.
    pub settings: String,
}

from_row!(Replica { id, host, version, started_at, seen_at, expires_at, settings } parsed {});

/// Gives a sign of life.
///
/// # Errors
/// When it cannot be written.
pub async fn keep(tx: &mut Tx, replica: &Replica) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO replicas (id, host, version, started_at, seen_at, expires_at, settings) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) \
                       ON CONFLICT (id) DO UPDATE SET seen_at = $5, expires_at = $6, settings = $7";
    let r = replica;
    query(SQL)
        .bind(&r.id)
        .bind(&r.host)
        .bind(&r.version)
        .bind(r.started_at)
        .bind(r.seen_at)
        .bind(r.expires_at)
        .bind(&r.settings)
        .execute(tx)
        .await?;
    Ok(())
}

/// Takes it back: the replica stops.
///
/// # Errors
/// When it cannot be written.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM replicas WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    Ok(())
}

/// Those that live, the oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn alive(conn: &mut Conn, now: Timestamp) -> Result<Vec<Replica>, Error> {
    const SQL: &str = "SELECT id, host, version, started_at, seen_at, expires_at, settings FROM replicas \
                       WHERE expires_at > $1 ORDER BY started_at, id LIMIT 1000";
    query(SQL).bind(now.0).fetch_all(conn).await
}

/// Forgets a batch of those that gave no sign any more; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, now: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM replicas WHERE id IN (SELECT id FROM replicas WHERE expires_at <= $1 LIMIT $2)";
    query(SQL).bind(now.0).bind(batch).execute(tx).await
}
