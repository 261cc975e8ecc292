//! One-time links by which a person sets a password without having one.

use crate::model::user::Account;
use crate::store::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// How a link comes to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier<'a> {
    /// An operator hands it over.
    Hand,
    /// Mailed to this address because somebody forgot a password; it works only while the provider allows that.
    Mail(&'a str),
    /// Mailed to this address by an admin, for the first password.
    Invitation(&'a str),
}

/// Stores a link under its secret's digest; it stands for the account as it was read.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(
    tx: &mut Tx,
    id: &str,
    secret_hash: &str,
    account: &Account,
    expires_at: Timestamp,
    carrier: Carrier<'_>,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO password_links (id, secret_hash, provider_id, user_id, user_epoch, password_version, expires_at, \
                       mailed, email) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let email = match carrier {
        Carrier::Hand => None,
        Carrier::Mail(email) | Carrier::Invitation(email) => Some(email),
    };
    query(SQL)
        .bind(id)
        .bind(secret_hash)
        .bind(&account.provider_id)
        .bind(&account.id)
        .bind(account.epoch)
        .bind(account.password_version)
        .bind(expires_at.0)
        .bind(matches!(carrier, Carrier::Mail(_)))
        .bind(email)
        .execute(tx)
        .await?;
    Ok(())
}

/// A link on which all but the address is as it was, and whose user and provider are active.
#[derive(Clone, Debug)]
pub struct PasswordLink {
    /// The user's id.
    pub user_id: String,
    /// The address that it was mailed to.
    pub email: Option<String>,
    /// It was mailed because somebody forgot a password.
    pub mailed: bool,
    /// The user's claims: with another address in them a mailed link is void.
    pub claims: String,
}
from_row!(PasswordLink { user_id, email, mailed, claims } parsed {});

/// The link of this secret.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<PasswordLink>, Error> {
    const SQL: &str = "SELECT l.user_id, l.email, l.mailed, u.claims FROM password_links l JOIN users u ON u.id = l.user_id \
                       JOIN providers p ON p.id = l.provider_id WHERE l.secret_hash = $1 AND l.expires_at > $2 \
                       AND u.epoch = l.user_epoch AND u.password_version = l.password_version AND u.active AND p.active \
                       AND (NOT l.mailed OR p.reset_by_mail)";
    query(SQL).bind(secret_hash).bind(now.0).fetch_optional(conn).await
}

/// The address of a user's newest invitation that has not ended, and until when its link works (Unix ms).
///
/// # Errors
/// When the database cannot be asked.
pub async fn invitation(conn: &mut Conn, user_id: &str, now: Timestamp) -> Result<Option<(String, i64)>, Error> {
    const SQL: &str = "SELECT l.email, l.expires_at FROM password_links l JOIN users u ON u.id = l.user_id \
                       WHERE l.user_id = $1 AND l.expires_at > $2 AND l.email IS NOT NULL AND NOT l.mailed \
                       AND u.epoch = l.user_epoch AND u.password_version = l.password_version AND u.active \
                       ORDER BY l.expires_at DESC LIMIT 1";
    query(SQL).bind(user_id).bind(now.0).fetch_optional(conn).await
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
