//! What is known of users' e-mail addresses beside their claims, and the one-time links that prove them.

use crate::store::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// What is stored of a user's address.
#[derive(Clone, Debug)]
pub struct StoredEmail {
    /// OpenID Connect standard claims as one JSON object.
    pub claims: String,
    /// The address that an admin checked.
    pub email_checked: Option<String>,
    /// Since when the address stands as it does (Unix ms).
    pub email_at: Option<i64>,
}
from_row!(StoredEmail { claims, email_checked, email_at } parsed {});

/// What is stored of a user's address.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut Conn, user_id: &str) -> Result<Option<StoredEmail>, Error> {
    const SQL: &str = "SELECT claims, email_checked, email_at FROM users WHERE id = $1";
    query(SQL).bind(user_id).fetch_optional(conn).await
}

/// Writes since when a user's address stands as it does, and the address that an admin checked.
///
/// # Errors
/// When it cannot be written.
pub async fn put(tx: &mut Tx, user_id: &str, checked: Option<&str>, at: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET email_checked = $2, email_at = $3 WHERE id = $1";
    query(SQL).bind(user_id).bind(checked).bind(at.0).execute(tx).await?;
    Ok(())
}

/// Writes a user's claims as another revision of the user's data.
///
/// # Errors
/// When it cannot be written.
pub async fn put_claims(tx: &mut Tx, user_id: &str, claims: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET claims = $2, revision = revision + 1 WHERE id = $1";
    query(SQL).bind(user_id).bind(claims).execute(tx).await?;
    Ok(())
}

/// An admin with an address.
#[derive(Clone, Debug)]
pub struct AdminEmail {
    /// The user's id.
    pub user_id: String,
    /// The user's claims.
    pub claims: String,
}
from_row!(AdminEmail { user_id, claims } parsed {});

/// Up to `limit` admins of a provider who can sign in and may have a verified address.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_admins(conn: &mut Conn, provider_id: &str, limit: i64) -> Result<Vec<AdminEmail>, Error> {
    const SQL: &str = "SELECT id AS user_id, claims FROM users WHERE provider_id = $1 AND user_type <> 'Regular User' AND active \
                       AND NOT admin_locked AND claims LIKE '%\"email_verified\":true%' ORDER BY login_name_key LIMIT $2";
    query(SQL).bind(provider_id).bind(limit).fetch_all(conn).await
}

/// A link to be.
#[derive(Clone, Debug)]
pub struct NewEmailLink<'a> {
    /// UUIDv7.
    pub id: &'a str,
    /// The digest of its secret.
    pub secret_hash: &'a str,
    /// The user's provider.
    pub provider_id: &'a str,
    /// The user.
    pub user_id: &'a str,
    /// The address that it proves.
    pub address: &'a str,
    /// From then on it is void.
    pub expires_at: Timestamp,
}

/// Stores a link.
///
/// # Errors
/// When it cannot be written.
pub async fn insert_link(tx: &mut Tx, link: &NewEmailLink<'_>, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO email_links (id, secret_hash, provider_id, user_id, address, created_at, expires_at) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7)";
    query(SQL)
        .bind(link.id)
        .bind(link.secret_hash)
        .bind(link.provider_id)
        .bind(link.user_id)
        .bind(link.address)
        .bind(now.0)
        .bind(link.expires_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// A link whose time is not over, of an active user of an active provider.
#[derive(Clone, Debug)]
pub struct EmailLink {
    /// The user's id.
    pub user_id: String,
    /// The address that it proves.
    pub address: String,
    /// The user's claims: with another address in them the link is void.
    pub claims: String,
}
from_row!(EmailLink { user_id, address, claims } parsed {});

/// The link of this secret.
///
/// # Errors
/// When the database cannot be asked.
pub async fn link(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<EmailLink>, Error> {
    const SQL: &str = "SELECT l.user_id, l.address, u.claims FROM email_links l JOIN users u ON u.id = l.user_id \
                       JOIN providers p ON p.id = l.provider_id \
                       WHERE l.secret_hash = $1 AND l.expires_at > $2 AND u.active AND p.active";
    query(SQL).bind(secret_hash).bind(now.0).fetch_optional(conn).await
}

/// The address and the times (Unix ms) of a user's newest link: when it was made, until when it works.
///
/// # Errors
/// When the database cannot be asked.
pub async fn newest_link(conn: &mut Conn, user_id: &str, now: Timestamp) -> Result<Option<(String, i64, i64)>, Error> {
    const SQL: &str = "SELECT address, created_at, expires_at FROM email_links WHERE user_id = $1 AND expires_at > $2 \
                       ORDER BY created_at DESC, id DESC LIMIT 1";
    query(SQL).bind(user_id).bind(now.0).fetch_optional(conn).await
}

/// Forgets every link of a user; how many there were.
///
/// # Errors
/// When it cannot be written.
pub async fn remove_links(tx: &mut Tx, user_id: &str) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM email_links WHERE user_id = $1";
    query(SQL).bind(user_id).execute(tx).await
}

/// Forgets a batch of links that are over; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge_links(tx: &mut Tx, now: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM email_links WHERE id IN \
                       (SELECT id FROM email_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    query(SQL).bind(now.0).bind(batch).execute(tx).await
}
