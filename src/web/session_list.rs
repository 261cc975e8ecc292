//! The live sessions of a user as rows: where each began, and with what.

use std::collections::HashMap;

use super::user_agent::browser;
use crate::store::{self, Conn};
use crate::time::Timestamp;

/// One session.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// The session.
    pub id: String,
    /// It is the one that looks.
    pub current: bool,
    /// In a time zone.
    pub started: String,
    /// In a time zone.
    pub last_seen: String,
    /// By which sign-in method.
    pub login_type: &'static str,
    /// What stands beneath it.
    pub note: Option<&'static str>,
    /// From where it began.
    pub address: String,
    /// With what.
    pub browser: String,
}

/// The sessions of a user; `current` looks at them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_user(
    conn: &mut Conn,
    user_id: &str,
    current: Option<&str>,
    zone: &str,
    now: Timestamp,
) -> Result<Vec<SessionView>, store::Error> {
    let sessions = store::sessions::of_user(conn, user_id, now).await?;
    let origins = store::sessions::origins(conn, user_id).await?;
    let mut origins: HashMap<String, (String, String)> =
        origins.into_iter().map(|(id, address, browser)| (id, (address, browser))).collect();
    let view = |session: crate::model::session::Session| {
        let (address, user_agent) = origins.remove(&session.id).unwrap_or_default();
        SessionView {
            current: current == Some(session.id.as_str()),
            started: Timestamp(session.created_at).in_zone(zone),
            last_seen: Timestamp(session.used_at.unwrap_or(session.created_at)).in_zone(zone),
            login_type: session.method.login_type(),
            note: session.method.note(),
            address,
            browser: browser(&user_agent),
            id: session.id,
        }
    };
    Ok(sessions.into_iter().map(view).collect())
}
