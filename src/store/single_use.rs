//! What may be used once: a unique insert in the transaction of its effect (G2).

use super::{Conn, Error, Tx, query, settings};
use crate::time::Timestamp;

/// Uses something up; `false` when it was used before. What opens something is claimed by [`claim_usable`].
///
/// # Errors
/// When it cannot be written.
pub async fn claim(tx: &mut Tx, purpose: &str, issuer: &str, hash: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO single_use (purpose, issuer, hash, used_at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (purpose, issuer, hash) DO NOTHING";
    let rows = query(SQL).bind(purpose).bind(issuer).bind(hash).bind(now.0).execute(tx).await?;
    Ok(rows == 1)
}

/// Claims what could be used from an instant on; see [`claim_usable`].
macro_rules! claims {
    ($purpose:literal, $issuer:literal, $hash:literal, $now:literal, $usable_from:literal, $since:literal, $also:literal) => {
        concat!(
            "INSERT INTO single_use (purpose, issuer, hash, used_at) SELECT ",
            $purpose,
            ", ",
            $issuer,
            ", ",
            $hash,
            ", CAST(",
            $now,
            " AS BIGINT) WHERE CAST(",
            $usable_from,
            " AS BIGINT) >= COALESCE((SELECT CAST(value AS BIGINT) FROM settings WHERE name = ",
            $since,
            "), 0)",
            $also,
            " ON CONFLICT (purpose, issuer, hash) DO NOTHING"
        )
    };
}
pub(super) use claims;

/// The same of what could be used from `usable_from` on. A restore loses the claims that came after the backup: what was
/// usable before the restore may have been used, and counts as used (G36).
///
/// # Errors
/// When it cannot be written.
pub async fn claim_usable(
    tx: &mut Tx,
    purpose: &str,
    issuer: &str,
    hash: &str,
    usable_from: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = claims!("$1", "$2", "$3", "$4", "$5", "$6", "");
    let rows = query(SQL)
        .bind(purpose)
        .bind(issuer)
        .bind(hash)
        .bind(now.0)
        .bind(usable_from.0)
        .bind(settings::CLAIMS_SINCE)
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// Notes that claims from before `moment` are lost. A later note stands.
///
/// # Errors
/// When it cannot be written.
pub async fn complete_since(tx: &mut Tx, moment: Timestamp) -> Result<(), Error> {
    let known = settings::get(tx, settings::CLAIMS_SINCE).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
    settings::put(tx, settings::CLAIMS_SINCE, &moment.0.max(known).to_string()).await
}

/// Whether something is used up. For explanations only: never look, then claim.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_claimed(conn: &mut Conn, purpose: &str, issuer: &str, hash: &str) -> Result<bool, Error> {
    const SQL: &str = "SELECT used_at FROM single_use WHERE purpose = $1 AND issuer = $2 AND hash = $3";
    let row: Option<(i64,)> = query(SQL).bind(purpose).bind(issuer).bind(hash).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// How many claims each issuer has, for the cap.
///
/// # Errors
/// When the database cannot be asked.
pub async fn counts(conn: &mut Conn) -> Result<Vec<(String, i64)>, Error> {
    const SQL: &str = "SELECT issuer, COUNT(*) FROM single_use GROUP BY issuer";
    query(SQL).fetch_all(conn).await
}

/// Forgets a batch of what was used before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM single_use WHERE (purpose, issuer, hash) IN \
                       (SELECT purpose, issuer, hash FROM single_use WHERE used_at <= $1 ORDER BY used_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
