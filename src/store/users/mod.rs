//! Users, read together with the provider and the strikes that decide what they may do.

pub mod directory;
pub mod emails;
pub mod external_ids;
pub mod imports;
pub mod provisioned;
pub mod seed_rows;
pub mod sign_in_times;

use super::{Conn, Error, FromRow, Row, Tx, from_row, locking, query};
use crate::model::login_name::LoginName;
use crate::model::provider::{Provider, ProviderCode};
use crate::model::tenant::ProviderScope;
use crate::model::user::{Account, UserType};
use crate::time::Timestamp;

from_row!(Account {
    id, provider_id, provider_code, provider_name, provider_active, provider_epoch, time_zone, idle_minutes,
    absolute_hours, login_name, name, active, admin_locked, failures, password_hash, password_version,
    temporary_until, epoch, revision, created_at,
} parsed { unified_login, user_type });

/// The columns of an [`Account`], from `users u JOIN providers p JOIN strikes s`.
macro_rules! account_columns {
    () => {
        "u.id, u.provider_id, p.code AS provider_code, p.name AS provider_name, p.active AS provider_active, \
         p.epoch AS provider_epoch, p.unified_login, p.time_zone, p.idle_minutes, p.absolute_hours, u.login_name, \
         u.name, u.user_type, u.active, u.admin_locked, s.failures, u.password_hash, u.password_version, \
         u.temporary_until, u.epoch, u.revision, u.created_at"
    };
}

pub(super) use account_columns;

macro_rules! select_account {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            account_columns!(),
            " FROM users u JOIN providers p ON p.id = u.provider_id JOIN strikes s ON s.user_id = u.id ",
            $rest
        )
    };
}

/// The user of this Login Name in the provider of exactly this code.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_name(conn: &mut Conn, code: &ProviderCode, name: &LoginName) -> Result<Option<Account>, Error> {
    const SQL: &str = select_account!("WHERE p.code = $1 AND u.login_name_key = $2");
    query(SQL).bind(code.as_str()).bind(name.key()).fetch_optional(conn).await
}

/// The user with this id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<Account>, Error> {
    const SQL: &str = select_account!("WHERE u.id = $1");
    query(SQL).bind(id).fetch_optional(conn).await
}

/// Takes the user's row lock until the transaction ends, first in the order of locks: user, strikes, sessions.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_row(tx: &mut Tx, id: &str) -> Result<(), Error> {
    query(locking!("SELECT id FROM users WHERE id = $1", "FOR NO KEY UPDATE")).bind(id).execute(tx).await?;
    Ok(())
}

/// Up to `limit` users of a provider whose prepared names come after `after`, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(
    conn: &mut Conn,
    provider_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Account)>, Error> {
    const SQL: &str = concat!(
        "SELECT u.login_name_key, ",
        account_columns!(),
        " FROM users u JOIN providers p ON p.id = u.provider_id JOIN strikes s ON s.user_id = u.id \
         WHERE u.provider_id = $1 AND u.login_name_key > $2 ORDER BY u.login_name_key LIMIT $3"
    );
    let rows: Vec<Keyed> = query(SQL).bind(provider_id).bind(after).bind(limit).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.key, row.account)).collect())
}

struct Keyed {
    key: String,
    account: Account,
}

impl FromRow for Keyed {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { key: row.get("login_name_key")?, account: Account::from_row(row)? })
    }
}

/// A user about to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// UUIDv7.
    pub id: String,
    /// Login Name.
    pub login_name: LoginName,
    /// The person's name.
    pub name: String,
    /// User Type.
    pub user_type: UserType,
    /// Not deactivated.
    pub active: bool,
    /// Locked by an admin.
    pub admin_locked: bool,
    /// Wrong passwords in a row (3 = password locked).
    pub failures: i64,
    /// PHC string.
    pub password_hash: String,
    /// Until when a temporary password works.
    pub temporary_until: Option<Timestamp>,
    /// OpenID Connect standard claims as one JSON object.
    pub claims: String,
    /// What other systems call the user.
    pub external_id: Option<String>,
}

