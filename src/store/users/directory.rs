//! The users of one provider, as its admins look through them: searched, sorted, a page at a time.

use crate::model::tenant::ProviderScope;
use crate::model::user::{STRIKES, UserType};
use crate::model::{words, words_in_json};
use crate::store::users::name_key;
use crate::store::{Conn, Error, from_row, query};

/// A user as a list shows one.
#[derive(Clone, Debug)]
pub struct Listed {
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
    /// Locked by an admin.
    pub admin_locked: bool,
    /// Wrong passwords in a row.
    pub failures: i64,
    /// Until when a temporary password works.
    pub temporary_until: Option<i64>,
    /// When the account came to be (Unix ms).
    pub created_at: i64,
    /// The last sign-in that the record knows of (Unix ms).
    pub last_sign_in: Option<i64>,
    /// OpenID Connect standard claims as one JSON object.
    pub claims: String,
    /// The e-mail address that an admin checked.
    pub email_checked: Option<String>,
    /// Since when the e-mail address stands as it does (Unix ms).
    pub email_at: Option<i64>,
    /// Of the data.
    pub revision: i64,
    /// What the next page begins after.
    pub sort_key: String,
}
from_row!(Listed {
    id, login_name, name, active, admin_locked, failures, temporary_until, created_at, last_sign_in, claims,
    email_checked, email_at, revision, sort_key,
} parsed { user_type });

impl Listed {
    /// Three wrong passwords in a row.
    #[must_use]
    pub const fn password_locked(&self) -> bool {
        self.failures >= STRIKES
    }
}

/// Which users are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Whatever their state.
    #[default]
    Any,
    /// Not deactivated.
    Active,
    /// By either lock.
    Locked,
    /// By three wrong passwords.
    PasswordLocked,
    /// By an admin.
    AdminLocked,
    /// Deactivated.
    Deactivated,
    /// Active, and no sign-in is recorded.
    NeverSignedIn,
    /// With a temporary password.
    Temporary,
}
words!(State {
    Any = "any",
    Active = "active",
    Locked = "locked",
    PasswordLocked = "password_locked",
    AdminLocked = "admin_locked",
    Deactivated = "deactivated",
    NeverSignedIn = "never_signed_in",
    Temporary = "temporary",
});
words_in_json!(State as "UserState");

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The person's name.
    #[default]
    Name,
    /// Login Name.
    LoginName,
}
words!(Sort { Name = "name", LoginName = "login_name" });
words_in_json!(Sort as "UserSort");

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A part of the name or the Login Name, in any case.
    pub text: String,
    /// In this state.
    pub state: State,
    /// Of this type.
    pub user_type: Option<UserType>,
    /// In this order.
    pub sort: Sort,
}

/// A place in a list: the sort key and id of the row before.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    key: String,
    id: String,
}

impl Cursor {
    /// The id of the row before.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn after(row: &Listed) -> Self {
        Self { key: row.sort_key.clone(), id: row.id.clone() }
    }
}

/// Who was found, and how far.
#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    /// In the order that was asked for.
    pub users: Vec<Listed>,
    /// Where the search stopped before its end: who comes after was not looked at.
    pub stopped: Option<Cursor>,
}

impl SearchPage {
    /// Keeps the users of one page; what the next page begins after, if there may be more.
    pub fn cut(&mut self, rows: usize) -> Option<Cursor> {
        if self.users.len() <= rows {
            return self.stopped.clone();
        }
        self.users.truncate(rows);
        self.stopped = None;
        self.users.last().map(Cursor::after)
    }

    /// What a file goes on after, if there may be more.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.stopped.clone().or_else(|| self.users.last().map(Cursor::after))
    }
}

/// Those of a provider who fit, after a place: an index holds all that is asked for, in this order.
macro_rules! fitting {
    ($key:literal, $state:literal, $limit:expr) => {
        concat!(
            "SELECT u.id, u.",
            $key,
            " AS sort_key FROM users u WHERE u.provider_id = $1 AND (u.",
            $key,
            ", u.id) > ($2, $3) \
             AND ($4 = '' OR u.name_key LIKE $4 ESCAPE '!' OR u.login_name_key LIKE $4 ESCAPE '!') \
             AND ($5 = '' OR u.user_type = $5) AND ",
            $state,
            " ORDER BY u.",
            $key,
            ", u.id LIMIT ",
            $limit
        )
    };
}

/// What a list shows of some users.
macro_rules! select_listed {
    ($key:literal, $($from:expr),+) => {
        concat!(
            "SELECT u.id, u.login_name, u.name, u.user_type, u.active, u.admin_locked, s.failures, u.temporary_until, \
             u.created_at, u.claims, u.email_checked, u.email_at, u.revision, u.",
            $key,
            " AS sort_key, (SELECT a.at FROM activity a WHERE a.user_id = u.id AND a.kind = 'sign_in' \
             AND a.outcome = 'success' ORDER BY a.id DESC LIMIT 1) AS last_sign_in FROM (",
            $($from),+,
            ") f JOIN users u ON u.id = f.id JOIN strikes s ON s.user_id = u.id ORDER BY u.",
            $key,
            ", u.id"
        )
    };
}

