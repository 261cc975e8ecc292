//! Users as a seed file has them, a page at a time.

use crate::model::user::UserType;
use crate::store::{Conn, Error, from_row, query};

/// A user with everything that a seed file can say of one, but its ties.
#[derive(Debug)]
pub struct SeedUser {
    /// UUIDv7.
    pub id: String,
    /// Login Name as given.
    pub login_name: String,
    /// The prepared name: what the next page begins after.
    pub login_name_key: String,
    /// The person's name.
    pub name: String,
    /// User Type.
    pub user_type: UserType,
    /// Not deactivated.
    pub active: bool,
    /// Locked by an admin.
    pub admin_locked: bool,
    /// Wrong passwords in a row.
    pub failures: i64,
    /// PHC string.
    pub password_hash: String,
    /// Until when a temporary password works.
    pub temporary_until: Option<i64>,
    /// OpenID Connect standard claims as one JSON object.
    pub claims: String,
    /// What other systems call the user.
    pub external_id: Option<String>,
}
from_row!(SeedUser {
    id, login_name, login_name_key, name, active, admin_locked, failures, password_hash, temporary_until, claims,
    external_id,
} parsed { user_type });

/// Up to `limit` users of a provider whose prepared names come after `after`, by prepared name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn users(conn: &mut Conn, provider_id: &str, after: &str, limit: i64) -> Result<Vec<SeedUser>, Error> {
    const SQL: &str = "SELECT u.id, u.login_name, u.login_name_key, u.name, u.user_type, u.active, u.admin_locked, s.failures, \
                       u.password_hash, u.temporary_until, u.claims, x.external_id FROM users u JOIN strikes s ON s.user_id = u.id \
                       LEFT JOIN external_ids x ON x.user_id = u.id \
                       WHERE u.provider_id = $1 AND u.login_name_key > $2 ORDER BY u.login_name_key LIMIT $3";
    query(SQL).bind(provider_id).bind(after).bind(limit).fetch_all(conn).await
}

/// A tie of a user in a page.
#[derive(Debug)]
pub struct SeedTie {
    /// Whose.
    pub user_id: String,
    /// The issuer's name.
    pub issuer: String,
    /// The issuer's stable id for the user.
    pub sub: String,
}
from_row!(SeedTie { user_id, issuer, sub } parsed {});

/// The ties of the users of a provider whose prepared names come after `after` and end with `last`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn ties(conn: &mut Conn, provider_id: &str, after: &str, last: &str) -> Result<Vec<SeedTie>, Error> {
    const SQL: &str = "SELECT t.user_id, i.issuer, t.sub FROM users u JOIN handoff_ties t ON t.user_id = u.id \
                       JOIN issuers i ON i.id = t.issuer_id \
                       WHERE u.provider_id = $1 AND u.login_name_key > $2 AND u.login_name_key <= $3";
    query(SQL).bind(provider_id).bind(after).bind(last).fetch_all(conn).await
}
