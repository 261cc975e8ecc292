//! What a token request writes, as one statement of PostgreSQL's: all of it, or nothing. The rules are those of the functions
//! that write one table each; whoever gets `false` goes on with those, and learns why.
//!
//! All parts of such a statement see the database as it was when it began, and none what another part wrote. What a row must
//! be is checked where the row is changed, or under a lock, so that two such statements take turns.

use super::access::{NewAccessToken, by};
use super::families::{NewFamily, lives, stands};
use crate::model::client::ProvenBy;
use crate::store::{Error, Query, Tx, query};
use crate::time::Timestamp;

/// A client that still is what it proved to be, held as by [`super::access::insert`]; `$1` is now.
macro_rules! proven {
    (secret) => {
        "proven AS (SELECT c.id, c.epoch FROM clients c JOIN client_secrets s ON s.client = c.id \
         WHERE c.id = $3 AND c.enabled AND c.epoch = $4 AND ($5 IS NULL OR c.revision = $5) AND s.id = $6 \
         AND (s.expires_at IS NULL OR s.expires_at > $1) FOR SHARE OF s)"
    };
    (registration) => {
        "proven AS (SELECT c.id, c.epoch FROM clients c WHERE c.id = $3 AND c.enabled AND c.epoch = $4 \
         AND ($5 IS NULL OR c.revision = $5) AND c.revision = $6 FOR SHARE OF c)"
    };
}

/// Writes a token of the family that `$from` gives.
macro_rules! token {
    ($from:literal) => {
        concat!(
            " INSERT INTO access_tokens (hash, family_id, client, client_epoch, scope, audience, created_at, expires_at) \
             SELECT $7, given.id, proven.id, proven.epoch, $8, $9, $1, $10 FROM ",
            $from,
            " given, proven"
        )
    };
}

/// A statement for either proof.
macro_rules! by_proof {
    ($token:expr, $($part:expr),+) => {{
        let sql: &'static str = match &$token.proof.by {
            ProvenBy::Secret(_) => concat!("WITH ", proven!(secret), $($part),+),
            ProvenBy::Registration(_) => concat!("WITH ", proven!(registration), $($part),+),
        };
        sql
    }};
}

/// Binds `$1` to `$10`.
fn bound<'q>(sql: &'static str, subject: &'q str, token: &'q NewAccessToken, now: Timestamp) -> Query<'q> {
    let asked = query(sql).bind(now.0).bind(subject);
    let asked = asked.bind(&token.proof.client).bind(token.proof.epoch).bind(token.proof.known);
    let asked = by(asked, &token.proof).bind(&token.hash);
    asked.bind(&token.scope).bind(&token.audience).bind(token.expires_at.0)
}

/// Spends a code for a family and its first token; `false` where nothing was written: the code is not there any more, or
/// what it or the client rests on.
///
/// # Errors
/// When it cannot be written.
pub async fn exchange(tx: &mut Tx, family: &NewFamily, token: &NewAccessToken, now: Timestamp) -> Result<bool, Error> {
    let sql = by_proof!(
        token,
        ", standing AS (SELECT k.* ",
        stands!(),
        " FOR SHARE OF s), \
         spent AS (UPDATE codes SET redeemed_at = $1 FROM standing, proven \
         WHERE codes.hash = $2 AND codes.redeemed_at IS NULL RETURNING codes.family_id), \
         family AS (INSERT INTO families (id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, \
         issuer_id, issuer_epoch, sid, offline, scope, resources, claims, acr, amr, auth_time, generation, refresh_hash, \
         created_at, expires_at) SELECT k.family_id, k.client, k.client_epoch, k.provider_id, k.user_id, k.user_epoch, \
         k.provider_epoch, k.issuer_id, k.issuer_epoch, k.sid, $11, k.scope, k.resources, k.claims, k.acr, k.amr, \
         k.auth_time, 1, $12, $1, $13 FROM standing k JOIN spent ON spent.family_id = k.family_id RETURNING id)",
        token!("family")
    );
    let asked = bound(sql, &family.code_hash, token, now);
    let rows = asked.bind(family.offline).bind(&family.refresh_hash).bind(family.expires_at.0).execute(tx).await?;
    Ok(rows == 1)
}

/// The next refresh token of a public client.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Digest of the one before.
    pub old_hash: String,
    /// Its own.
    pub new_hash: String,
    /// What is answered, for a retry.
    pub sealed_answer: String,
}

/// Removes the family's tokens beyond the newest so many, the new one counted, where `$from` gives the family.
macro_rules! surplus {
    ($from:literal, $limit:literal) => {
        concat!(
            ", surplus AS (DELETE FROM access_tokens WHERE hash IN (SELECT hash FROM access_tokens WHERE family_id = $2 \
             ORDER BY created_at DESC, hash OFFSET ",
            $limit,
            " - 1) AND EXISTS (SELECT 1 FROM ",
            $from,
            ", proven))"
        )
    };
}

/// Gives a family that lives another token, and with a rotation the next refresh token; of its tokens the newest `keep`
/// stay. `false` where nothing was written: the family or the client is not what it was, or the refresh token was replaced.
///
/// # Errors
/// When it cannot be written.
pub async fn refresh(
    tx: &mut Tx,
    family: &str,
    rotation: Option<&Rotation>,
    token: &NewAccessToken,
    keep: i64,
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(rotation) = rotation else {
        let sql =
            by_proof!(token, ", living AS (SELECT f.id ", lives!(), ")", surplus!("living", "$11"), token!("living"));
        return Ok(bound(sql, family, token, now).bind(keep).execute(tx).await? == 1);
    };
    let sql = by_proof!(
        token,
        ", living AS (SELECT f.id ",
        lives!(),
        "), rotated AS (UPDATE families SET generation = generation + 1, refresh_hash = $13, previous_hash = $12, \
         rotated_at = $1, sealed_answer = $14 FROM living, proven \
         WHERE families.id = living.id AND families.refresh_hash = $12 AND families.revoked_at IS NULL \
         RETURNING families.id)",
        surplus!("rotated", "$11"),
        token!("rotated")
    );
    let asked = bound(sql, family, token, now).bind(keep);
    let asked = asked.bind(&rotation.old_hash).bind(&rotation.new_hash).bind(&rotation.sealed_answer);
    Ok(asked.execute(tx).await? == 1)
}
