//! Token families (G14): everything that came of one authorization, with at most one live refresh token. A family is
//! usable while nothing revoked it, every epoch it was born under still stands, and, without `offline`, its session
//! was not ended and has not reached its absolute limit; idleness does not matter (R4).

use crate::store::{Conn, Error, Tx, from_row, locking, query};
use crate::time::Timestamp;

/// What a family's row may add to what its code says.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// Digest of the spent code.
    pub code_hash: String,
    /// Digest of the refresh token's secret, if there is one.
    pub refresh_hash: Option<String>,
    /// Whether it outlives its session.
    pub offline: bool,
    /// Over then.
    pub expires_at: Timestamp,
}

/// Of the code of digest `$2`: that what it was born under still stands; `$1` is now.
macro_rules! stands {
    () => {
        "FROM codes k JOIN sessions s ON s.sid = k.sid JOIN clients c ON c.id = k.client JOIN users u ON u.id = k.user_id \
         JOIN providers p ON p.id = k.provider_id LEFT JOIN issuers i ON i.id = k.issuer_id \
         WHERE k.hash = $2 AND c.enabled AND c.epoch = k.client_epoch AND u.active AND u.epoch = k.user_epoch AND p.active \
         AND p.epoch = k.provider_epoch AND (k.issuer_id IS NULL OR i.epoch = k.issuer_epoch) \
         AND s.ended_at IS NULL AND s.expires_at > $1"
    };
}
pub(super) use stands;

/// Makes the family of a spent code; `false` when what the code was born under no longer stands.
///
/// The session's row is held until the transaction ends: whoever ends the session waits for the family, and then sees
/// it among those to be told and revoked; or was first, and there is none.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, family: &NewFamily, now: Timestamp) -> Result<bool, Error> {
    if born(tx, family, now).await? {
        return Ok(true);
    }
    // A renewal that was waited for has put another row in its session's place: looked for once more, that one is
    // there.
    born(tx, family, now).await
}

async fn born(tx: &mut Tx, family: &NewFamily, now: Timestamp) -> Result<bool, Error> {
    let rows = query(locking!((concat!("INSERT INTO families (id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, issuer_id, \
         issuer_epoch, sid, offline, scope, resources, claims, acr, amr, auth_time, generation, refresh_hash, created_at, expires_at) \
         SELECT k.family_id, k.client, k.client_epoch, k.provider_id, k.user_id, k.user_epoch, k.provider_epoch, k.issuer_id, \
         k.issuer_epoch, k.sid, $3, k.scope, k.resources, k.claims, k.acr, k.amr, k.auth_time, 1, $4, $1, $5 ", stands!())), "FOR SHARE OF s"))
        .bind(now.0)
        .bind(&family.code_hash)
        .bind(family.offline)
        .bind(&family.refresh_hash)
        .bind(family.expires_at.0).execute(tx).await?;
    Ok(rows == 1)
}

/// A usable family.
#[derive(Clone, Debug)]
pub struct Family {
    /// UUIDv7; the first half of its refresh tokens.
    pub id: String,
    /// The client's row.
    pub client: String,
    /// The user.
    pub user_id: String,
    /// The session as clients know it.
    pub sid: String,
    /// What was granted, space-separated.
    pub scope: String,
    /// Resources, space-separated.
    pub resources: String,
    /// The `claims` parameter, JSON.
    pub claims: Option<String>,
    /// How sure the sign-in was.
    pub acr: String,
    /// How it was done: a JSON array.
    pub amr: Option<String>,
    /// When credentials were checked (Unix ms).
    pub auth_time: i64,
    /// Digest of the live refresh token's secret.
    pub refresh_hash: Option<String>,
    /// Digest of the one before it.
    pub previous_hash: Option<String>,
    /// When the one before it was replaced (Unix ms).
    pub rotated_at: Option<i64>,
    /// What its replacement was answered with, sealed.
    pub sealed_answer: Option<String>,
    /// Over then (Unix ms).
    pub expires_at: i64,
}
from_row!(Family {
    id, client, user_id, sid, scope, resources, claims, acr, amr, auth_time, refresh_hash, previous_hash, rotated_at,
    sealed_answer, expires_at,
} parsed {});

