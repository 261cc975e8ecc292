//! The outbox of logouts (R4): notes left by what ends something, and the deliveries that a job makes of them.
//!
//! The notes are written by the very functions of the store that end sessions and bump epochs, so that nothing can end
//! unnoted: an id says which ending it was, and an ending is noted once.

use super::{Conn, Error, Tx, from_row, on};
use crate::model::words;
use crate::time::Timestamp;

/// What ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A `sid`.
    Session,
    /// Everything of a user that is older than the user's epoch.
    User,
    /// Everything of a provider that is older than the provider's epoch.
    Provider,
    /// Everything of an issuer that is older than the issuer's epoch.
    Issuer,
}
words!(Ended { Session = "session", User = "user", Provider = "provider", Issuer = "issuer" });

/// A note.
#[derive(Clone, Debug)]
pub struct Note {
    /// Which ending.
    pub id: String,
    /// What ended.
    pub kind: Ended,
    /// Its `sid` or id.
    pub subject: String,
    /// The family up to which it was worked off.
    pub cursor: String,
}
from_row!(Note { id, subject, cursor } parsed { kind });

/// Notes that a user's epoch went up, in the transaction in which it did.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn note_user(tx: &mut Tx, user_id: &str) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO logout_notes (id, kind, subject, cursor) \
                       SELECT 'user ' || id || ' ' || CAST(epoch AS TEXT), 'user', id, '' FROM users WHERE id = $1 \
                       ON CONFLICT DO NOTHING";
    on!(tx, |c| sqlx::query(SQL).bind(user_id).execute(c).await.map(drop))?;
    Ok(())
}

/// Notes that a provider's epoch went up, in the transaction in which it did.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn note_provider(tx: &mut Tx, provider_id: &str) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO logout_notes (id, kind, subject, cursor) \
                       SELECT 'provider ' || id || ' ' || CAST(epoch AS TEXT), 'provider', id, '' FROM providers WHERE id = $1 \
                       ON CONFLICT DO NOTHING";
    on!(tx, |c| sqlx::query(SQL).bind(provider_id).execute(c).await.map(drop))?;
    Ok(())
}

/// Notes that an issuer's epoch went up, in the transaction in which it did.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn note_issuer(tx: &mut Tx, issuer_id: &str) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO logout_notes (id, kind, subject, cursor) \
                       SELECT 'issuer ' || id || ' ' || CAST(epoch AS TEXT), 'issuer', id, '' FROM issuers WHERE id = $1 \
                       ON CONFLICT DO NOTHING";
    on!(tx, |c| sqlx::query(SQL).bind(issuer_id).execute(c).await.map(drop))?;
    Ok(())
}

/// The oldest notes.
///
/// # Errors
/// When the database cannot be asked.
pub async fn notes(conn: &mut Conn, limit: i64) -> Result<Vec<Note>, Error> {
    const SQL: &str = "SELECT id, kind, subject, cursor FROM logout_notes ORDER BY id LIMIT $1";
    Ok(on!(conn, |c| sqlx::query_as(SQL).bind(limit).fetch_all(c).await)?)
}

/// A client that was signed in under a `sid`.
#[derive(Clone, Debug)]
pub struct Told {
    /// The family that says so.
    pub id: String,
    /// The client's row.
    pub client: String,
    /// The session as clients know it.
    pub sid: String,
    /// The user.
    pub user_id: String,
}
from_row!(Told { id, client, sid, user_id } parsed {});

/// The families that a note is about, from where it was worked off, in order. Holds the note: only one replica works it
/// off at a time; `None` when another has done with it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn families_of(tx: &mut Tx, note: &Note, limit: i64) -> Result<Option<Vec<Told>>, Error> {
    const OF_SESSION: &str =
        "SELECT id, client, sid, user_id FROM families WHERE sid = $1 AND id > $2 ORDER BY id LIMIT $3";
    const OF_USER: &str = "SELECT f.id, f.client, f.sid, f.user_id FROM families f JOIN users u ON u.id = f.user_id \
                           WHERE f.user_id = $1 AND f.user_epoch < u.epoch AND f.id > $2 ORDER BY f.id LIMIT $3";
    const OF_PROVIDER: &str = "SELECT f.id, f.client, f.sid, f.user_id FROM families f JOIN providers p ON p.id = f.provider_id \
                               WHERE f.provider_id = $1 AND f.provider_epoch < p.epoch AND f.id > $2 ORDER BY f.id LIMIT $3";
    const OF_ISSUER: &str = "SELECT f.id, f.client, f.sid, f.user_id FROM families f JOIN issuers i ON i.id = f.issuer_id \
                             WHERE f.issuer_id = $1 AND f.issuer_epoch < i.epoch AND f.id > $2 ORDER BY f.id LIMIT $3";
    let held: Option<(String,)> = on!(tx, "SELECT cursor FROM logout_notes WHERE id = $1" locking "FOR UPDATE", |sql, c| {
        sqlx::query_as(sql).bind(&note.id).fetch_optional(c).await
    })?;
    if held.is_none_or(|(cursor,)| cursor != note.cursor) {
        return Ok(None);
    }
    let sql = match note.kind {
        Ended::Session => OF_SESSION,
        Ended::User => OF_USER,
        Ended::Provider => OF_PROVIDER,
        Ended::Issuer => OF_ISSUER,
    };
    let found = on!(tx, |c| sqlx::query_as(sql).bind(&note.subject).bind(&note.cursor).bind(limit).fetch_all(c).await)?;
    Ok(Some(found))
}

