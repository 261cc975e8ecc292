//! What users allowed clients: one row a user and client, whose scope grows until it is withdrawn.

use super::tokens::families::lives;
use super::{Conn, Error, Tx, from_row, locking, query};
use crate::model::client::Client;
use crate::time::Timestamp;

/// The scope that a user allowed a client, space-separated.
///
/// # Errors
/// When the database cannot be asked.
pub async fn scope(conn: &mut Conn, user_id: &str, client: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT scope FROM consents WHERE user_id = $1 AND client = $2";
    let row: Option<(String,)> = query(SQL).bind(user_id).bind(client).fetch_optional(conn).await?;
    Ok(row.map(|(scope,)| scope))
}

/// [`scope`], whose row is held: whoever withdraws it waits for the code that is being made, or comes before it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, user_id: &str, client: &str) -> Result<Option<String>, Error> {
    let row: Option<(String,)> =
        query(locking!("SELECT scope FROM consents WHERE user_id = $1 AND client = $2", "FOR SHARE"))
            .bind(user_id)
            .bind(client)
            .fetch_optional(tx)
            .await?;
    Ok(row.map(|(scope,)| scope))
}

/// Remembers that a user allowed a client this scope, in place of what was there.
///
/// # Errors
/// When it cannot be written.
pub async fn put(
    tx: &mut Tx,
    user_id: &str,
    provider_id: &str,
    client: &str,
    scope: &str,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO consents (user_id, provider_id, client, scope, created_at, updated_at) \
                       VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (user_id, client) DO UPDATE SET scope = $4, updated_at = $5";
    query(SQL).bind(user_id).bind(provider_id).bind(client).bind(scope).bind(now.0).execute(tx).await?;
    Ok(())
}

/// A consent as its user sees it.
#[derive(Clone, Debug)]
pub struct Given {
    /// The client's row.
    pub client: String,
    /// Its `client_id`.
    pub client_id: String,
    /// Its metadata, JSON.
    pub metadata: String,
    /// What was allowed, space-separated.
    pub scope: String,
    /// Since when (Unix ms).
    pub updated_at: i64,
}
from_row!(Given { client, client_id, metadata, scope, updated_at } parsed {});

/// Every consent of a user.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_user(conn: &mut Conn, user_id: &str) -> Result<Vec<Given>, Error> {
    const SQL: &str = "SELECT k.client, c.client_id, c.metadata, k.scope, k.updated_at FROM consents k \
                       JOIN clients c ON c.id = k.client WHERE k.user_id = $1 ORDER BY c.client_id LIMIT 200";
    query(SQL).bind(user_id).fetch_all(conn).await
}

/// The apps that have access to a user's data, at most 200: those which the user allowed something, and those that hold
/// tokens of the user.
///
/// # Errors
/// When the database cannot be asked.
pub async fn apps_with_access(conn: &mut Conn, user_id: &str, now: Timestamp) -> Result<Vec<Client>, Error> {
    const SQL: &str = concat!(
        "SELECT a.id, a.client_id, a.metadata, a.enabled, a.epoch, a.revision, a.created_at FROM clients a \
         WHERE a.enabled AND (a.id IN (SELECT k.client FROM consents k WHERE k.user_id = $2) OR a.id IN (SELECT f.client ",
        lives!("f.user_id"),
        ")) ORDER BY a.client_id LIMIT 200"
    );
    query(SQL).bind(now.0).bind(user_id).fetch_all(conn).await
}

/// Withdraws a consent; `false` when there was none.
///
/// # Errors
/// When it cannot be written.
pub async fn remove(tx: &mut Tx, user_id: &str, client: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM consents WHERE user_id = $1 AND client = $2";
    if !super::can_be_stored(client) {
        return Ok(false);
    }
    let rows = query(SQL).bind(user_id).bind(client).execute(tx).await?;
    Ok(rows == 1)
}