macro_rules! select_by_state {
    ($key:literal) => {
        select_listed!(
            $key,
            fitting!(
                $key,
                "CASE $6 WHEN 'active' THEN u.active \
                 WHEN 'locked' THEN u.admin_locked OR u.id IN (SELECT user_id FROM strikes WHERE provider_id = $1 AND failures >= 3) \
                 WHEN 'password_locked' THEN u.id IN (SELECT user_id FROM strikes WHERE provider_id = $1 AND failures >= 3) \
                 WHEN 'admin_locked' THEN u.admin_locked \
                 WHEN 'deactivated' THEN NOT u.active \
                 WHEN 'temporary' THEN u.temporary_until IS NOT NULL \
                 ELSE TRUE END",
                "$7"
            )
        )
    };
}

/// Whether a user ever signed in is asked of the record, user by user: a limited number of them for one page.
macro_rules! most_asked {
    () => {
        1500
    };
}

macro_rules! select_never_signed_in {
    ($key:literal) => {
        select_listed!(
            $key,
            "SELECT w.id FROM (",
            fitting!($key, "u.active", most_asked!()),
            ") w WHERE NOT EXISTS (SELECT 1 FROM activity a WHERE a.user_id = w.id AND a.kind = 'sign_in' \
             AND a.outcome = 'success') ORDER BY w.sort_key, w.id LIMIT $6"
        )
    };
}

macro_rules! select_last_asked {
    ($key:literal) => {
        concat!(
            "SELECT id, sort_key, COUNT(*) OVER () AS asked FROM (",
            fitting!($key, "u.active", most_asked!()),
            ") w ORDER BY sort_key DESC, id DESC LIMIT 1"
        )
    };
}

/// Up to `limit` users who fit, after a place.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(
    conn: &mut Conn,
    scope: &ProviderScope,
    search: &Search,
    cursor: &Cursor,
    limit: i64,
) -> Result<SearchPage, Error> {
    if search.state == State::NeverSignedIn {
        return never_signed_in(conn, scope, search, cursor, limit).await;
    }
    let sql = match search.sort {
        Sort::Name => select_by_state!("name_key"),
        Sort::LoginName => select_by_state!("login_name_key"),
    };
    let users = query(sql)
        .bind(scope.provider_id())
        .bind(&cursor.key)
        .bind(&cursor.id)
        .bind(pattern(&search.text))
        .bind(search.user_type.map_or("", UserType::as_str))
        .bind(search.state.as_str())
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(SearchPage { users, stopped: None })
}

async fn never_signed_in(
    conn: &mut Conn,
    scope: &ProviderScope,
    search: &Search,
    cursor: &Cursor,
    limit: i64,
) -> Result<SearchPage, Error> {
    let (sql, last_asked) = match search.sort {
        Sort::Name => (select_never_signed_in!("name_key"), select_last_asked!("name_key")),
        Sort::LoginName => (select_never_signed_in!("login_name_key"), select_last_asked!("login_name_key")),
    };
    let last: Option<(String, String, i64)> = query(last_asked)
        .bind(scope.provider_id())
        .bind(&cursor.key)
        .bind(&cursor.id)
        .bind(pattern(&search.text))
        .bind(search.user_type.map_or("", UserType::as_str))
        .fetch_optional(conn)
        .await?;
    let Some((id, key, asked)) = last else {
        return Ok(SearchPage::default());
    };
    let users: Vec<Listed> = query(sql)
        .bind(scope.provider_id())
        .bind(&cursor.key)
        .bind(&cursor.id)
        .bind(pattern(&search.text))
        .bind(search.user_type.map_or("", UserType::as_str))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    let full = i64::try_from(users.len()).is_ok_and(|found| found >= limit);
    let stopped = (asked == most_asked!() && !full).then_some(Cursor { key, id });
    Ok(SearchPage { users, stopped })
}

/// One user as a list shows it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn one(conn: &mut Conn, scope: &ProviderScope, id: &str) -> Result<Option<Listed>, Error> {
    const SQL: &str = select_listed!("name_key", "SELECT id FROM users WHERE provider_id = $1 AND id = $2");
    query(SQL).bind(scope.provider_id()).bind(id).fetch_optional(conn).await
}

/// The place right after a user, if the provider has one of that id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn cursor(conn: &mut Conn, scope: &ProviderScope, sort: Sort, id: &str) -> Result<Option<Cursor>, Error> {
    const BY_NAME: &str = "SELECT name_key, id FROM users WHERE provider_id = $1 AND id = $2";
    const BY_LOGIN_NAME: &str = "SELECT login_name_key, id FROM users WHERE provider_id = $1 AND id = $2";
    let sql = match sort {
        Sort::Name => BY_NAME,
        Sort::LoginName => BY_LOGIN_NAME,
    };
    let row: Option<(String, String)> = query(sql).bind(scope.provider_id()).bind(id).fetch_optional(conn).await?;
    Ok(row.map(|(key, id)| Cursor { key, id }))
}

/// What `LIKE` matches: the text anywhere, its own signs taken literally.
pub(in crate::store) fn pattern(text: &str) -> String {
    let text: String = name_key(text).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_takes_signs_literally() {
        assert_eq!(pattern(" Amina "), "%amina%");
        assert_eq!(pattern("50%_!\0"), "%50!%!_!!%");
        assert_eq!(pattern("  "), "");
    }
}
