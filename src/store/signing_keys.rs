//! Our signing keys, their private halves sealed.

use super::{Conn, Error, Tx, from_row, on};
use crate::model::signing_key::Dates;
use crate::time::Timestamp;

/// A key as stored.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The algorithm's name.
    pub alg: String,
    /// Counts up by algorithm.
    pub generation: i64,
    /// JWK.
    pub public_jwk: String,
    /// JWE of the private JWK; empty once it was retired by hand.
    pub sealed_jwk: String,
    /// When it was made (Unix ms).
    pub created_at: i64,
    /// From when it may sign (Unix ms).
    pub signs_from: i64,
    /// When it was retired by hand (Unix ms).
    pub retired_at: Option<i64>,
}
from_row!(StoredKey { kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from, retired_at } parsed {});

impl StoredKey {
    /// The dates that its state is read off.
    #[must_use]
    pub fn dates(&self) -> Dates {
        Dates { signs_from: Timestamp(self.signs_from), retired_at: self.retired_at.map(Timestamp) }
    }
}

/// Every key: by algorithm, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn) -> Result<Vec<StoredKey>, Error> {
    const SQL: &str = "SELECT kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from, retired_at \
                       FROM signing_keys ORDER BY alg, generation";
    Ok(on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)?)
}

/// Adds a key; `false` when another replica added that generation first.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, key: &StoredKey) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO signing_keys (kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(&key.kid)
        .bind(&key.alg)
        .bind(key.generation)
        .bind(&key.public_jwk)
        .bind(&key.sealed_jwk)
        .bind(key.created_at)
        .bind(key.signs_from)
        .execute(c)
        .await
        .map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}

/// Lets an announced key sign from `now` on; `false` when it may already, or is retired.
///
/// # Errors
/// When it cannot be written.
pub async fn sign_from(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "UPDATE signing_keys SET signs_from = $2 WHERE kid = $1 AND signs_from > $2 AND retired_at IS NULL";
    let rows = on!(tx, |c| sqlx::query(SQL).bind(kid).bind(now.0).execute(c).await.map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}

/// Retires a key and forgets its private half; `false` when it was retired before.
///
/// # Errors
/// When it cannot be written.
pub async fn retire(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE signing_keys SET retired_at = $2, sealed_jwk = '' WHERE kid = $1 AND retired_at IS NULL";
    let rows = on!(tx, |c| sqlx::query(SQL).bind(kid).bind(now.0).execute(c).await.map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}

/// Puts the same private half, sealed anew, in place of the old.
///
/// # Errors
/// When it cannot be written.
pub async fn reseal(tx: &mut Tx, kid: &str, sealed_jwk: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE signing_keys SET sealed_jwk = $2 WHERE kid = $1 AND retired_at IS NULL";
    on!(tx, |c| sqlx::query(SQL).bind(kid).bind(sealed_jwk).execute(c).await.map(drop))?;
    Ok(())
}
