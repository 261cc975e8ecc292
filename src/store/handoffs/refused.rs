//! Handoffs that were refused before a trusted signature (A4): strangers do not write into the record, so these are
//! kept apart, few and not for long.

use crate::store::activity::{AFTER_ALL, Record};
use crate::store::{Conn, Error, Tx, query};
use crate::time::Timestamp;

/// One refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    /// UUIDv7.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The reference number that the page showed.
    pub reference: String,
    /// The true reason.
    pub reason: &'static str,
    /// From which address.
    pub address: String,
    /// With which browser.
    pub browser: String,
}

/// Keeps a refusal, unless the record has it.
///
/// # Errors
/// When it cannot be written.
pub async fn keep(tx: &mut Tx, refused: &Refused) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO refused_handoffs (id, at, reference, reason, address, browser) \
                       SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM activity WHERE reference = $3)";
    let r = refused;
    query(SQL)
        .bind(&r.id)
        .bind(r.at.0)
        .bind(&r.reference)
        .bind(r.reason)
        .bind(&r.address)
        .bind(&r.browser)
        .execute(tx)
        .await?;
    Ok(())
}

/// What a reference number stands for, as a record would say it; older than the record `before`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_reference(
    conn: &mut Conn,
    reference: &str,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Record>, Error> {
    const SQL: &str = "SELECT id, at, CAST(NULL AS TEXT) AS provider_code, CAST(NULL AS TEXT) AS user_id, \
                       CAST(NULL AS TEXT) AS login_name, CAST(NULL AS TEXT) AS name_hash, 'stranger' AS actor, \
                       'sign_in' AS kind, 'Unified Login' AS login_type, \
                       'Not in the record: refused before a trusted signature' AS note, 'refused' AS outcome, reason, \
                       address, browser, reference, CAST(NULL AS TEXT) AS session_id, CAST(NULL AS TEXT) AS handoff_id \
                       FROM refused_handoffs WHERE reference = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    query(SQL).bind(reference).bind(before.unwrap_or(AFTER_ALL)).bind(limit).fetch_all(conn).await
}

/// Forgets a batch of what was refused before `before`, and of the oldest beyond `cap`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, cap: i64, batch: i64) -> Result<u64, Error> {
    const OLD: &str = "DELETE FROM refused_handoffs WHERE id IN \
                       (SELECT id FROM refused_handoffs WHERE id < $1 ORDER BY id LIMIT $2)";
    const BEYOND: &str = "DELETE FROM refused_handoffs WHERE id IN \
                          (SELECT id FROM refused_handoffs ORDER BY id DESC LIMIT $2 OFFSET $1)";
    let old = query(OLD).bind(before.first_id()).bind(batch).execute(tx).await?;
    let beyond = query(BEYOND).bind(cap).bind(batch).execute(tx).await?;
    Ok(old + beyond)
}
