//! The users of one provider, as its admins look through them: searched, sorted, a page at a time.

use crate::model::tenant::ProviderScope;
use crate::model::user::{STRIKES, UserType};
use crate::model::{words, words_in_json};
use crate::store::activity::AFTER_ALL;
use crate::store::users::name_key;
use crate::store::{Conn, Error, Query, from_row, query};
use crate::time::Timestamp;

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
    /// What other systems call the user.
    pub external_id: Option<String>,
    /// What the next page begins after.
    pub sort_key: String,
}
from_row!(Listed {
    id, login_name, name, active, admin_locked, failures, temporary_until, created_at, last_sign_in, claims,
    email_checked, email_at, revision, external_id, sort_key,
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
    /// The last sign-in, the newest first; who never signed in comes last.
    LastSignIn,
    /// The last sign-in, the oldest first; who never signed in comes first.
    LongestAway,
}
words!(Sort {
    Name = "name",
    LoginName = "login_name",
    LastSignIn = "last_sign_in",
    LongestAway = "longest_away",
});
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
    /// Who has not signed in since then, or never.
    pub away_since: Option<Timestamp>,
    /// In this order.
    pub sort: Sort,
}

impl Search {
    /// The same, with those who never signed in by name where they are sorted by last sign-in: none of theirs is newer.
    #[must_use]
    pub fn settled(self) -> Self {
        let by_sign_in = matches!(self.sort, Sort::LastSignIn | Sort::LongestAway);
        let sort = if by_sign_in && self.state == State::NeverSignedIn { Sort::Name } else { self.sort };
        Self { sort, ..self }
    }
}

/// A place in a list: the sort key and id of the row before; empty before the first.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    key: String,
    id: String,
}

impl Cursor {
    /// As an address holds it. Whoever signs in between two pages is at another place then: a place among sign-ins keeps
    /// its time, one among names is found again by the user.
    #[must_use]
    pub fn written(&self, sort: Sort) -> String {
        match sort {
            Sort::Name | Sort::LoginName => self.id.clone(),
            Sort::LastSignIn | Sort::LongestAway => format!("{}.{}", self.key, self.id),
        }
    }

    /// Binds the place to `$2` and `$3`.
    fn bind_to<'q>(&self, query: Query<'q>, sort: Sort) -> Query<'q> {
        let (key, id) = match (sort, self.id.is_empty()) {
            (_, false) => (self.key.clone(), self.id.clone()),
            (Sort::Name | Sort::LoginName, true) => (String::new(), String::new()),
            (Sort::LastSignIn, true) => (i64::MAX.to_string(), AFTER_ALL.to_owned()),
            (Sort::LongestAway, true) => ("-1".to_owned(), String::new()),
        };
        query.bind(key).bind(id)
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

/// Those of a provider who fit, after a place: an index holds all that is asked for, in this order. What is noted of
/// sign-ins may be some seconds old, so that the record has the last word on who has been away.
macro_rules! fitting {
    (($key:literal, $after:literal, $dir:literal), $state:literal, $limit:expr) => {
        concat!(
            "SELECT u.id, CAST(u.",
            $key,
            " AS TEXT) AS sort_key FROM users u WHERE u.provider_id = $1 AND (u.",
            $key,
            ", u.id) ",
            $after,
            " AND ($4 = '' OR u.name_key LIKE $4 ESCAPE '!' OR u.login_name_key LIKE $4 ESCAPE '!') \
             AND ($5 = '' OR u.user_type = $5) AND ($6 = 0 OR u.signed_in_at < $6 AND NOT EXISTS (SELECT 1 FROM activity a \
             WHERE a.user_id = u.id AND a.id >= $7 AND a.kind = 'sign_in' AND a.outcome = 'success' AND a.at >= $6)) AND ",
            $state,
            " ORDER BY u.",
            $key,
            $dir,
            ", u.id",
            $dir,
            " LIMIT ",
            $limit
        )
    };
}

/// What a list shows of some users.
macro_rules! select_listed {
    (($key:literal, $after:literal, $dir:literal), $($from:expr),+) => {
        concat!(
            "SELECT u.id, u.login_name, u.name, u.user_type, u.active, u.admin_locked, s.failures, u.temporary_until, \
             u.created_at, u.claims, u.email_checked, u.email_at, u.revision, CAST(u.",
            $key,
            " AS TEXT) AS sort_key, (SELECT a.at FROM activity a WHERE a.user_id = u.id AND a.kind = 'sign_in' \
             AND a.outcome = 'success' ORDER BY a.id DESC LIMIT 1) AS last_sign_in, x.external_id FROM (",
            $($from),+,
            ") f JOIN users u ON u.id = f.id JOIN strikes s ON s.user_id = u.id \
             LEFT JOIN external_ids x ON x.user_id = u.id ORDER BY u.",
            $key,
            $dir,
            ", u.id",
            $dir
        )
    };
}

