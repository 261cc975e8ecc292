//! Users as a directory sees them over SCIM: those of one provider without the ones that it deleted, and with what it
//! wrote of them that no column of `users` holds.

use crate::model::login_name::LoginName;
use crate::model::user::UserType;
use crate::store::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// A user as a directory sees one.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// UUIDv7.
    pub id: String,
    /// Login Name.
    pub login_name: String,
    /// The person's name.
    pub name: String,
    /// User Type.
    pub user_type: UserType,
    /// Not deactivated.
    pub active: bool,
    /// OpenID Connect standard claims as one JSON object.
    pub claims: String,
    /// What the directory calls the user.
    pub external_id: Option<String>,
    /// How the directory writes what is kept once: one JSON object.
    pub written: Option<String>,
    /// When the account came to be (Unix ms).
    pub created_at: i64,
    /// The last change by a directory (Unix ms).
    pub provisioned_at: Option<i64>,
    /// The last change on record (Unix ms), which is known a moment later.
    pub changed_at: Option<i64>,
    /// When a directory deleted it (Unix ms).
    pub deleted_at: Option<i64>,
}
from_row!(Provisioned {
    id, login_name, name, active, claims, external_id, written, created_at, provisioned_at, changed_at, deleted_at,
} parsed { user_type });

impl Provisioned {
    /// The last change that is known (Unix ms).
    #[must_use]
    pub fn last_change(&self) -> Timestamp {
        let changes = [self.provisioned_at, self.changed_at];
        Timestamp(changes.into_iter().flatten().fold(self.created_at, i64::max))
    }
}

macro_rules! select_provisioned {
    ($rest:expr) => {
        concat!(
            "SELECT u.id, u.login_name, u.name, u.user_type, u.active, u.claims, x.external_id, p.written, u.created_at, \
             p.changed_at AS provisioned_at, c.changed_at, p.deleted_at FROM users u \
             LEFT JOIN external_ids x ON x.user_id = u.id LEFT JOIN provisioned_users p ON p.user_id = u.id \
             LEFT JOIN user_changes c ON c.user_id = u.id ",
            $rest
        )
    };
}

/// The user of this id in a provider, deleted or not.
///
/// # Errors
/// When the database cannot be asked.
pub async fn one(conn: &mut Conn, provider_id: &str, id: &str) -> Result<Option<Provisioned>, Error> {
    const SQL: &str = select_provisioned!("WHERE u.provider_id = $1 AND u.id = $2");
    query(SQL).bind(provider_id).bind(id).fetch_optional(conn).await
}

/// The user of this Login Name in a provider, deleted or not.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_login_name(conn: &mut Conn, provider_id: &str, name: &LoginName) -> Result<Option<Provisioned>, Error> {
    const SQL: &str = select_provisioned!("WHERE u.provider_id = $1 AND u.login_name_key = $2");
    query(SQL).bind(provider_id).bind(name.key()).fetch_optional(conn).await
}

/// The user whom the directory of a provider calls so, deleted or not.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_external_id(
    conn: &mut Conn,
    provider_id: &str,
    external_id: &str,
) -> Result<Option<Provisioned>, Error> {
    const SQL: &str = select_provisioned!(
        "WHERE u.id = (SELECT e.user_id FROM external_ids e WHERE e.provider_id = $1 AND e.external_id = $2)"
    );
    query(SQL).bind(provider_id).bind(external_id).fetch_optional(conn).await
}

/// In which order a list is, where an index has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they came.
    #[default]
    Age,
    /// By Login Name.
    LoginName,
    /// By the person's name.
    Name,
}

/// The number of users of a provider who are not deleted.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(conn: &mut Conn, provider_id: &str) -> Result<i64, Error> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM users WHERE provider_id = $1) \
                       - (SELECT COUNT(*) FROM provisioned_users WHERE provider_id = $1 AND deleted_at IS NOT NULL)";
    let (count,): (i64,) = query(SQL).bind(provider_id).fetch_one(conn).await?;
    Ok(count)
}

/// A page by number of the users who are not deleted: those who are passed over are looked up in the index alone.
macro_rules! select_page {
    ($order:literal) => {
        select_provisioned!(concat!(
            "WHERE u.id IN (SELECT u.id FROM users u WHERE u.provider_id = $1 AND NOT EXISTS (SELECT 1 FROM provisioned_users d \
             WHERE d.user_id = u.id AND d.deleted_at IS NOT NULL) ORDER BY ",
            $order,
            " LIMIT $2 OFFSET $3) ORDER BY ",
            $order
        ))
    };
}

/// Up to `limit` users of a provider who are not deleted, after the first `offset`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(
    conn: &mut Conn,
    provider_id: &str,
    (order, descending): (Order, bool),
    (limit, offset): (i64, i64),
) -> Result<Vec<Provisioned>, Error> {
    let sql = match (order, descending) {
        (Order::Age, false) => select_page!("u.id"),
        (Order::Age, true) => select_page!("u.id DESC"),
        (Order::LoginName, false) => select_page!("u.login_name_key, u.id"),
        (Order::LoginName, true) => select_page!("u.login_name_key DESC, u.id DESC"),
        (Order::Name, false) => select_page!("u.name_key, u.id"),
        (Order::Name, true) => select_page!("u.name_key DESC, u.id DESC"),
    };
    query(sql).bind(provider_id).bind(limit).bind(offset).fetch_all(conn).await
}

/// Up to `limit` users of a provider who are not deleted and came after another, as they came.
///
/// # Errors
/// When the database cannot be asked.
pub async fn after(conn: &mut Conn, provider_id: &str, id: &str, limit: i64) -> Result<Vec<Provisioned>, Error> {
    const SQL: &str =
        select_provisioned!("WHERE u.provider_id = $1 AND u.id > $2 AND p.deleted_at IS NULL ORDER BY u.id LIMIT $3");
    query(SQL).bind(provider_id).bind(id).bind(limit).fetch_all(conn).await
}

/// Remembers what a directory wrote of a user, who is there for it from now on.
///
/// # Errors
/// When it cannot be written.
pub async fn write(tx: &mut Tx, provider_id: &str, user_id: &str, written: &str, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO provisioned_users (user_id, provider_id, written, changed_at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (user_id) DO UPDATE SET written = $3, changed_at = $4, deleted_at = NULL";
    query(SQL).bind(user_id).bind(provider_id).bind(written).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Takes a user away for directories.
///
/// # Errors
/// When it cannot be written.
pub async fn delete(tx: &mut Tx, provider_id: &str, user_id: &str, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO provisioned_users (user_id, provider_id, written, changed_at, deleted_at) \
                       VALUES ($1, $2, '{}', $3, $3) ON CONFLICT (user_id) DO UPDATE SET changed_at = $3, deleted_at = $3";
    query(SQL).bind(user_id).bind(provider_id).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Brings a user back for directories, whoever activates it.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn undelete(tx: &mut Tx, user_id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE provisioned_users SET deleted_at = NULL WHERE user_id = $1 AND deleted_at IS NOT NULL";
    query(SQL).bind(user_id).execute(tx).await?;
    Ok(())
}
