//! Our signing keys, their private halves sealed.

use super::{Conn, Error, Tx, on};
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
    /// JWE of the private JWK.
    pub sealed_jwk: String,
    /// When it may sign from (Unix ms).
    pub signs_from: i64,
    /// Until when it verifies (Unix ms); open while no other key took its place.
    pub verifies_until: Option<i64>,
    /// When it was retired (Unix ms).
    pub retired_at: Option<i64>,
}
super::from_row!(StoredKey { kid, alg, generation, public_jwk, sealed_jwk, signs_from, verifies_until, retired_at } parsed {});

/// Every key, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn) -> Result<Vec<StoredKey>, Error> {
    const SQL: &str = "SELECT kid, alg, generation, public_jwk, sealed_jwk, signs_from, verifies_until, retired_at \
                       FROM signing_keys ORDER BY alg, generation";
    Ok(on!(conn, |c| sqlx::query_as(SQL).fetch_all(c).await)?)
}

/// Adds a key; `false` when another replica added that generation first.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, key: &StoredKey, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO signing_keys (kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(&key.kid)
        .bind(&key.alg)
        .bind(key.generation)
        .bind(&key.public_jwk)
        .bind(&key.sealed_jwk)
        .bind(now.0)
        .bind(key.signs_from)
        .execute(c)
        .await
        .map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}
