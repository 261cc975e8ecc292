//! Our signing keys, their private halves sealed. A row is never removed; its private half is, once it is of no use.

use crate::model::signing_key::Dates;
use crate::store::{Conn, Error, Tx, locking, query};
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
    /// JWE of the private JWK; empty once that is of no more use.
    pub sealed_jwk: String,
    /// When it was made (Unix ms).
    pub created_at: i64,
    /// When it may sign from (Unix ms).
    pub signs_from: i64,
    /// Until when it verifies (Unix ms); open while no other key took its place.
    pub verifies_until: Option<i64>,
    /// When somebody took it back (Unix ms).
    pub retired_at: Option<i64>,
}
crate::store::from_row!(StoredKey {
    kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from, verifies_until, retired_at,
} parsed {});

impl StoredKey {
    /// What its state is read off.
    #[must_use]
    pub fn dates(&self) -> Dates {
        Dates {
            signs_from: Timestamp(self.signs_from),
            verifies_until: self.verifies_until.map(Timestamp),
            retired_at: self.retired_at.map(Timestamp),
        }
    }
}

/// Every key there ever was, by algorithm, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn) -> Result<Vec<StoredKey>, Error> {
    const SQL: &str = "SELECT kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from, verifies_until, \
                       retired_at FROM signing_keys ORDER BY alg, generation";
    query(SQL).fetch_all(conn).await
}

/// Every key that nobody took back and that verified something after an instant, by algorithm, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn known_since(conn: &mut Conn, since: Timestamp) -> Result<Vec<StoredKey>, Error> {
    const SQL: &str = "SELECT kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from, verifies_until, \
                       retired_at FROM signing_keys WHERE retired_at IS NULL \
                       AND (verifies_until IS NULL OR verifies_until > $1) ORDER BY alg, generation";
    query(SQL).bind(since.0).fetch_all(conn).await
}

/// All keys of one algorithm, oldest first, held until the transaction ends.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, alg: &str) -> Result<Vec<StoredKey>, Error> {
    const SQL: &str = "SELECT kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from, verifies_until, \
                       retired_at FROM signing_keys WHERE alg = $1 ORDER BY generation";
    let _: Vec<(String,)> =
        query(locking!("SELECT kid FROM signing_keys WHERE alg = $1 ORDER BY generation", "FOR UPDATE"))
            .bind(alg)
            .fetch_all(tx)
            .await?;
    // Asked after the locks are had, this sees what whoever had them before has written.
    query(SQL).bind(alg).fetch_all(tx).await
}

/// Adds a key; `false` when another replica added that generation first.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, key: &StoredKey) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO signing_keys (kid, alg, generation, public_jwk, sealed_jwk, created_at, signs_from) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let rows = query(SQL)
        .bind(&key.kid)
        .bind(&key.alg)
        .bind(key.generation)
        .bind(&key.public_jwk)
        .bind(&key.sealed_jwk)
        .bind(key.created_at)
        .bind(key.signs_from)
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// Lets a key that was announced sign from another instant on.
///
/// # Errors
/// When it cannot be written.
pub async fn sign_from(tx: &mut Tx, kid: &str, signs_from: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE signing_keys SET signs_from = $2 WHERE kid = $1";
    query(SQL).bind(kid).bind(signs_from.0).execute(tx).await?;
    Ok(())
}

/// Says until when a key verifies.
///
/// # Errors
/// When it cannot be written.
pub async fn verify_until(tx: &mut Tx, kid: &str, until: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE signing_keys SET verifies_until = $2 WHERE kid = $1";
    query(SQL).bind(kid).bind(until.0).execute(tx).await?;
    Ok(())
}

/// Takes a key back: its private half is forgotten.
///
/// # Errors
/// When it cannot be written.
pub async fn retire(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE signing_keys SET retired_at = $2, sealed_jwk = '' WHERE kid = $1";
    query(SQL).bind(kid).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Whether there are private halves of keys that verify no later than an instant.
///
/// # Errors
/// When the database cannot be asked.
pub async fn has_spent(conn: &mut Conn, until: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM signing_keys WHERE verifies_until <= $1 AND sealed_jwk <> ''";
    let (count,): (i64,) = query(SQL).bind(until.0).fetch_one(conn).await?;
    Ok(count > 0)
}

/// Forgets the private halves of keys that verify no later than an instant.
///
/// # Errors
/// When it cannot be written.
pub async fn forget_spent(tx: &mut Tx, until: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "UPDATE signing_keys SET sealed_jwk = '' WHERE verifies_until <= $1 AND sealed_jwk <> ''";
    query(SQL).bind(until.0).execute(tx).await
}

/// Puts another seal in place of one; `false` when it is not that one any more.
///
/// # Errors
/// When it cannot be written.
pub async fn reseal(tx: &mut Tx, kid: &str, old: &str, new: &str) -> Result<bool, Error> {
    const SQL: &str = "UPDATE signing_keys SET sealed_jwk = $3 WHERE kid = $1 AND sealed_jwk = $2";
    let rows = query(SQL).bind(kid).bind(old).bind(new).execute(tx).await?;
    Ok(rows == 1)
}
