//! User Activity: inserted and read, never changed or removed (A3).

use super::{Conn, Error, Tx, from_row, on};
use crate::model::event::Event;
use crate::model::tenant::ProviderScope;
use crate::time::Timestamp;

/// Sorts after every id, in every collation.
const AFTER_ALL: &str = "zzzzzzzz";

/// A record as stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// UUIDv7; sorts by time.
    pub id: String,
    /// When (Unix ms).
    pub at: i64,
    /// The provider's code, where one was named or known.
    pub provider_code: Option<String>,
    /// The user's id.
    pub user_id: Option<String>,
    /// The Login Name.
    pub login_name: Option<String>,
    /// A keyed hash of a name that is nobody's.
    pub name_hash: Option<String>,
    /// Who did it.
    pub actor: String,
    /// What.
    pub kind: crate::model::event::Kind,
    /// `Direct Login` or `Unified Login`.
    pub login_type: Option<String>,
    /// What stands beneath.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: crate::model::event::Outcome,
    /// The true reason.
    pub reason: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// With which browser.
    pub browser: Option<String>,
    /// The reference number.
    pub reference: String,
    /// The session it made or ended.
    pub session_id: Option<String>,
    /// The handoff it settles.
    pub handoff_id: Option<String>,
}
from_row!(Record {
    id, at, provider_code, user_id, login_name, name_hash, actor, login_type, note, reason, address, browser,
    reference, session_id, handoff_id,
} parsed { kind, outcome });

/// Writes a record, in the transaction of what it records (G17).
///
/// # Errors
/// When it cannot be written: then what it records did not happen either.
pub async fn record(tx: &mut Tx, event: &Event) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO activity (id, at, provider_id, provider_code, user_id, login_name, name_hash, actor, kind, \
                       login_type, note, outcome, reason, address, browser, reference, session_id, handoff_id) \
                       VALUES ($1, $2, COALESCE($3, (SELECT id FROM providers WHERE code = $19)), \
                       COALESCE($4, (SELECT code FROM providers WHERE code = $19)), \
                       $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    let e = event;
    on!(tx, |c| sqlx::query(SQL)
        .bind(&e.id)
        .bind(e.at.0)
        .bind(&e.provider_id)
        .bind(&e.provider_code)
        .bind(&e.user_id)
        .bind(&e.login_name)
        .bind(&e.name_hash)
        .bind(&e.actor)
        .bind(e.kind.as_str())
        .bind(e.method.map(crate::model::session::Method::login_type))
        .bind(&e.note)
        .bind(e.outcome.as_str())
        .bind(&e.reason)
        .bind(&e.visitor.address)
        .bind(&e.visitor.browser)
        .bind(&e.visitor.reference)
        .bind(&e.session_id)
        .bind(&e.handoff_id)
        .bind(&e.maybe_provider_code)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Whether a record with this reference number was written since: looks at the newest records alone.
///
/// # Errors
/// When the database cannot be asked.
pub async fn was_recorded(conn: &mut Conn, reference: &str, since: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "SELECT id FROM activity WHERE id >= $1 AND reference = $2 LIMIT 1";
    let row: Option<(String,)> =
        on!(conn, |c| sqlx::query_as(SQL).bind(since.first_id()).bind(reference).fetch_optional(c).await)?;
    Ok(row.is_some())
}

/// What to read: every field that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this provider.
    pub provider_id: Option<String>,
    /// Of this user.
    pub user_id: Option<String>,
    /// At or after (Unix ms).
    pub since: Option<i64>,
    /// Before (Unix ms).
    pub until: Option<i64>,
    /// Of this kind.
    pub kind: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
}

/// A page of records older than the record `before`, newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(conn: &mut Conn, filter: &Filter, before: Option<&str>, limit: i64) -> Result<Vec<Record>, Error> {
    const SQL: &str = "SELECT id, at, provider_code, user_id, login_name, name_hash, actor, kind, login_type, \
         note, outcome, reason, address, browser, reference, session_id, handoff_id FROM activity WHERE (provider_id = $1 OR $1 IS NULL) AND (user_id = $2 OR $2 IS NULL) \
                       AND (at >= $3 OR $3 IS NULL) AND (at < $4 OR $4 IS NULL) AND (kind = $5 OR $5 IS NULL) \
                       AND (outcome = $6 OR $6 IS NULL) AND id < $7 ORDER BY id DESC LIMIT $8";
    let f = filter;
    Ok(on!(conn, |c| sqlx::query_as(SQL)
        .bind(&f.provider_id)
        .bind(&f.user_id)
        .bind(f.since)
        .bind(f.until)
        .bind(&f.kind)
        .bind(&f.outcome)
        .bind(before.unwrap_or(AFTER_ALL))
        .bind(limit)
        .fetch_all(c)
        .await)?)
}

/// A page of one user's records older than `before`, newest first: the page a user sees, on its index.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_user(conn: &mut Conn, user_id: &str, before: Option<&str>, limit: i64) -> Result<Vec<Record>, Error> {
    const SQL: &str = "SELECT id, at, provider_code, user_id, login_name, name_hash, actor, kind, login_type, \
         note, outcome, reason, address, browser, reference, session_id, handoff_id FROM activity WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    Ok(on!(conn, |c| sqlx::query_as(SQL)
        .bind(user_id)
        .bind(before.unwrap_or(AFTER_ALL))
        .bind(limit)
        .fetch_all(c)
        .await)?)
}

/// A page of records newer than the record `after`, oldest first: for exports.
///
/// # Errors
/// When the database cannot be asked.
pub async fn forward(conn: &mut Conn, filter: &Filter, after: &str, limit: i64) -> Result<Vec<Record>, Error> {
    const SQL: &str = "SELECT id, at, provider_code, user_id, login_name, name_hash, actor, kind, login_type, \
         note, outcome, reason, address, browser, reference, session_id, handoff_id FROM activity WHERE (provider_id = $1 OR $1 IS NULL) AND (user_id = $2 OR $2 IS NULL) \
                       AND (at >= $3 OR $3 IS NULL) AND (at < $4 OR $4 IS NULL) AND (kind = $5 OR $5 IS NULL) \
                       AND (outcome = $6 OR $6 IS NULL) AND id > $7 ORDER BY id LIMIT $8";
    let f = filter;
    Ok(on!(conn, |c| sqlx::query_as(SQL)
        .bind(&f.provider_id)
        .bind(&f.user_id)
        .bind(f.since)
        .bind(f.until)
        .bind(&f.kind)
        .bind(&f.outcome)
        .bind(after)
        .bind(limit)
        .fetch_all(c)
        .await)?)
}

/// How many tries on names that are nobody's a provider has seen since.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_strangers(conn: &mut Conn, scope: &ProviderScope, since: Timestamp) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM activity WHERE provider_id = $1 AND id >= $2 AND name_hash IS NOT NULL";
    let (count,): (i64,) =
        on!(conn, |c| sqlx::query_as(SQL).bind(scope.provider_id()).bind(since.first_id()).fetch_one(c).await)?;
    Ok(count)
}