/// Remembers how far a note was worked off; at its end (`None`) it goes.
///
/// # Errors
/// When it cannot be written.
pub async fn advance(tx: &mut Tx, note: &Note, cursor: Option<&str>) -> Result<(), Error> {
    const ADVANCE: &str = "UPDATE logout_notes SET cursor = $2 WHERE id = $1";
    const DONE: &str = "DELETE FROM logout_notes WHERE id = $1";
    if let Some(cursor) = cursor {
        on!(tx, |c| sqlx::query(ADVANCE).bind(&note.id).bind(cursor).execute(c).await.map(drop))?;
    } else {
        on!(tx, |c| sqlx::query(DONE).bind(&note.id).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// A client is to be told; once for each `sid`.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, told: &Told, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO logout_deliveries (client, sid, user_id, state, attempts, next_at, created_at) \
                       VALUES ($1, $2, $3, 'waiting', 0, $4, $4) ON CONFLICT (client, sid) DO NOTHING";
    on!(tx, |c| sqlx::query(SQL)
        .bind(&told.client)
        .bind(&told.sid)
        .bind(&told.user_id)
        .bind(now.0)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// A delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The client's row.
    pub client: String,
    /// The session as the client knows it.
    pub sid: String,
    /// The user.
    pub user_id: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// Since when it waits (Unix ms).
    pub created_at: i64,
}
from_row!(Delivery { client, sid, user_id, attempts, created_at } parsed {});

/// Deliveries that are due.
///
/// # Errors
/// When the database cannot be asked.
pub async fn due(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Delivery>, Error> {
    const SQL: &str = "SELECT client, sid, user_id, attempts, created_at FROM logout_deliveries \
                       WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at LIMIT $2";
    Ok(on!(conn, |c| sqlx::query_as(SQL).bind(now.0).bind(limit).fetch_all(c).await)?)
}

/// Takes a due delivery until `lease`; `None` when another replica has it.
///
/// # Errors
/// When it cannot be written.
pub async fn take(
    tx: &mut Tx,
    delivery: &Delivery,
    now: Timestamp,
    lease: Timestamp,
) -> Result<Option<Delivery>, Error> {
    const SQL: &str = "UPDATE logout_deliveries SET attempts = attempts + 1, next_at = $4 \
                       WHERE client = $1 AND sid = $2 AND state = 'waiting' AND next_at <= $3 \
                       RETURNING client, sid, user_id, attempts, created_at";
    Ok(on!(tx, |c| sqlx::query_as(SQL)
        .bind(&delivery.client)
        .bind(&delivery.sid)
        .bind(now.0)
        .bind(lease.0)
        .fetch_optional(c)
        .await)?)
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Attempted {
    /// The client knows.
    Delivered,
    /// Not this time: why, and when next.
    Again(String, Timestamp),
    /// Not any more: why.
    GivenUp(String),
}

/// Writes down how an attempt ended.
///
/// # Errors
/// When it cannot be written.
pub async fn settle(tx: &mut Tx, delivery: &Delivery, attempted: &Attempted, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE logout_deliveries SET state = $3, settled_at = $4, last_error = $5, next_at = $6 \
                       WHERE client = $1 AND sid = $2 AND state = 'waiting'";
    let (state, settled_at, error, next_at) = match attempted {
        Attempted::Delivered => ("delivered", Some(now.0), None, now),
        Attempted::Again(why, next) => ("waiting", None, Some(why), *next),
        Attempted::GivenUp(why) => ("given_up", Some(now.0), Some(why), now),
    };
    on!(tx, |c| sqlx::query(SQL)
        .bind(&delivery.client)
        .bind(&delivery.sid)
        .bind(state)
        .bind(settled_at)
        .bind(error)
        .bind(next_at.0)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// The clients that were signed in under a `sid`, as rows of `clients`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn clients_of(conn: &mut Conn, sid: &str) -> Result<Vec<crate::model::client::Client>, Error> {
    const SQL: &str = "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients c WHERE EXISTS \
                       (SELECT 1 FROM families f WHERE f.client = c.id AND f.sid = $1) ORDER BY client_id LIMIT 50";
    Ok(on!(conn, |c| sqlx::query_as(SQL).bind(sid).fetch_all(c).await)?)
}

/// Forgets a batch of deliveries that were settled before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM logout_deliveries WHERE (client, sid) IN \
                       (SELECT client, sid FROM logout_deliveries WHERE settled_at <= $1 ORDER BY settled_at LIMIT $2)";
    Ok(on!(tx, |c| sqlx::query(SQL).bind(before.0).bind(batch).execute(c).await.map(|d| d.rows_affected()))?)
}