macro_rules! in_state {
    ($order:tt, $limit:expr) => {
            fitting!(
                $order,
                "CASE $8 WHEN 'active' THEN u.active \
                 WHEN 'never_signed_in' THEN u.active AND u.signed_in_at = 0 AND NOT EXISTS (SELECT 1 FROM activity a \
                 WHERE a.user_id = u.id AND a.kind = 'sign_in' AND a.outcome = 'success') \
                 WHEN 'locked' THEN u.admin_locked OR u.id IN (SELECT user_id FROM strikes WHERE provider_id = $1 AND failures >= 3) \
                 WHEN 'password_locked' THEN u.id IN (SELECT user_id FROM strikes WHERE provider_id = $1 AND failures >= 3) \
                 WHEN 'admin_locked' THEN u.admin_locked \
                 WHEN 'deactivated' THEN NOT u.active \
                 WHEN 'temporary' THEN u.temporary_until IS NOT NULL \
                 ELSE TRUE END",
                $limit
            )
    };
}

macro_rules! select_by_state {
    ($order:tt) => {
        select_listed!($order, in_state!($order, "$9"))
    };
}

/// How a list is walked: the key of its index, what comes after a place, and the direction.
macro_rules! in_order {
    ($sort:expr, $statement:ident) => {
        match $sort {
            Sort::Name => $statement!(("name_key", "> ($2, $3)", "")),
            Sort::LoginName => $statement!(("login_name_key", "> ($2, $3)", "")),
            Sort::LastSignIn => $statement!(("signed_in_at", "< (CAST($2 AS BIGINT), $3)", " DESC")),
            Sort::LongestAway => $statement!(("signed_in_at", "> (CAST($2 AS BIGINT), $3)", "")),
        }
    };
}

/// Whether a user ever signed in is asked of the record, user by user: a limited number of them for one page.
macro_rules! most_asked {
    () => {
        1500
    };
}

macro_rules! select_never_signed_in {
    ($order:tt) => {
        select_listed!(
            $order,
            "SELECT w.id FROM (",
            fitting!($order, "u.active AND u.signed_in_at = 0", most_asked!()),
            ") w WHERE NOT EXISTS (SELECT 1 FROM activity a WHERE a.user_id = w.id AND a.kind = 'sign_in' \
             AND a.outcome = 'success') ORDER BY w.sort_key, w.id LIMIT $8"
        )
    };
}

macro_rules! select_last_asked {
    ($order:tt) => {
        concat!(
            "SELECT id, sort_key, COUNT(*) OVER () AS asked FROM (",
            fitting!($order, "u.active AND u.signed_in_at = 0", most_asked!()),
            ") w ORDER BY sort_key DESC, id DESC LIMIT 1"
        )
    };
}

fn bound<'q>(sql: &'static str, scope: &'q ProviderScope, search: &'q Search, cursor: &Cursor) -> Query<'q> {
    cursor
        .bind_to(query(sql).bind(scope.provider_id()), search.sort)
        .bind(pattern(&search.text))
        .bind(search.user_type.map_or("", UserType::as_str))
        .bind(search.away_since.map_or(0, |since| since.0))
        .bind(search.away_since.map(Timestamp::first_id).unwrap_or_default())
}

const COUNT: &str =
    concat!("SELECT COUNT(*) FROM (", in_state!(("name_key", "> ($2, $3)", ""), "9223372036854775807"), ") f");

/// How many users fit.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(conn: &mut Conn, scope: &ProviderScope, search: &Search) -> Result<i64, Error> {
    let search = Search { sort: Sort::Name, ..search.clone() };
    let count = bound(COUNT, scope, &search, &Cursor::default()).bind(search.state.as_str());
    let (count,): (i64,) = count.fetch_one(conn).await?;
    Ok(count)
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
        return never_signed_in(conn, scope, &search.clone().settled(), cursor, limit).await;
    }
    let sql = in_order!(search.sort, select_by_state);
    let users = bound(sql, scope, search, cursor).bind(search.state.as_str()).bind(limit).fetch_all(conn).await?;
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
        Sort::Name | Sort::LastSignIn | Sort::LongestAway => (
            select_never_signed_in!(("name_key", "> ($2, $3)", "")),
            select_last_asked!(("name_key", "> ($2, $3)", "")),
        ),
        Sort::LoginName => (
            select_never_signed_in!(("login_name_key", "> ($2, $3)", "")),
            select_last_asked!(("login_name_key", "> ($2, $3)", "")),
        ),
    };
    let last: Option<(String, String, i64)> = bound(last_asked, scope, search, cursor).fetch_optional(conn).await?;
    let Some((id, key, asked)) = last else {
        return Ok(SearchPage::default());
    };
    let users: Vec<Listed> = bound(sql, scope, search, cursor).bind(limit).fetch_all(conn).await?;
    let full = i64::try_from(users.len()).is_ok_and(|found| found >= limit);
    let stopped = (asked == most_asked!() && !full).then_some(Cursor { key, id });
    Ok(SearchPage { users, stopped })
}

