//! One-time links by which a person sets a password without having one.

use crate::model::user::Account;
use crate::store::{Conn, Error, Tx, query};
use crate::time::Timestamp;

/// Stores a link under its secret's digest; it stands for the account as it was read. One that is mailed works only
/// while the provider allows that.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(
    tx: &mut Tx,
    id: &str,
    secret_hash: &str,
    account: &Account,
    expires_at: Timestamp,
    mailed: bool,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO password_links (id, secret_hash, provider_id, user_id, user_epoch, password_version, expires_at, \
                       mailed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    query(SQL)
        .bind(id)
        .bind(secret_hash)
        .bind(&account.provider_id)
        .bind(&account.id)
        .bind(account.epoch)
        .bind(account.password_version)
        .bind(expires_at.0)
        .bind(mailed)
        .execute(tx)
        .await?;
    Ok(())
}

/// The user of a live link: nothing it rests on has changed, and the user and the provider are active.
///
/// # Errors
/// When the database cannot be asked.
pub async fn user_of(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT l.user_id FROM password_links l JOIN users u ON u.id = l.user_id \
                       JOIN providers p ON p.id = l.provider_id WHERE l.secret_hash = $1 AND l.expires_at > $2 \
                       AND u.epoch = l.user_epoch AND u.password_version = l.password_version AND u.active AND p.active \
                       AND (NOT l.mailed OR p.reset_by_mail)";
    let row: Option<(String,)> = query(SQL).bind(secret_hash).bind(now.0).fetch_optional(conn).await?;
    Ok(row.map(|(id,)| id))
}

/// Uses a link up; `false` when it was used already.
///
/// # Errors
/// When it cannot be written.
pub async fn remove(tx: &mut Tx, secret_hash: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM password_links WHERE secret_hash = $1";
    let rows = query(SQL).bind(secret_hash).execute(tx).await?;
    Ok(rows == 1)
}

/// Forgets every link of a user.
///
/// # Errors
/// When it cannot be written.
pub async fn remove_of(tx: &mut Tx, user_id: &str) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM password_links WHERE user_id = $1";
    query(SQL).bind(user_id).execute(tx).await?;
    Ok(())
}

/// Forgets a batch of links that are over; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, now: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM password_links WHERE id IN \
                       (SELECT id FROM password_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    query(SQL).bind(now.0).bind(batch).execute(tx).await
}
