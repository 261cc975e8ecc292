//! Authorization codes: born of a live session in one statement, redeemed once by another (RFC 6749 §4.1.2).

use crate::store::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// A code about to be given.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Digest of the code.
    pub hash: String,
    /// The family that its redemption will make.
    pub family_id: String,
    /// The client's row.
    pub client: String,
    /// The client's epoch as checked.
    pub client_epoch: i64,
    /// Its registration's revision, where that was not read for this request.
    pub client_known: Option<i64>,
    /// Where it goes.
    pub redirect_uri: String,
    /// S256.
    pub code_challenge: Option<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// What is granted, space-separated.
    pub scope: String,
    /// Resources, space-separated.
    pub resources: String,
    /// The `claims` parameter, JSON.
    pub claims: Option<String>,
}

/// Gives a code to a session that lives at this very moment; `false` when it does not, or its client is not as it is known. The code takes over what the
/// session was born under, so whatever ends the session ends the code.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(
    tx: &mut Tx,
    code: &NewCode,
    session_id: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO codes (hash, family_id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, \
         issuer_id, issuer_epoch, sid, session_expires_at, redirect_uri, code_challenge, nonce, scope, resources, claims, acr, amr, \
         auth_time, created_at, expires_at) \
         SELECT $3, $4, $5, $6, s.provider_id, s.user_id, s.user_epoch, s.provider_epoch, s.issuer_id, s.issuer_epoch, s.sid, \
         s.expires_at, $7, $8, $9, $10, $11, $12, s.acr, s.amr, s.auth_time, $1, $13 \
         FROM clients c, sessions s JOIN users u ON u.id = s.user_id JOIN providers p ON p.id = s.provider_id \
         LEFT JOIN issuers i ON i.id = s.issuer_id \
         WHERE c.id = $5 AND ($14 IS NULL OR (c.enabled AND c.epoch = $6 AND c.revision = $14)) AND s.id = $2 AND s.ended_at IS NULL AND s.idle_until > $1 AND s.expires_at > $1 AND u.epoch = s.user_epoch \
         AND u.active AND p.epoch = s.provider_epoch AND p.active AND (s.issuer_id IS NULL OR i.epoch = s.issuer_epoch)";
    let rows = query(SQL)
        .bind(now.0)
        .bind(session_id)
        .bind(&code.hash)
        .bind(&code.family_id)
        .bind(&code.client)
        .bind(code.client_epoch)
        .bind(&code.redirect_uri)
        .bind(&code.code_challenge)
        .bind(&code.nonce)
        .bind(&code.scope)
        .bind(&code.resources)
        .bind(&code.claims)
        .bind(expires_at.0)
        .bind(code.client_known)
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// What a code stands for.
#[derive(Clone, Debug)]
pub struct Code {
    /// The family to be made.
    pub family_id: String,
    /// The client's row.
    pub client: String,
    /// The user.
    pub user_id: String,
    /// The session as clients know it.
    pub sid: String,
    /// The session's absolute limit (Unix ms).
    pub session_expires_at: i64,
    /// Where it went.
    pub redirect_uri: String,
    /// S256.
    pub code_challenge: Option<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// What is granted, space-separated.
    pub scope: String,
    /// Resources, space-separated.
    pub resources: String,
    /// The `claims` parameter, JSON.
    pub claims: Option<String>,
    /// How sure the sign-in is.
    pub acr: String,
    /// How it was done: a JSON array.
    pub amr: Option<String>,
    /// When credentials were checked (Unix ms).
    pub auth_time: i64,
    /// Over then (Unix ms).
    pub expires_at: i64,
}
from_row!(Code {
    family_id, client, user_id, sid, session_expires_at, redirect_uri, code_challenge, nonce, scope, resources, claims, acr,
    amr, auth_time, expires_at,
} parsed {});

/// The result of a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The first. It is spent now, whatever comes of it.
    Fresh,
    /// It was spent before: the family that came of it, if any did.
    Reused(String),
    /// There is no such code.
    Unknown,
}

/// Spends a code.
///
/// # Errors
/// When it cannot be written.
pub async fn redeem(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<Redeemed, Error> {
    const SPEND: &str = "UPDATE codes SET redeemed_at = $2 WHERE hash = $1 AND redeemed_at IS NULL";
    const SPENT: &str = "SELECT family_id FROM codes WHERE hash = $1";
    let rows = query(SPEND).bind(hash).bind(now.0).execute(tx).await?;
    if rows == 1 {
        return Ok(Redeemed::Fresh);
    }
    let spent: Option<(String,)> = query(SPENT).bind(hash).fetch_optional(tx).await?;
    Ok(spent.map_or(Redeemed::Unknown, |(family,)| Redeemed::Reused(family)))
}

/// What an unspent code stands for, so that tokens can be made before it is spent; [`redeem`] alone says that it is.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unspent(conn: &mut Conn, hash: &str) -> Result<Option<Code>, Error> {
    const SQL: &str = "SELECT family_id, client, user_id, sid, session_expires_at, redirect_uri, code_challenge, nonce, scope, resources, \
                       claims, acr, amr, auth_time, expires_at FROM codes WHERE hash = $1 AND redeemed_at IS NULL";
    query(SQL).bind(hash).fetch_optional(conn).await
}

/// Spends every code that a user's apps of one client still hold, for nothing.
///
/// # Errors
/// When it cannot be written.
pub async fn spend_of_client(tx: &mut Tx, user_id: &str, client: &str, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE codes SET redeemed_at = $3 WHERE user_id = $1 AND client = $2 AND redeemed_at IS NULL";
    query(SQL).bind(user_id).bind(client).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Forgets a batch of codes that were over before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM codes WHERE hash IN \
                       (SELECT hash FROM codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
