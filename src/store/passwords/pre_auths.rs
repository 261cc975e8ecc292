//! A right temporary password on its way to the Update Password page: not a session, and good for nothing else (G10).

use crate::model::user::Account;
use crate::store::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// The stage between a right temporary password and a session.
#[derive(Clone, Debug)]
pub struct PreAuth {
    /// UUIDv7.
    pub id: String,
    /// The user's id.
    pub user_id: String,
    /// The user's epoch when the password was checked.
    pub user_epoch: i64,
    /// The provider's epoch when the password was checked.
    pub provider_epoch: i64,
    /// Which password was checked.
    pub password_version: i64,
    /// When it was checked (Unix ms).
    pub auth_time: i64,
}
from_row!(PreAuth { id, user_id, user_epoch, provider_epoch, password_version, auth_time } parsed {});

/// Stores the stage under its secret's digest.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(
    tx: &mut Tx,
    id: &str,
    secret_hash: &str,
    account: &Account,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO pre_auths (id, secret_hash, provider_id, user_id, user_epoch, provider_epoch, password_version, \
                       auth_time, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    query(SQL)
        .bind(id)
        .bind(secret_hash)
        .bind(&account.provider_id)
        .bind(&account.id)
        .bind(account.epoch)
        .bind(account.provider_epoch)
        .bind(account.password_version)
        .bind(now.0)
        .bind(expires_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// The stage behind a secret, while it lives and nothing it rests on has changed.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<PreAuth>, Error> {
    const SQL: &str = "SELECT a.id, a.user_id, a.user_epoch, a.provider_epoch, a.password_version, a.auth_time FROM pre_auths a \
                       JOIN users u ON u.id = a.user_id JOIN providers p ON p.id = a.provider_id \
                       WHERE a.secret_hash = $1 AND a.expires_at > $2 AND u.epoch = a.user_epoch AND p.epoch = a.provider_epoch \
                       AND u.password_version = a.password_version AND u.temporary_until IS NOT NULL";
    query(SQL).bind(secret_hash).bind(now.0).fetch_optional(conn).await
}

/// Ends the stage; `false` when it was over already.
///
/// # Errors
/// When it cannot be written.
pub async fn remove(tx: &mut Tx, secret_hash: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM pre_auths WHERE secret_hash = $1";
    let rows = query(SQL).bind(secret_hash).execute(tx).await?;
    Ok(rows == 1)
}

/// Forgets a batch of stages that are over; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, now: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM pre_auths WHERE id IN (SELECT id FROM pre_auths WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    query(SQL).bind(now.0).bind(batch).execute(tx).await
}
