//! Clients and their secrets.

use super::{Conn, Error, FromRow, Row, Tx, locking, query};
use crate::model::client::{Client, Metadata};
use crate::time::Timestamp;

impl FromRow for Client {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            client_id: row.get("client_id")?,
            metadata: serde_json::from_str(&row.get::<String>("metadata")?)
                .map_err(|error| Error::Damaged(error.to_string()))?,
            enabled: row.get("enabled")?,
            epoch: row.get("epoch")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// The client of exactly this `client_id`, switched on or off.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_client_id(conn: &mut Conn, client_id: &str) -> Result<Option<Client>, Error> {
    const SQL: &str =
        "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients WHERE client_id = $1";
    if !super::can_be_stored(client_id) {
        return Ok(None);
    }
    query(SQL).bind(client_id).fetch_optional(conn).await
}

/// Whether any client registered an algorithm for what we sign for it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn wants_signed_with(conn: &mut Conn, alg: &str) -> Result<bool, Error> {
    // Metadata are written by us, in one spelling.
    const SQL: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM clients WHERE metadata LIKE $1";
    let pattern = format!("%_signed_response_alg\":\"{alg}\"%");
    let (count,): (i64,) = query(SQL).bind(&pattern).fetch_one(conn).await?;
    Ok(count > 0)
}

/// How many clients that are switched on get ID tokens that are signed with an algorithm.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_signed_with(conn: &mut Conn, alg: &str) -> Result<i64, Error> {
    // Metadata are written by us, in one spelling.
    const SQL: &str = "SELECT COUNT(*) FROM clients WHERE enabled AND metadata LIKE $1";
    let pattern = format!("%\"id_token_signed_response_alg\":\"{alg}\"%");
    let (count,): (i64,) = query(SQL).bind(&pattern).fetch_one(conn).await?;
    Ok(count)
}

/// The client of this row id, switched on or off.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<Client>, Error> {
    const SQL: &str = "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients WHERE id = $1";
    query(SQL).bind(id).fetch_optional(conn).await
}

/// A client, and whether a user allowed it something.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The client.
    pub client: Client,
    /// Whether the user allowed it something.
    pub is_allowed: bool,
}

impl FromRow for Allowed {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { client: Client::from_row(row)?, is_allowed: row.get("is_allowed")? })
    }
}

/// The clients that are switched on, at most `limit`, each with whether a user allowed it something.
///
/// # Errors
/// When the database cannot be asked.
pub async fn enabled(conn: &mut Conn, user_id: &str, limit: i64) -> Result<Vec<Allowed>, Error> {
    const SQL: &str = "SELECT c.id, c.client_id, c.metadata, c.enabled, c.epoch, c.revision, c.created_at, \
                       EXISTS (SELECT 1 FROM consents k WHERE k.user_id = $1 AND k.client = c.id) AS is_allowed \
                       FROM clients c WHERE c.enabled ORDER BY c.client_id LIMIT $2";
    query(SQL).bind(user_id).bind(limit).fetch_all(conn).await
}

/// Clients by `client_id`, from the one after `after` on.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn, after: &str, limit: i64) -> Result<Vec<Client>, Error> {
    const SQL: &str = "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients \
                       WHERE client_id > $1 ORDER BY client_id LIMIT $2";
    query(SQL).bind(after).bind(limit).fetch_all(conn).await
}

/// The client of exactly this `client_id`, its row held until the transaction ends.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, client_id: &str) -> Result<Option<Client>, Error> {
    query(locking!(
        "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients \
         WHERE client_id = $1",
        "FOR NO KEY UPDATE"
    ))
    .bind(client_id)
    .fetch_optional(tx)
    .await
}

/// Adds a client; `false` when its `client_id` is taken.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, client: &Client) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO clients (id, client_id, metadata, enabled, epoch, revision, created_at) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (client_id) DO NOTHING";
    let metadata = serde_json::to_string(&client.metadata).map_err(|error| Error::Damaged(error.to_string()))?;
    let rows = query(SQL)
        .bind(&client.id)
        .bind(&client.client_id)
        .bind(&metadata)
        .bind(client.enabled)
        .bind(client.epoch)
        .bind(client.revision)
        .bind(client.created_at)
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// Writes a client's metadata, and a new revision.
///
/// # Errors
/// When it cannot be written.
pub async fn update(tx: &mut Tx, id: &str, metadata: &Metadata) -> Result<(), Error> {
    const SQL: &str = "UPDATE clients SET metadata = $2, revision = revision + 1 WHERE id = $1";
    let metadata = serde_json::to_string(metadata).map_err(|error| Error::Damaged(error.to_string()))?;
    query(SQL).bind(id).bind(&metadata).execute(tx).await?;
    Ok(())
}

/// Switches a client on or off; `false` when it was so already. Off, everything that it was given is dead (G9).
///
/// # Errors
/// When it cannot be written.
pub async fn set_enabled(tx: &mut Tx, id: &str, enabled: bool) -> Result<bool, Error> {
    const SQL: &str = "UPDATE clients SET enabled = $2, revision = revision + 1, \
                       epoch = epoch + CASE WHEN $2 THEN 0 ELSE 1 END WHERE id = $1 AND enabled <> $2";
    let rows = query(SQL).bind(id).bind(enabled).execute(tx).await?;
    Ok(rows == 1)
}

/// Removes a client and everything that is its.
///
/// # Errors
/// When it cannot be written.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM clients WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    Ok(())
}