/// The family of id `$2`, or those of another key, while they are usable; `$1` is now.
macro_rules! lives {
    () => {
        lives!("f.id")
    };
    ($key:literal) => {
        concat!("FROM families f JOIN clients c ON c.id = f.client JOIN users u ON u.id = f.user_id JOIN providers p ON p.id = f.provider_id \
         LEFT JOIN issuers i ON i.id = f.issuer_id \
         WHERE ", $key, " = $2 AND f.revoked_at IS NULL AND f.expires_at > $1 AND c.enabled AND c.epoch = f.client_epoch \
         AND u.active AND u.epoch = f.user_epoch AND p.active AND p.epoch = f.provider_epoch \
         AND (f.issuer_id IS NULL OR i.epoch = f.issuer_epoch) AND (f.offline OR EXISTS \
         (SELECT 1 FROM sessions s WHERE s.sid = f.sid AND s.ended_at IS NULL AND s.expires_at > $1))")
    };
}
pub(in crate::store) use lives;

/// The family of this id, if it is usable.
///
/// # Errors
/// When the database cannot be asked.
pub async fn live(conn: &mut Conn, id: &str, now: Timestamp) -> Result<Option<Family>, Error> {
    const SQL: &str = concat!(
        "SELECT f.id, f.client, f.user_id, f.sid, f.scope, f.resources, f.claims, f.acr, f.amr, f.auth_time, \
         f.refresh_hash, f.previous_hash, f.rotated_at, f.sealed_answer, f.expires_at ",
        lives!()
    );
    if !crate::store::can_be_stored(id) {
        return Ok(None);
    }
    query(SQL).bind(now.0).bind(id).fetch_optional(conn).await
}

/// Puts the next refresh token in the place of `old_hash`, and keeps the sealed answer for a retry; `false` when
/// another token is in that place by now, or the family was revoked.
///
/// # Errors
/// When it cannot be written.
pub async fn rotate(
    tx: &mut Tx,
    id: &str,
    old_hash: &str,
    new_hash: &str,
    sealed_answer: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE families SET generation = generation + 1, refresh_hash = $3, previous_hash = $2, rotated_at = $5, \
                       sealed_answer = $4 WHERE id = $1 AND refresh_hash = $2 AND revoked_at IS NULL";
    let rows = query(SQL).bind(id).bind(old_hash).bind(new_hash).bind(sealed_answer).bind(now.0).execute(tx).await?;
    Ok(rows == 1)
}

/// Revokes a family and with it every token born of it; `false` when there was none left to revoke.
///
/// # Errors
/// When it cannot be written.
pub async fn revoke(tx: &mut Tx, id: &str, reason: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE families SET revoked_at = $2, revoke_reason = $3, sealed_answer = NULL \
                       WHERE id = $1 AND revoked_at IS NULL";
    let rows = query(SQL).bind(id).bind(now.0).bind(reason).execute(tx).await?;
    Ok(rows == 1)
}

/// Revokes every family of a user with a client; how many.
///
/// # Errors
/// When it cannot be written.
pub async fn revoke_of_client(
    tx: &mut Tx,
    user_id: &str,
    client: &str,
    reason: &str,
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str = "UPDATE families SET revoked_at = $3, revoke_reason = $4, sealed_answer = NULL \
                       WHERE user_id = $1 AND client = $2 AND revoked_at IS NULL";
    query(SQL).bind(user_id).bind(client).bind(now.0).bind(reason).execute(tx).await
}

/// Revokes every family of a user that was not born of this session's `sid`; how many (L8).
///
/// # Errors
/// When it cannot be written.
pub async fn revoke_of_others(
    tx: &mut Tx,
    user_id: &str,
    keep_sid: &str,
    reason: &str,
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str = "UPDATE families SET revoked_at = $3, revoke_reason = $4, sealed_answer = NULL \
                       WHERE user_id = $1 AND sid <> $2 AND revoked_at IS NULL";
    query(SQL).bind(user_id).bind(keep_sid).bind(now.0).bind(reason).execute(tx).await
}

/// Whether an answer is kept that is too old to be given again.
///
/// # Errors
/// When the database cannot be asked.
pub async fn has_old_answers(conn: &mut Conn, before: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "SELECT id FROM families WHERE sealed_answer IS NOT NULL AND rotated_at <= $1 LIMIT 1";
    let row: Option<(String,)> = query(SQL).bind(before.0).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// Forgets the sealed answers that are too old to be given again.
///
/// # Errors
/// When it cannot be written.
pub async fn forget_answers(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "UPDATE families SET sealed_answer = NULL WHERE sealed_answer IS NOT NULL AND rotated_at <= $1";
    query(SQL).bind(before.0).execute(tx).await
}

/// Forgets a batch of families that were over before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM families WHERE id IN \
                       (SELECT id FROM families f WHERE f.expires_at <= $1 AND NOT EXISTS \
                       (SELECT 1 FROM sessions s WHERE s.sid = f.sid AND s.ended_at IS NULL AND s.expires_at > $1) \
                       ORDER BY f.expires_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
