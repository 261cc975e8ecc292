//! Clients and their secrets.

use sqlx::Row as _;

use super::{Conn, Error, Tx, on};
use crate::model::client::Client;
use crate::time::Timestamp;

macro_rules! client_row {
    ($row:ty) => {
        impl<'r> sqlx::FromRow<'r, $row> for Client {
            fn from_row(row: &'r $row) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    id: row.try_get("id")?,
                    client_id: row.try_get("client_id")?,
                    metadata: serde_json::from_str(row.try_get("metadata")?)
                        .map_err(|error| sqlx::Error::Decode(error.into()))?,
                    enabled: row.try_get("enabled")?,
                    epoch: row.try_get("epoch")?,
                    revision: row.try_get("revision")?,
                    created_at: row.try_get("created_at")?,
                })
            }
        }
    };
}
client_row!(sqlx::sqlite::SqliteRow);
client_row!(sqlx::postgres::PgRow);

/// The client of exactly this `client_id`, switched on or off.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_client_id(conn: &mut Conn, client_id: &str) -> Result<Option<Client>, Error> {
    const SQL: &str =
        "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients WHERE client_id = $1";
    Ok(on!(conn, |c| sqlx::query_as(SQL).bind(client_id).fetch_optional(c).await)?)
}

/// The client of this row id, switched on or off.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<Client>, Error> {
    const SQL: &str = "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients WHERE id = $1";
    Ok(on!(conn, |c| sqlx::query_as(SQL).bind(id).fetch_optional(c).await)?)
}

/// The clients that are switched on, at most `limit`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn enabled(conn: &mut Conn, limit: i64) -> Result<Vec<Client>, Error> {
    const SQL: &str = "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients WHERE enabled \
                       ORDER BY client_id LIMIT $1";
    Ok(on!(conn, |c| sqlx::query_as(SQL).bind(limit).fetch_all(c).await)?)
}

/// Adds a client; `false` when its `client_id` is taken.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, client: &Client) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO clients (id, client_id, metadata, enabled, epoch, revision, created_at) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (client_id) DO NOTHING";
    let metadata = serde_json::to_string(&client.metadata).map_err(|error| Error::Damaged(error.to_string()))?;
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(&client.id)
        .bind(&client.client_id)
        .bind(&metadata)
        .bind(client.enabled)
        .bind(client.epoch)
        .bind(client.revision)
        .bind(client.created_at)
        .execute(c)
        .await
        .map(|d| d.rows_affected()))?;
    Ok(rows == 1)
}

/// The keyed hashes of a client's secrets that still work.
///
/// # Errors
/// When the database cannot be asked.
pub async fn secret_hashes(conn: &mut Conn, client: &str, now: Timestamp) -> Result<Vec<String>, Error> {
    const SQL: &str =
        "SELECT hash FROM client_secrets WHERE client = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY id";
    let rows: Vec<(String,)> = on!(conn, |c| sqlx::query_as(SQL).bind(client).bind(now.0).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|(hash,)| hash).collect())
}
