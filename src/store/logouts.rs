//! The outbox of logouts (R4): notes left by what ends something, and the deliveries that a job makes of them.
//!
//! The notes are written by the very functions of the store that end sessions and bump epochs, so that nothing can end
//! unnoted: an id says which ending it was, and an ending is noted once.

use super::{Conn, Error, Tx, from_row, locking, query};
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

/// How often a note of an epoch goes through. Who was signed in while the epoch went up may have become so a moment
/// later, under the old one: dead on arrival (G9), but to be told.
const PASSES: i64 = 2;

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
    /// How often it has yet to go through.
    pub passes: i64,
}
from_row!(Note { id, subject, cursor, passes } parsed { kind });

/// Notes that an epoch of `$table` went up.
macro_rules! note_epoch {
    ($tx:expr, $kind:literal, $table:literal, $id:expr) => {{
        const SQL: &str = concat!(
            "INSERT INTO logout_notes (id, kind, subject, cursor, passes, due_at) SELECT '",
            $kind,
            " ' || id || ' ' || CAST(epoch AS TEXT), '",
            $kind,
            "', id, '', $2, 0 FROM ",
            $table,
            " WHERE id = $1 ON CONFLICT DO NOTHING"
        );
        query(SQL).bind($id).bind(PASSES).execute($tx).await?;
        Ok(())
    }};
}

/// Notes that a user's epoch went up, in the transaction in which it did.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn note_user(tx: &mut Tx, user_id: &str) -> Result<(), Error> {
    note_epoch!(tx, "user", "users", user_id)
}

/// Notes that a provider's epoch went up, in the transaction in which it did.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn note_provider(tx: &mut Tx, provider_id: &str) -> Result<(), Error> {
    note_epoch!(tx, "provider", "providers", provider_id)
}

/// Notes that an issuer's epoch went up, in the transaction in which it did.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn note_issuer(tx: &mut Tx, issuer_id: &str) -> Result<(), Error> {
    note_epoch!(tx, "issuer", "issuers", issuer_id)
}

/// Whether a note or a delivery is due.
///
/// # Errors
/// When the database cannot be asked.
pub async fn has_work(conn: &mut Conn, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "SELECT CAST(1 AS BIGINT) WHERE EXISTS (SELECT 1 FROM logout_notes WHERE due_at <= $1) \
                       OR EXISTS (SELECT 1 FROM logout_deliveries WHERE state = 'waiting' AND next_at <= $1)";
    let row: Option<(i64,)> = query(SQL).bind(now.0).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// The notes that are due, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn notes(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Note>, Error> {
    const SQL: &str =
        "SELECT id, kind, subject, cursor, passes FROM logout_notes WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    query(SQL).bind(now.0).bind(limit).fetch_all(conn).await
}

/// Takes a note until the transaction ends; `false` when another replica has it, or has worked on it since it was read.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, note: &Note) -> Result<bool, Error> {
    let held: Option<(String, i64)> =
        query(locking!("SELECT cursor, passes FROM logout_notes WHERE id = $1", "FOR UPDATE SKIP LOCKED"))
            .bind(&note.id)
            .fetch_optional(tx)
            .await?;
    Ok(held.is_some_and(|(cursor, passes)| cursor == note.cursor && passes == note.passes))
}

/// A statement over the families that a note of a kind is about; `$1` is the note's subject, `$2` its cursor.
macro_rules! over_families {
    ($kind:expr, $before:literal, $after:literal) => {
        match $kind {
            Ended::Session => concat!($before, " FROM families f WHERE f.sid = $1 AND f.id > $2 ", $after),
            Ended::User => concat!(
                $before,
                " FROM families f JOIN users x ON x.id = f.user_id \
                 WHERE f.user_id = $1 AND f.user_epoch < x.epoch AND f.id > $2 ",
                $after
            ),
            Ended::Provider => concat!(
                $before,
                " FROM families f JOIN providers x ON x.id = f.provider_id \
                 WHERE f.provider_id = $1 AND f.provider_epoch < x.epoch AND f.id > $2 ",
                $after
            ),
            Ended::Issuer => concat!(
                $before,
                " FROM families f JOIN issuers x ON x.id = f.issuer_id \
                 WHERE f.issuer_id = $1 AND f.issuer_epoch < x.epoch AND f.id > $2 ",
                $after
            ),
        }
    };
}

/// The next families that a note is about, in order: each with its client's row.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(conn: &mut Conn, note: &Note, limit: i64) -> Result<Vec<(String, String)>, Error> {
    let sql: &'static str = over_families!(note.kind, "SELECT f.id, f.client", "ORDER BY f.id LIMIT $3");
    query(sql).bind(&note.subject).bind(&note.cursor).bind(limit).fetch_all(conn).await
}

