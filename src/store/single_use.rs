//! What may be used once: a unique insert in the transaction of its effect (G2).

use super::{Conn, Error, Tx, on};
use crate::time::Timestamp;

/// Uses something up; `false` when it was used before.
///
/// # Errors
/// When it cannot be written.
pub async fn claim(tx: &mut Tx, purpose: &str, issuer: &str, hash: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO single_use (purpose, issuer, hash, used_at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (purpose, issuer, hash) DO NOTHING";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(purpose)
        .bind(issuer)
        .bind(hash)
        .bind(now.0)
        .execute(c)
        .await
        .map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}

/// Whether something is used up. For explanations only: never look, then claim.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_claimed(conn: &mut Conn, purpose: &str, issuer: &str, hash: &str) -> Result<bool, Error> {
    const SQL: &str = "SELECT used_at FROM single_use WHERE purpose = $1 AND issuer = $2 AND hash = $3";
    let row: Option<(i64,)> =
        on!(conn, |c| sqlx::query_as(SQL).bind(purpose).bind(issuer).bind(hash).fetch_optional(c).await)?;
    Ok(row.is_some())
}

/// How many claims each issuer has, for the cap.
///
/// # Errors
/// When the database cannot be asked.
pub async fn counts(conn: &mut Conn) -> Result<Vec<(String, i64)>, Error> {
    const SQL: &str = "SELECT issuer, COUNT(*) FROM single_use GROUP BY issuer";
    Ok(on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)?)
}

/// Forgets a batch of what was used before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM single_use WHERE (purpose, issuer, hash) IN \
                       (SELECT purpose, issuer, hash FROM single_use WHERE used_at <= $1 ORDER BY used_at LIMIT $2)";
    Ok(on!(tx, |c| sqlx::query(SQL).bind(before.0).bind(batch).execute(c).await.map(|d| d.rows_affected()))?)
}
