//! Handoffs under way: an accepted assertion waits here, pending, until the browser comes back with its handle (G8).

pub mod meant;
pub mod refused;

use super::single_use::{self, claims};
use super::{Conn, Error, Query, Tx, from_row, locking, query, settings};
use crate::model::words;
use crate::time::Timestamp;

/// Where a handoff stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted, not yet a session.
    Pending,
    /// A session came of it.
    Completed,
    /// Nothing came of it, and that is recorded.
    Failed,
}
words!(State { Pending = "pending", Completed = "completed", Failed = "failed" });

/// A handoff as stored.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// UUIDv7; stands in the URL of `/unified-login/complete`.
    pub id: String,
    /// Digest of the handle that the browser holds.
    pub handle_hash: String,
    /// See [`State`].
    pub state: State,
    /// The issuer's id.
    pub issuer_id: String,
    /// SHA-256 of the `jti`.
    pub jti_hash: String,
    /// The provider's id.
    pub provider_id: String,
    /// The user's id.
    pub user_id: String,
    /// The user's epoch when it was accepted.
    pub user_epoch: i64,
    /// The provider's epoch when it was accepted.
    pub provider_epoch: i64,
    /// The issuer's epoch when it was accepted.
    pub issuer_epoch: i64,
    /// The issuer's stable id for the user.
    pub sub: String,
    /// When it is late (Unix ms).
    pub deadline: i64,
    /// When the user signed in over there (Unix ms).
    pub auth_time: i64,
    /// The session's `acr`.
    pub acr: String,
    /// The session's `amr`: a JSON array, absent when the assertion says nothing.
    pub amr: Option<String>,
    /// Where to land.
    pub target: Option<String>,
    /// The client's address at the POST.
    pub address: String,
    /// Its browser.
    pub browser: String,
    /// The reference number of the POST.
    pub reference: String,
}
from_row!(Handoff {
    id, handle_hash, issuer_id, jti_hash, provider_id, user_id, user_epoch, provider_epoch, issuer_epoch, sub,
    deadline, auth_time, acr, amr, target, address, browser, reference,
} parsed { state });

macro_rules! insert {
    ($rows:literal) => {
        concat!(
            "INSERT INTO handoffs (id, handle_hash, state, issuer_id, jti_hash, provider_id, user_id, user_epoch, \
             provider_epoch, issuer_epoch, sub, deadline, auth_time, acr, amr, target, address, browser, reference, \
             created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20",
            $rows
        )
    };
}

/// What an assertion was verified by.
#[derive(Clone, Debug)]
pub struct VerifiedBy {
    /// The issuer's revision.
    pub revision: i64,
    /// What its `jwks_uri` last gave.
    pub last_good_jwks: Option<String>,
}

/// Uses up the assertion of a handoff and stores it as pending; `false` where it was used before: nothing was written. With
/// `by`, which PostgreSQL alone takes, also where the issuer is not any more what the assertion was verified by.
///
/// # Errors
/// When it cannot be written.
pub async fn claim(
    tx: &mut Tx,
    purpose: &str,
    handoff: &Handoff,
    by: Option<&VerifiedBy>,
    usable_from: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    const AT_ONCE: &str = concat!(
        "WITH claimed AS (",
        claims!(
            "$21",
            "$4",
            "$5",
            "$20",
            "$22",
            "$23",
            " AND ($24 IS NULL OR EXISTS (SELECT 1 FROM issuers i WHERE i.id = $4 AND i.revision = $24 \
             AND i.last_good_jwks IS NOT DISTINCT FROM $25))"
        ),
        " RETURNING hash) ",
        insert!(" FROM claimed")
    );
    let h = handoff;
    if tx.writes_at_once() {
        let asked = bound(query(AT_ONCE), h, now).bind(purpose).bind(usable_from.0).bind(settings::CLAIMS_SINCE);
        let (revision, jwks) = (by.map(|by| by.revision), by.and_then(|by| by.last_good_jwks.as_deref()));
        return Ok(asked.bind(revision).bind(jwks).execute(tx).await? == 1);
    }
    let claimed = single_use::claim_usable(tx, purpose, &h.issuer_id, &h.jti_hash, usable_from, now).await?;
    if claimed {
        bound(query(insert!("")), h, now).execute(tx).await?;
    }
    Ok(claimed)
}

fn bound<'q>(insert: Query<'q>, handoff: &'q Handoff, now: Timestamp) -> Query<'q> {
    let h = handoff;
    insert
        .bind(&h.id)
        .bind(&h.handle_hash)
        .bind(h.state.as_str())
        .bind(&h.issuer_id)
        .bind(&h.jti_hash)
        .bind(&h.provider_id)
        .bind(&h.user_id)
        .bind(h.user_epoch)
        .bind(h.provider_epoch)
        .bind(h.issuer_epoch)
        .bind(&h.sub)
        .bind(h.deadline)
        .bind(h.auth_time)
        .bind(&h.acr)
        .bind(&h.amr)
        .bind(&h.target)
        .bind(&h.address)
        .bind(&h.browser)
        .bind(&h.reference)
        .bind(now.0)
}

/// The handoff of this id and handle, its row held until the transaction ends.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, id: &str, handle_hash: &str) -> Result<Option<Handoff>, Error> {
    query(locking!("SELECT id, handle_hash, state, issuer_id, jti_hash, provider_id, user_id, user_epoch, provider_epoch, issuer_epoch, \
         sub, deadline, auth_time, acr, amr, target, address, browser, reference FROM handoffs \
         WHERE id = $1 AND handle_hash = $2", "FOR NO KEY UPDATE")).bind(id).bind(handle_hash).fetch_optional(tx).await
}

/// Whether the handoff of this assertion was begun by the request with this reference number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn was_begun_by(conn: &mut Conn, issuer_id: &str, jti_hash: &str, reference: &str) -> Result<bool, Error> {
    const SQL: &str = "SELECT state FROM handoffs WHERE issuer_id = $1 AND jti_hash = $2 AND reference = $3";
    let row: Option<(String,)> = query(SQL).bind(issuer_id).bind(jti_hash).bind(reference).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// Ends the waiting; `false` when it was over already.
///
/// # Errors
/// When it cannot be written.
pub async fn settle(tx: &mut Tx, id: &str, state: State) -> Result<bool, Error> {
    const SQL: &str = "UPDATE handoffs SET state = $2 WHERE id = $1 AND state = 'pending'";
    let rows = query(SQL).bind(id).bind(state.as_str()).execute(tx).await?;
    Ok(rows == 1)
}

/// Marks a batch of pending handoffs as failed whose deadline passed before `before`, and returns them for the record.
///
/// # Errors
/// When it cannot be written.
pub async fn expire(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<Vec<Handoff>, Error> {
    const SQL: &str = "UPDATE handoffs SET state = 'failed' WHERE state = 'pending' AND id IN \
                       (SELECT id FROM handoffs WHERE state = 'pending' AND deadline <= $1 ORDER BY deadline LIMIT $2) RETURNING id, handle_hash, state, issuer_id, jti_hash, provider_id, user_id, user_epoch, provider_epoch, \
         issuer_epoch, sub, deadline, auth_time, acr, amr, target, address, browser, reference";
    query(SQL).bind(before.0).bind(batch).fetch_all(tx).await
}

/// Forgets a batch of settled handoffs made before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM handoffs WHERE state <> 'pending' AND id IN \
                       (SELECT id FROM handoffs WHERE created_at <= $1 AND state <> 'pending' ORDER BY created_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