/// One user as a list shows it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn one(conn: &mut Conn, scope: &ProviderScope, id: &str) -> Result<Option<Listed>, Error> {
    const SQL: &str = select_listed!(("name_key", "", ""), "SELECT id FROM users WHERE provider_id = $1 AND id = $2");
    query(SQL).bind(scope.provider_id()).bind(id).fetch_optional(conn).await
}

/// The place that [`Cursor::written`] wrote, right after a user, if the provider has such a one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn cursor(conn: &mut Conn, scope: &ProviderScope, sort: Sort, text: &str) -> Result<Option<Cursor>, Error> {
    const BY_NAME: &str = "SELECT name_key, id FROM users WHERE provider_id = $1 AND id = $2";
    const BY_LOGIN_NAME: &str = "SELECT login_name_key, id FROM users WHERE provider_id = $1 AND id = $2";
    let sql = match sort {
        Sort::Name => BY_NAME,
        Sort::LoginName => BY_LOGIN_NAME,
        Sort::LastSignIn | Sort::LongestAway => return Ok(among_sign_ins(text)),
    };
    // What is no id is nobody's.
    let id: String = text.chars().filter(|c| !c.is_control()).take(36).collect();
    let row: Option<(String, String)> = query(sql).bind(scope.provider_id()).bind(id).fetch_optional(conn).await?;
    Ok(row.map(|(key, id)| Cursor { key, id }))
}

/// A place among sign-ins: a time and an id.
fn among_sign_ins(text: &str) -> Option<Cursor> {
    let (key, id) = text.split_once('.')?;
    let at: i64 = key.parse().ok()?;
    let is_id = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_id.then(|| Cursor { key: at.to_string(), id: id.to_owned() })
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
    use crate::config;
    use crate::store::Database;
    use crate::time::Clock;

    #[test]
    fn a_search_takes_signs_literally() {
        assert_eq!(pattern(" Amina "), "%amina%");
        assert_eq!(pattern("50%_!\0"), "%50!%!_!!%");
        assert_eq!(pattern("  "), "");
    }

    #[test]
    fn a_place_among_sign_ins_is_read_as_it_was_written() {
        let id = "0199aaaa-bbbb-7ccc-8ddd-000000000001";
        let place = Cursor { key: "1800000000000".into(), id: id.into() };
        let read = among_sign_ins(&place.written(Sort::LongestAway)).unwrap();
        assert_eq!((read.key, read.id), (place.key, place.id));
        for text in
            ["", "1", "x.y", "1.x", &format!("a.{id}"), &format!("1.{id}'"), &format!("99999999999999999999.{id}")]
        {
            assert!(among_sign_ins(text).is_none(), "{text}");
        }
    }

    /// Each page is walked along the index of its order, which holds all that a filter asks for: no table is read through,
    /// and nothing but the page itself is sorted.
    #[tokio::test]
    async fn a_page_is_read_off_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let settings = config::Database {
            url: Database::sqlite_url(&dir.path().join("t.db")),
            connections: 2,
            ..config::Database::default()
        };
        let db = Database::open(&settings, Clock::fixed(Timestamp(1_800_000_000_000))).await.unwrap();
        db.migrate().await.unwrap();
        for (sort, index) in [
            (Sort::Name, "users_by_name"),
            (Sort::LoginName, "users_by_login_name"),
            (Sort::LastSignIn, "users_by_sign_in"),
            (Sort::LongestAway, "users_by_sign_in"),
        ] {
            is_read_off(&db, in_order!(sort, select_by_state), index).await;
        }
        for (sql, index) in [
            (select_never_signed_in!(("name_key", "> ($2, $3)", "")), "users_by_name"),
            (select_last_asked!(("login_name_key", "> ($2, $3)", "")), "users_by_login_name"),
            (COUNT, "users_by_name"),
        ] {
            is_read_off(&db, sql, index).await;
        }
    }

    async fn is_read_off(db: &Database, sql: &str, index: &str) {
        let plan = plan(db, sql).await;
        let walk = format!("SEARCH u USING COVERING INDEX {index} (provider_id=?");
        assert!(plan.iter().any(|step| step.starts_with(&walk)), "{index}: {plan:#?}");
        // What was found, and nothing else, is read from its begin to its end.
        let is_found = |step: &str| ["SCAN f", "SCAN w"].contains(&step) || step.starts_with("SCAN (subquery");
        let whole = plan.iter().find(|step| step.starts_with("SCAN") && !is_found(step));
        assert_eq!(whole, None, "{index}: {plan:#?}");
    }

    async fn plan(db: &Database, sql: &str) -> Vec<String> {
        let explained: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {sql}").into_boxed_str());
        let mut asked = query(explained);
        for _ in (1..10).filter(|n| sql.contains(&format!("${n}"))) {
            asked = asked.bind("");
        }
        let steps: Vec<(i64, i64, i64, String)> = asked.fetch_all(&mut db.read().await.unwrap()).await.unwrap();
        steps.into_iter().map(|(.., step)| step).collect()
    }
}