/// Adds a user and its strike row; `false` when the provider has that Login Name already. Whether its external id is
/// free was asked first ([`external_ids::user_of`]).
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, provider: &Provider, user: &NewUser, now: Timestamp) -> Result<bool, Error> {
    const USER: &str = "INSERT INTO users (id, provider_id, provider_kind, login_name, login_name_key, name, user_type, active, \
                        admin_locked, password_hash, password_version, temporary_until, claims, epoch, created_at, name_key) \
                        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12, 1, $13, $14) \
                        ON CONFLICT (provider_id, login_name_key) DO NOTHING";
    const STRIKES: &str = "INSERT INTO strikes (account, user_id, provider_id, failures) VALUES ($1, $1, $2, $3)";
    let rows = query(USER)
        .bind(&user.id)
        .bind(&provider.id)
        .bind(provider.kind.as_str())
        .bind(user.login_name.shown())
        .bind(user.login_name.key())
        .bind(&user.name)
        .bind(user.user_type.as_str())
        .bind(user.active)
        .bind(user.admin_locked)
        .bind(&user.password_hash)
        .bind(user.temporary_until.map(|t| t.0))
        .bind(&user.claims)
        .bind(now.0)
        .bind(name_key(&user.name))
        .execute(tx)
        .await?;
    if rows == 0 {
        return Ok(false);
    }
    query(STRIKES).bind(&user.id).bind(&provider.id).bind(user.failures).execute(tx).await?;
    if let Some(external_id) = &user.external_id {
        external_ids::set(tx, &provider.id, &user.id, external_id).await?;
    }
    Ok(true)
}

/// The stored standard claims.
///
/// # Errors
/// When the database cannot be asked.
pub async fn claims(conn: &mut Conn, id: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT claims FROM users WHERE id = $1";
    let row: Option<(String,)> = query(SQL).bind(id).fetch_optional(conn).await?;
    Ok(row.map(|(claims,)| claims))
}

/// Writes a user's data.
///
/// # Errors
/// When it cannot be written.
pub async fn update(tx: &mut Tx, id: &str, name: &str, user_type: UserType, claims: &str) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE users SET name = $2, user_type = $3, claims = $4, name_key = $5, revision = revision + 1 WHERE id = $1";
    query(SQL).bind(id).bind(name).bind(user_type.as_str()).bind(claims).bind(name_key(name)).execute(tx).await?;
    Ok(())
}

/// Gives a user another Login Name. Whether it is free was asked first, by [`id_of_name`].
///
/// # Errors
/// [`Error::Contended`] when somebody took it since: tried again, that is seen. Otherwise when it cannot be written.
pub async fn rename(tx: &mut Tx, id: &str, name: &LoginName) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET login_name = $2, login_name_key = $3 WHERE id = $1";
    query(SQL).bind(id).bind(name.shown()).bind(name.key()).execute(tx).await?;
    Ok(())
}

/// Under what a person's name is looked up and sorted.
pub(super) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// The user with this id in an admin's own provider: another provider's user is nobody (G15).
///
/// # Errors
/// When the database cannot be asked.
pub async fn in_scope(conn: &mut Conn, scope: &ProviderScope, id: &str) -> Result<Option<Account>, Error> {
    const SQL: &str = select_account!("WHERE u.provider_id = $1 AND u.id = $2");
    query(SQL).bind(scope.provider_id()).bind(id).fetch_optional(conn).await
}

/// Makes another revision of a user: what is kept beside its row, and shown with it, changed.
///
/// # Errors
/// When it cannot be written.
pub async fn bump_revision(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET revision = revision + 1 WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    Ok(())
}

/// Sets an admin's lock or removes it; `false` when it was so already. Locking ends every session (G9).
///
/// # Errors
/// When it cannot be written.
pub async fn set_admin_lock(tx: &mut Tx, id: &str, locked: bool) -> Result<bool, Error> {
    const SQL: &str = "UPDATE users SET admin_locked = $2, epoch = epoch + CASE WHEN $2 THEN 1 ELSE 0 END \
                       WHERE id = $1 AND admin_locked <> $2";
    let rows = query(SQL).bind(id).bind(locked).execute(tx).await?;
    if rows == 1 && locked {
        super::logouts::note_user(tx, id).await?;
    }
    Ok(rows == 1)
}

/// Activates or deactivates; `false` when it was so already. Deactivating ends every session (G9); who is activated is
/// there for directories again.
///
/// # Errors
/// When it cannot be written.
pub async fn set_active(tx: &mut Tx, id: &str, active: bool) -> Result<bool, Error> {
    const SQL: &str = "UPDATE users SET active = $2, epoch = epoch + CASE WHEN $2 THEN 0 ELSE 1 END \
                       WHERE id = $1 AND active <> $2";
    let rows = query(SQL).bind(id).bind(active).execute(tx).await?;
    if rows == 1 && active {
        provisioned::undelete(tx, id).await?;
    }
    if rows == 1 && !active {
        super::logouts::note_user(tx, id).await?;
    }
    Ok(rows == 1)
}

