//! The way of each provider's Unified Login, step by step (U1). The state itself stands in the provider's row.

use super::{Conn, Error, Tx, from_row, query};
use crate::model::provider::Step;
use crate::time::Timestamp;

/// A step as stored.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// UUIDv7; sorts by time.
    pub id: String,
    /// When (Unix ms).
    pub at: i64,
    /// Which.
    pub step: Step,
    /// Who took it.
    pub actor: String,
    /// In that person's words.
    pub note: Option<String>,
    /// The provider's id.
    pub provider_id: String,
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
}
from_row!(Stepped { id, at, actor, note, provider_id, code, name } parsed { step });

/// A provider that waits for a decision.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The provider's id.
    pub provider_id: String,
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// It is active.
    pub active: bool,
    /// The step that is to be decided; absent when a seed said "requested".
    pub step_id: Option<String>,
    /// Since when (Unix ms).
    pub since: i64,
    /// Who asked.
    pub actor: Option<String>,
    /// In that person's words.
    pub note: Option<String>,
}
from_row!(Waiting { provider_id, code, name, active, step_id, since, actor, note } parsed {});

/// Notes a step.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(
    tx: &mut Tx,
    id: &str,
    provider_id: &str,
    at: Timestamp,
    step: Step,
    actor: &str,
    note: Option<&str>,
) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO unified_login_steps (id, provider_id, at, step, actor, note) VALUES ($1, $2, $3, $4, $5, $6)";
    query(SQL).bind(id).bind(provider_id).bind(at.0).bind(step.as_str()).bind(actor).bind(note).execute(tx).await?;
    Ok(())
}

/// The newest steps of a provider, newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_provider(conn: &mut Conn, provider_id: &str, limit: i64) -> Result<Vec<Stepped>, Error> {
    const SQL: &str = "SELECT s.id, s.at, s.step, s.actor, s.note, s.provider_id, p.code, p.name \
                       FROM unified_login_steps s JOIN providers p ON p.id = s.provider_id \
                       WHERE s.provider_id = $1 ORDER BY s.id DESC LIMIT $2";
    query(SQL).bind(provider_id).bind(limit).fetch_all(conn).await
}

/// The newest steps of all providers, newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn newest(conn: &mut Conn, limit: i64) -> Result<Vec<Stepped>, Error> {
    const SQL: &str = "SELECT s.id, s.at, s.step, s.actor, s.note, s.provider_id, p.code, p.name \
                       FROM unified_login_steps s JOIN providers p ON p.id = s.provider_id ORDER BY s.id DESC LIMIT $1";
    query(SQL).bind(limit).fetch_all(conn).await
}

/// Who waits for a decision, the longest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn waiting(conn: &mut Conn, limit: i64) -> Result<Vec<Waiting>, Error> {
    const SQL: &str = "SELECT p.id AS provider_id, p.code, p.name, p.active, s.id AS step_id, \
                       COALESCE(s.at, p.created_at) AS since, s.actor, s.note \
                       FROM providers p LEFT JOIN unified_login_steps s ON s.id = \
                       (SELECT MAX(x.id) FROM unified_login_steps x WHERE x.provider_id = p.id) \
                       WHERE p.unified_login = 'requested' ORDER BY since, p.id LIMIT $1";
    query(SQL).bind(limit).fetch_all(conn).await
}

/// How many wait for a decision.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_waiting(conn: &mut Conn) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM providers WHERE unified_login = 'requested'";
    let (count,): (i64,) = query(SQL).fetch_one(conn).await?;
    Ok(count)
}