/// A client is to be told of a note, once for each `sid` of its families up to `last`.
///
/// # Errors
/// When it cannot be written.
pub async fn tell(tx: &mut Tx, note: &Note, client: &str, last: &str, now: Timestamp) -> Result<(), Error> {
    let sql: &'static str = over_families!(
        note.kind,
        "INSERT INTO logout_deliveries (client, sid, user_id, state, attempts, next_at, created_at) \
         SELECT DISTINCT f.client, f.sid, f.user_id, 'waiting', 0, $5, $5",
        "AND f.id <= $4 AND f.client = $3 ON CONFLICT (client, sid) DO NOTHING"
    );
    query(sql).bind(&note.subject).bind(&note.cursor).bind(client).bind(last).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Remembers up to which family a note was worked off.
///
/// # Errors
/// When it cannot be written.
pub async fn advance(tx: &mut Tx, note: &Note, cursor: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE logout_notes SET cursor = $2 WHERE id = $1";
    query(SQL).bind(&note.id).bind(cursor).execute(tx).await?;
    Ok(())
}

/// A note went through: it goes, or waits for its next pass at `again_at`.
///
/// # Errors
/// When it cannot be written.
pub async fn mark_done(tx: &mut Tx, note: &Note, again_at: Timestamp) -> Result<(), Error> {
    const AGAIN: &str = "UPDATE logout_notes SET cursor = '', passes = passes - 1, due_at = $2 WHERE id = $1";
    const DONE: &str = "DELETE FROM logout_notes WHERE id = $1";
    if note.passes > 1 {
        query(AGAIN).bind(&note.id).bind(again_at.0).execute(tx).await?;
    } else {
        query(DONE).bind(&note.id).execute(tx).await?;
    }
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

/// The clients, by row, that have a delivery due.
///
/// # Errors
/// When the database cannot be asked.
pub async fn due_clients(conn: &mut Conn, now: Timestamp) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT c.id FROM clients c WHERE EXISTS (SELECT 1 FROM logout_deliveries d \
                       WHERE d.client = c.id AND d.state = 'waiting' AND d.next_at <= $1)";
    let rows: Vec<(String,)> = query(SQL).bind(now.0).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Takes some due deliveries of a client until `lease`: nobody else has them meanwhile.
///
/// # Errors
/// When it cannot be written.
pub async fn take(
    tx: &mut Tx,
    client: &str,
    now: Timestamp,
    lease: Timestamp,
    limit: i64,
) -> Result<Vec<Delivery>, Error> {
    const SQL: &str = "UPDATE logout_deliveries SET attempts = attempts + 1, next_at = $3 \
                       WHERE client = $1 AND state = 'waiting' AND next_at <= $2 AND sid IN (SELECT sid FROM logout_deliveries \
                       WHERE client = $1 AND state = 'waiting' AND next_at <= $2 ORDER BY next_at LIMIT $4) \
                       RETURNING client, sid, user_id, attempts, created_at";
    query(SQL).bind(client).bind(now.0).bind(lease.0).bind(limit).fetch_all(tx).await
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

/// Writes down how an attempt ended, unless it took so long that another was made meanwhile.
///
/// # Errors
/// When it cannot be written.
pub async fn settle(tx: &mut Tx, delivery: &Delivery, attempted: &Attempted, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE logout_deliveries SET state = $3, settled_at = $4, last_error = $5, next_at = $6 \
                       WHERE client = $1 AND sid = $2 AND state = 'waiting' AND attempts = $7";
    let (state, settled_at, error, next_at) = match attempted {
        Attempted::Delivered => ("delivered", Some(now.0), None, now),
        Attempted::Again(why, next) => ("waiting", None, Some(why), *next),
        Attempted::GivenUp(why) => ("given_up", Some(now.0), Some(why), now),
    };
    query(SQL)
        .bind(&delivery.client)
        .bind(&delivery.sid)
        .bind(state)
        .bind(settled_at)
        .bind(error)
        .bind(next_at.0)
        .bind(delivery.attempts)
        .execute(tx)
        .await?;
    Ok(())
}

/// The clients that were signed in under a `sid` and are not switched off.
///
/// # Errors
/// When the database cannot be asked.
pub async fn clients_of(conn: &mut Conn, sid: &str) -> Result<Vec<crate::model::client::Client>, Error> {
    const SQL: &str = "SELECT id, client_id, metadata, enabled, epoch, revision, created_at FROM clients c WHERE c.enabled AND EXISTS \
                       (SELECT 1 FROM families f WHERE f.client = c.id AND f.sid = $1) ORDER BY client_id LIMIT 50";
    query(SQL).bind(sid).fetch_all(conn).await
}

/// Forgets a batch of deliveries that were settled before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM logout_deliveries WHERE (client, sid) IN \
                       (SELECT client, sid FROM logout_deliveries WHERE settled_at <= $1 ORDER BY settled_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