/// An admin's reset: a temporary password, and every session ended (G9).
///
/// # Errors
/// When it cannot be written.
pub async fn reset_password(tx: &mut Tx, id: &str, hash: &str, until: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET password_hash = $2, password_version = password_version + 1, temporary_until = $3, \
                       epoch = epoch + 1 WHERE id = $1";
    query(SQL).bind(id).bind(hash).bind(until.0).execute(tx).await?;
    super::logouts::note_user(tx, id).await
}

/// The user's own new password; `false` when the password or the user's state changed since they were read.
///
/// # Errors
/// When it cannot be written.
pub async fn set_password(tx: &mut Tx, account: &Account, hash: &str) -> Result<bool, Error> {
    const SQL: &str = "UPDATE users SET password_hash = $2, password_version = password_version + 1, temporary_until = NULL \
                       WHERE id = $1 AND password_version = $3 AND epoch = $4";
    let rows =
        query(SQL).bind(&account.id).bind(hash).bind(account.password_version).bind(account.epoch).execute(tx).await?;
    Ok(rows == 1)
}

/// The same password under a new cost: nothing but the hash changes, and only while it is still that password.
///
/// # Errors
/// When it cannot be written.
pub async fn rehash(tx: &mut Tx, account: &Account, hash: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_version = $3";
    query(SQL).bind(&account.id).bind(hash).bind(account.password_version).execute(tx).await?;
    Ok(())
}

/// The user with this id in this provider, its row held until the transaction ends. Another provider's user is nobody
/// here (G15).
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, provider_id: &str, id: &str) -> Result<Option<Account>, Error> {
    let row: Option<(String,)> =
        query(locking!("SELECT id FROM users WHERE provider_id = $1 AND id = $2", "FOR NO KEY UPDATE"))
            .bind(provider_id)
            .bind(id)
            .fetch_optional(tx)
            .await?;
    match row {
        Some((id,)) => by_id(tx, &id).await,
        None => Ok(None),
    }
}

/// Ends every session of the user at once, half-done sign-ins and pending handoffs too (G9).
///
/// # Errors
/// When it cannot be written.
pub async fn bump_epoch(tx: &mut Tx, id: &str) -> Result<(), Error> {
    const SQL: &str = "UPDATE users SET epoch = epoch + 1 WHERE id = $1";
    query(SQL).bind(id).execute(tx).await?;
    super::logouts::note_user(tx, id).await
}

/// As many names are looked up at once.
pub const NAMES: usize = 50;

/// Ids and names of those of up to [`NAMES`] users who are in a provider, or anywhere.
///
/// # Errors
/// When the database cannot be asked.
pub async fn names(conn: &mut Conn, provider_id: Option<&str>, ids: &[&str]) -> Result<Vec<(String, String)>, Error> {
    const SQL: &str = "SELECT id, name FROM users WHERE ($1 = '' OR provider_id = $1) AND id IN (\
                       $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
                       $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, \
                       $44, $45, $46, $47, $48, $49, $50, $51)";
    let rest = std::iter::repeat("");
    let mut names = query(SQL).bind(provider_id.unwrap_or_default());
    for id in ids.iter().copied().chain(rest).take(NAMES) {
        names = names.bind(id);
    }
    names.fetch_all(conn).await
}

/// The id of the user of this Login Name in an admin's own provider.
///
/// # Errors
/// When the database cannot be asked.
pub async fn id_of_name(conn: &mut Conn, provider_id: &str, name: &LoginName) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT id FROM users WHERE provider_id = $1 AND login_name_key = $2";
    let row: Option<(String,)> = query(SQL).bind(provider_id).bind(name.key()).fetch_optional(conn).await?;
    Ok(row.map(|(id,)| id))
}

/// The Provider Admins of a provider, by login name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn admins(conn: &mut Conn, provider_id: &str, limit: i64) -> Result<Vec<Account>, Error> {
    const SQL: &str = select_account!(
        "WHERE u.provider_id = $1 AND u.user_type = 'Provider Admin' ORDER BY u.login_name_key LIMIT $2"
    );
    query(SQL).bind(provider_id).bind(limit).fetch_all(conn).await
}

/// How many users of a provider are active.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_active(conn: &mut Conn, provider_id: &str) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM users WHERE provider_id = $1 AND active";
    let (count,): (i64,) = query(SQL).bind(provider_id).fetch_one(conn).await?;
    Ok(count)
}

/// Whether nobody else is a Therap Admin who can sign in.
///
/// # Errors
/// When the database cannot be asked.
pub async fn has_no_other_admin(conn: &mut Conn, id: &str) -> Result<bool, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM users WHERE user_type = $2 AND active AND NOT admin_locked AND id <> $1";
    let (others,): (i64,) = query(SQL).bind(id).bind(UserType::TherapAdmin.as_str()).fetch_one(conn).await?;
    Ok(others == 0)
}
