//! What programs created under a key of their own, so that a repeat gets the same answer.

use super::{Error, Tx, from_row, query};
use crate::time::Timestamp;

/// A request under a key, and the answer to it.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The client's row.
    pub client: String,
    /// Digest of the key.
    pub key_hash: String,
    /// Keyed hash of the request.
    pub request_hash: String,
    /// The answer, sealed.
    pub sealed_answer: String,
}

/// The earlier request under the same key.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Keyed hash of the request.
    pub request_hash: String,
    /// The answer, sealed.
    pub sealed_answer: String,
}
from_row!(Earlier { request_hash, sealed_answer } parsed {});

/// Claims a key for a request, in the transaction of its effect; what was there already, if anything was.
///
/// # Errors
/// When it cannot be written.
pub async fn claim(tx: &mut Tx, keyed: &Keyed, now: Timestamp) -> Result<Option<Earlier>, Error> {
    const CLAIM: &str = "INSERT INTO idempotency_keys (client, key_hash, request_hash, sealed_answer, created_at) \
                         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (client, key_hash) DO NOTHING";
    const EARLIER: &str =
        "SELECT request_hash, sealed_answer FROM idempotency_keys WHERE client = $1 AND key_hash = $2";
    let claimed = query(CLAIM)
        .bind(&keyed.client)
        .bind(&keyed.key_hash)
        .bind(&keyed.request_hash)
        .bind(&keyed.sealed_answer)
        .bind(now.0)
        .execute(tx)
        .await?;
    if claimed == 1 {
        return Ok(None);
    }
    let earlier = query(EARLIER).bind(&keyed.client).bind(&keyed.key_hash).fetch_one(tx).await?;
    Ok(Some(earlier))
}

/// Gives a key back: nothing came of the request that claimed it in this transaction.
///
/// # Errors
/// When it cannot be written.
pub async fn release(tx: &mut Tx, keyed: &Keyed) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM idempotency_keys WHERE client = $1 AND key_hash = $2";
    query(SQL).bind(&keyed.client).bind(&keyed.key_hash).execute(tx).await?;
    Ok(())
}

/// Forgets a batch of keys from before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM idempotency_keys WHERE (client, key_hash) IN \
                       (SELECT client, key_hash FROM idempotency_keys WHERE created_at <= $1 ORDER BY created_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