/// A client's secret as stored, without the secret.
#[derive(Clone, Debug)]
pub struct StoredSecret {
    /// UUIDv7: later ones are greater.
    pub id: String,
    /// The keyed hash.
    pub hash: String,
    /// Since when it works (Unix ms).
    pub created_at: i64,
    /// Until when; absent: until it is replaced.
    pub expires_at: Option<i64>,
}
super::from_row!(StoredSecret { id, hash, created_at, expires_at } parsed {});

/// As many secrets of a client are remembered, those that ended included: an ended one never comes back unnoticed.
const REMEMBERED: i64 = 20;

/// Every secret of a client that is remembered, also those that ended, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn secrets(conn: &mut Conn, client: &str) -> Result<Vec<StoredSecret>, Error> {
    const SQL: &str =
        "SELECT id, hash, created_at, expires_at FROM client_secrets WHERE client = $1 ORDER BY created_at, id";
    query(SQL).bind(client).fetch_all(conn).await
}

/// Adds a secret that works until it is replaced; the oldest beyond `REMEMBERED` are forgotten.
///
/// # Errors
/// When it cannot be written.
pub async fn add_secret(tx: &mut Tx, id: &str, client: &str, hash: &str, now: Timestamp) -> Result<(), Error> {
    const ADD: &str = "INSERT INTO client_secrets (id, client, hash, created_at) VALUES ($1, $2, $3, $4)";
    const FORGET: &str = "DELETE FROM client_secrets WHERE client = $1 AND id NOT IN \
                          (SELECT id FROM client_secrets WHERE client = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
    query(ADD).bind(id).bind(client).bind(hash).bind(now.0).execute(tx).await?;
    query(FORGET).bind(client).bind(REMEMBERED).execute(tx).await?;
    Ok(())
}

/// When secrets end that work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretsEnd {
    /// At once: for every replica, whatever its clock says, and for a request that came before.
    AtOnce,
    /// No later than this.
    At(Timestamp),
}

/// Lets a client's secrets work no longer; how many that ends sooner.
///
/// # Errors
/// When it cannot be written.
pub async fn end_secrets(tx: &mut Tx, client: &str, end: SecretsEnd, now: Timestamp) -> Result<u64, Error> {
    const SQL: &str =
        "UPDATE client_secrets SET expires_at = $2 WHERE client = $1 AND (expires_at IS NULL OR expires_at > $3)";
    let (at, later) = match end {
        SecretsEnd::AtOnce => (Timestamp(0), now),
        SecretsEnd::At(at) => (at, at),
    };
    query(SQL).bind(client).bind(at.0).bind(later.0).execute(tx).await
}

/// The client of exactly this `client_id`, switched on or off, with its secrets that still work.
///
/// # Errors
/// When the database cannot be asked.
pub async fn with_secrets(
    conn: &mut Conn,
    client_id: &str,
    now: Timestamp,
) -> Result<Option<(Client, Vec<WorkingSecret>)>, Error> {
    const SQL: &str = "SELECT c.id, c.client_id, c.metadata, c.enabled, c.epoch, c.revision, c.created_at, \
                       s.id AS secret, s.hash, s.expires_at FROM clients c \
                       LEFT JOIN client_secrets s ON s.client = c.id AND (s.expires_at IS NULL OR s.expires_at > $2) \
                       WHERE c.client_id = $1";
    if !super::can_be_stored(client_id) {
        return Ok(None);
    }
    let rows: Vec<WithSecret> = query(SQL).bind(client_id).bind(now.0).fetch_all(conn).await?;
    let mut rows = rows.into_iter();
    let Some(first) = rows.next() else {
        return Ok(None);
    };
    let secrets = first.secret.into_iter().chain(rows.filter_map(|row| row.secret)).collect();
    Ok(Some((first.client, secrets)))
}

/// A secret that works, without the secret.
#[derive(Clone, Debug)]
pub struct WorkingSecret {
    /// Its row.
    pub id: String,
    /// The keyed hash.
    pub hash: String,
    /// Until when it works (Unix ms); absent: until it is replaced.
    pub expires_at: Option<i64>,
}

impl WorkingSecret {
    /// Whether it works at an instant.
    #[must_use]
    pub fn works(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now.0)
    }
}

struct WithSecret {
    client: Client,
    secret: Option<WorkingSecret>,
}

impl FromRow for WithSecret {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let (id, hash): (Option<String>, Option<String>) = (row.get("secret")?, row.get("hash")?);
        let expires_at = row.get("expires_at")?;
        let secret = id.zip(hash).map(|(id, hash)| WorkingSecret { id, hash, expires_at });
        Ok(Self { client: Client::from_row(row)?, secret })
    }
}

/// The keyed hashes of a client's secrets that still work.
///
/// # Errors
/// When the database cannot be asked.
pub async fn secret_hashes(conn: &mut Conn, client: &str, now: Timestamp) -> Result<Vec<String>, Error> {
    const SQL: &str =
        "SELECT hash FROM client_secrets WHERE client = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY id";
    let rows: Vec<(String,)> = query(SQL).bind(client).bind(now.0).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(hash,)| hash).collect())
}

/// What a client was given and would lose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// Users who consented to it.
    pub consents: i64,
    /// Sign-ins at it whose tokens may still be good.
    pub families: i64,
}
super::from_row!(Holdings { consents, families } parsed {});

/// What ends with a client.
///
/// # Errors
/// When the database cannot be asked.
pub async fn holdings(conn: &mut Conn, client: &str, now: Timestamp) -> Result<Holdings, Error> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM consents WHERE client = $1) AS consents, \
                       (SELECT COUNT(*) FROM families WHERE client = $1 AND revoked_at IS NULL AND expires_at > $2) AS families";
    query(SQL).bind(client).bind(now.0).fetch_one(conn).await
}
