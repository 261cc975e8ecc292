//! Authorization requests that wait for a person. Each is bound to the browser that first comes with its handle.

use super::{Conn, Error, FromRow, Row, Tx, query};
use crate::model::authorization::AuthorizationRequest;
use crate::time::Timestamp;

/// A waiting request.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// UUIDv7: sorts by when the request was made.
    pub id: String,
    /// Digest of the browser's secret, once one came.
    pub browser_hash: Option<String>,
    /// The client's row.
    pub client: String,
    /// What was asked.
    pub request: AuthorizationRequest,
    /// The user who allowed it on the consent page.
    pub consented_by: Option<String>,
    /// For whom it was begun: who was signed in.
    pub user_id: Option<String>,
    /// When its client had an answer: it is asked of nobody any more.
    pub answered_at: Option<i64>,
}

impl Interaction {
    /// Whether its client had an answer already, and nobody else than this user was asked.
    #[must_use]
    pub fn is_answered_for(&self, user_id: &str) -> bool {
        self.answered_at.is_some() && self.user_id.as_deref().is_none_or(|theirs| theirs == user_id)
    }
}

impl FromRow for Interaction {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            browser_hash: row.get("browser_hash")?,
            client: row.get("client")?,
            request: serde_json::from_str(&row.get::<String>("request")?)
                .map_err(|error| Error::Damaged(error.to_string()))?,
            consented_by: row.get("consented_by")?,
            user_id: row.get("user_id")?,
            answered_at: row.get("answered_at")?,
        })
    }
}

/// Remembers a request.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(
    tx: &mut Tx,
    interaction: &Interaction,
    handle_hash: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO interactions (id, handle_hash, browser_hash, client, request, consented_by, created_at, expires_at, user_id) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let request = serde_json::to_string(&interaction.request).map_err(|error| Error::Damaged(error.to_string()))?;
    query(SQL)
        .bind(&interaction.id)
        .bind(handle_hash)
        .bind(&interaction.browser_hash)
        .bind(&interaction.client)
        .bind(&request)
        .bind(&interaction.consented_by)
        .bind(now.0)
        .bind(expires_at.0)
        .bind(&interaction.user_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// The request behind a handle, while it lives.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut Conn, handle_hash: &str, now: Timestamp) -> Result<Option<Interaction>, Error> {
    const SQL: &str = "SELECT id, browser_hash, client, request, consented_by, user_id, answered_at FROM interactions WHERE handle_hash = $1 AND expires_at > $2";
    query(SQL).bind(handle_hash).bind(now.0).fetch_optional(conn).await
}

/// Binds a request to a browser; `false` when it belongs to another already.
///
/// # Errors
/// When it cannot be written.
pub async fn bind(tx: &mut Tx, id: &str, browser_hash: &str) -> Result<bool, Error> {
    const SQL: &str =
        "UPDATE interactions SET browser_hash = $2 WHERE id = $1 AND (browser_hash IS NULL OR browser_hash = $2)";
    let rows = query(SQL).bind(id).bind(browser_hash).execute(tx).await?;
    Ok(rows == 1)
}

/// Notes that a user allowed a request on the consent page.
///
/// # Errors
/// When it cannot be written.
pub async fn note_consent(tx: &mut Tx, id: &str, user_id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE interactions SET consented_by = $2 WHERE id = $1";
    query(SQL).bind(id).bind(user_id).execute(tx).await?;
    Ok(())
}

/// Lets a request that was answered, or is another's now, ask as if this user made it now: its id says when, so that
/// only a later sign-in is one for it.
///
/// # Errors
/// When it cannot be written.
pub async fn ask_again(tx: &mut Tx, id: &str, new_id: &str, user_id: &str) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE interactions SET id = $2, consented_by = NULL, answered_at = NULL, user_id = $3 WHERE id = $1";
    query(SQL).bind(id).bind(new_id).bind(user_id).execute(tx).await?;
    Ok(())
}

/// Notes that a request's client has its answer, and for whom, where somebody was signed in.
///
/// # Errors
/// When it cannot be written.
pub async fn note_answer(tx: &mut Tx, id: &str, user_id: Option<&str>, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE interactions SET answered_at = $2, user_id = COALESCE($3, user_id) WHERE id = $1";
    query(SQL).bind(id).bind(now.0).bind(user_id).execute(tx).await?;
    Ok(())
}

/// Forgets a batch of what is over, and of the oldest beyond `cap`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, now: Timestamp, cap: i64, batch: i64) -> Result<u64, Error> {
    const OVER: &str = "DELETE FROM interactions WHERE id IN \
                        (SELECT id FROM interactions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    const BEYOND: &str = "DELETE FROM interactions WHERE id IN \
                          (SELECT id FROM interactions ORDER BY id DESC LIMIT $2 OFFSET $1)";
    let over = query(OVER).bind(now.0).bind(batch).execute(tx).await?;
    let beyond = query(BEYOND).bind(cap).bind(batch).execute(tx).await?;
    Ok(over.max(beyond))
}
