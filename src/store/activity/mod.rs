//! User Activity: inserted and read, never changed or removed (A3).

pub mod chain;
pub mod counts;
pub mod proof;

use super::{Conn, Error, Query, Tx, from_row, query};
use crate::store::activity::proof::Written;
use std::time::Duration;

use crate::model::activity::{Event, Kind, Outcome};
use crate::model::session::Method;
use crate::model::tenant::ProviderScope;
use crate::time::Timestamp;

/// Sorts after every id, in every collation.
pub(super) const AFTER_ALL: &str = "zzzzzzzz";

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
    /// A keyed hash of an unknown Login Name.
    pub name_hash: Option<String>,
    /// Who did it.
    pub actor: String,
    /// What.
    pub kind: crate::model::activity::Kind,
    /// `Direct Login` or `Unified Login`.
    pub login_type: Option<String>,
    /// What stands beneath.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: crate::model::activity::Outcome,
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

/// The columns of a [`Record`].
macro_rules! columns {
    () => {
        "id, at, provider_code, user_id, login_name, name_hash, actor, kind, login_type, note, outcome, reason, address, \
         browser, reference, session_id, handoff_id"
    };
}
pub(super) use columns;

/// The statement that writes a record, whose fields are `$1` to `$20`.
macro_rules! records {
    () => {
        "INSERT INTO activity (id, at, provider_id, provider_code, user_id, login_name, name_hash, actor, kind, \
         login_type, note, outcome, reason, address, browser, reference, session_id, handoff_id, proof) \
         VALUES ($1, $2, COALESCE($3, (SELECT id FROM providers WHERE code = $19)), \
         COALESCE($4, (SELECT code FROM providers WHERE code = $19)), \
         $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $20)"
    };
}
pub(super) use records;

/// Writes a record, in the transaction of what it records (G17).
///
/// # Errors
/// When it cannot be written: then what it records did not happen either.
pub async fn record(tx: &mut Tx, event: &Event) -> Result<(), Error> {
    let proof = proof_of(tx, event);
    bound(query(records!()), event, proof).execute(tx).await?;
    Ok(())
}

/// What shows that this program wrote a record.
pub(super) fn proof_of(tx: &Tx, event: &Event) -> Option<String> {
    tx.record_key.as_ref().map(|key| Written::of(event).proof_by(key))
}

/// Binds the fields of a record.
pub(super) fn bound<'q>(insert: Query<'q>, event: &'q Event, proof: Option<String>) -> Query<'q> {
    let e = event;
    insert
        .bind(&e.id)
        .bind(e.at.0)
        .bind(&e.provider_id)
        .bind(&e.provider_code)
        .bind(&e.user_id)
        .bind(&e.login_name)
        .bind(&e.name_hash)
        .bind(&e.actor)
        .bind(e.kind.as_str())
        .bind(e.method.map(Method::login_type))
        .bind(&e.note)
        .bind(e.outcome.as_str())
        .bind(&e.reason)
        .bind(&e.visitor.address)
        .bind(&e.visitor.browser)
        .bind(&e.visitor.reference)
        .bind(&e.session_id)
        .bind(&e.handoff_id)
        .bind(&e.maybe_provider_code)
        .bind(proof)
}

/// Whether a record with this reference number was written since: looks at the newest records alone.
///
/// # Errors
/// When the database cannot be asked.
pub async fn was_recorded(conn: &mut Conn, reference: &str, since: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "SELECT id FROM activity WHERE id >= $1 AND reference = $2 LIMIT 1";
    let row: Option<(String,)> = query(SQL).bind(since.first_id()).bind(reference).fetch_optional(conn).await?;
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
    /// By this sign-in method.
    pub login_type: Option<String>,
    /// Tries on unknown Login Names alone.
    pub strangers: bool,
}

/// Whether a record fits a [`Filter`], whose fields are `$1` to `$8`.
macro_rules! fits {
    () => {
        "(provider_id = $1 OR $1 IS NULL) AND (user_id = $2 OR $2 IS NULL) AND (at >= $3 OR $3 IS NULL) \
         AND (at < $4 OR $4 IS NULL) AND (kind = $5 OR $5 IS NULL) AND (outcome = $6 OR $6 IS NULL) \
         AND (login_type = $7 OR $7 IS NULL) AND ($8 = 0 OR name_hash IS NOT NULL)"
    };
}
pub(super) use fits;

/// A statement with a [`Filter`] bound to the parameters of `fits!`.
macro_rules! filtered {
    ($sql:expr, $filter:expr) => {
        $crate::store::query($sql)
            .bind(&$filter.provider_id)
            .bind(&$filter.user_id)
            .bind($filter.since)
            .bind($filter.until)
            .bind(&$filter.kind)
            .bind(&$filter.outcome)
            .bind(&$filter.login_type)
            .bind(i64::from($filter.strangers))
    };
}
pub(super) use filtered;

/// A page of one user's records older than `before`, newest first: the page a user sees, on its index.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_user(conn: &mut Conn, user_id: &str, before: Option<&str>, limit: i64) -> Result<Vec<Record>, Error> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " FROM activity WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    query(SQL).bind(user_id).bind(before.unwrap_or(AFTER_ALL)).bind(limit).fetch_all(conn).await
}

/// How many tries on unknown Login Names a provider has seen since.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_strangers(conn: &mut Conn, scope: &ProviderScope, since: Timestamp) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM activity WHERE provider_id = $1 AND id >= $2 AND name_hash IS NOT NULL";
    let (count,): (i64,) = query(SQL).bind(scope.provider_id()).bind(since.first_id()).fetch_one(conn).await?;
    Ok(count)
}

/// An id is made a little after the moment that the record names; after a clock that ran ahead was put right, ids run
/// ahead for as long.
const SLACK: Duration = Duration::from_mins(15);

/// Whose records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    #[default]
    Anybody,
    /// One user's, by id.
    User(String),
    /// Refusals that name somebody who is not here.
    Named(String),
    /// Tries on unknown Login Names.
    Strangers,
}

/// What an admin looks for in the record: all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Whose.
    pub whose: Whose,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// By this sign-in method.
    pub method: Option<Method>,
    /// With this reference number.
    pub reference: Option<String>,
}

impl Search {
    /// Whether a record that was found by its reference number is wanted.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        let whose = match &self.whose {
            Whose::Anybody => true,
            Whose::User(id) => record.user_id.as_ref() == Some(id),
            Whose::Named(name) => record.user_id.is_none() && record.login_name.as_ref() == Some(name),
            Whose::Strangers => record.name_hash.is_some(),
        };
        let login_type = self.method.map(Method::login_type);
        whose
            && self.since.is_none_or(|since| since.0 <= record.at)
            && self.until.is_none_or(|until| record.at < until.0)
            && self.kind.is_none_or(|kind| kind == record.kind)
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            && login_type.is_none_or(|login_type| record.login_type.as_deref() == Some(login_type))
    }
}

/// What was found, and how far.
#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    /// Newest first.
    pub records: Vec<Record>,
    /// Where the search stopped before its end, by id and time: what is older was not looked at.
    pub stopped: Option<(String, Timestamp)>,
}

impl SearchPage {
    /// Keeps the records of one page; what the next page is older than, if there may be more.
    pub fn cut(&mut self, rows: usize) -> Option<String> {
        if self.records.len() <= rows {
            return self.stopped.as_ref().map(|(id, _)| id.clone());
        }
        self.records.truncate(rows);
        self.stopped = None;
        self.last()
    }

    /// What a file goes on before, if there may be more.
    #[must_use]
    pub fn cursor(&self) -> Option<String> {
        self.stopped.as_ref().map(|(id, _)| id.clone()).or_else(|| self.last())
    }

    fn last(&self) -> Option<String> {
        self.records.last().map(|record| record.id.clone())
    }
}

/// The most records that one search looks at: a filter that fits hardly anything, or nothing, must not read ten
/// million of them while somebody waits.
macro_rules! most_walked {
    () => {
        "10000"
    };
    (the_last) => {
        "1 OFFSET 9999"
    };
}

/// The way along which records are looked at: one index holds all that it names, in the order of ids.
macro_rules! walk {
    ($way:expr, $limit:expr) => {
        concat!(
            "SELECT id, at, kind, outcome, login_type FROM activity WHERE ",
            $way,
            " AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT ",
            $limit
        )
    };
}

struct Walked {
    id: String,
    at: i64,
}
from_row!(Walked { id, at } parsed {});

/// A search: what it finds, and the last record of its walk, if that is as long as a walk may be.
struct Statements {
    find: &'static str,
    last_walked: &'static str,
}

macro_rules! statements {
    ($way:expr) => {
        Statements {
            find: concat!(
                "SELECT ",
                columns!(),
                " FROM (SELECT id AS found FROM (",
                walk!($way, most_walked!()),
                ") w WHERE at >= $5 AND at < $6 AND ($7 = '' OR kind = $7) AND ($8 = '' OR outcome = $8) \
                 AND ($9 = '' OR login_type = $9) ORDER BY id DESC LIMIT $10) f JOIN activity ON id = found \
                 WHERE ($1 = '' OR provider_id = $1) ORDER BY id DESC"
            ),
            last_walked: walk!($way, most_walked!(the_last)),
        }
    };
}

/// The way for what is wanted: what is rare among many sign-ins has an index of its own, which an engine uses only
/// where the statement itself says that it is meant. `$4` is [`word`].
macro_rules! way {
    ($search:expr, $scope:literal) => {
        match $search {
            Search { whose: Whose::User(_), .. } => statements!("user_id = $4"),
            Search { whose: Whose::Strangers, .. } => statements!(concat!($scope, " AND name_hash IS NOT NULL")),
            Search { whose: Whose::Named(_), .. } => {
                statements!(concat!($scope, " AND login_name = $4 AND login_name IS NOT NULL AND user_id IS NULL"))
            }
            Search { outcome: Some(Outcome::Refused | Outcome::Unfinished), .. } => {
                statements!(concat!($scope, " AND outcome <> 'success'"))
            }
            Search { kind: Some(kind), .. } if is_change(*kind) => {
                statements!(concat!($scope, " AND kind = $4 AND kind NOT IN ('sign_in', 'logout')"))
            }
            _ => statements!($scope),
        }
    };
}

const fn is_change(kind: Kind) -> bool {
    !matches!(kind, Kind::SignIn | Kind::Logout)
}

/// The word that the way of [`way`] names.
fn word(search: &Search) -> &str {
    match (&search.whose, search.kind) {
        (Whose::User(text) | Whose::Named(text), _) => text,
        (Whose::Anybody, Some(kind)) => kind.as_str(),
        (Whose::Anybody | Whose::Strangers, _) => "",
    }
}

/// When, by whom and with which note something of a kind was last done to a user, among the notes that begin so.
///
/// # Errors
/// When the database cannot be asked.
pub async fn newest_noted(
    conn: &mut Conn,
    user_id: &str,
    kind: Kind,
    begin: &str,
) -> Result<Option<(i64, String, String)>, Error> {
    const SQL: &str = "SELECT at, actor, note FROM activity WHERE user_id = $1 AND kind = $2 AND note LIKE $3 \
                       ORDER BY id DESC LIMIT 1";
    query(SQL).bind(user_id).bind(kind.as_str()).bind(format!("{begin}%")).fetch_optional(conn).await
}

/// When the record last saw what a user's page tells (Unix ms).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserFacts {
    /// A sign-in by password.
    pub direct: Option<i64>,
    /// A sign-in from Therap Services.
    pub unified: Option<i64>,
    /// Another password.
    pub password: Option<i64>,
}
from_row!(UserFacts { direct, unified, password } parsed {});

/// What the record tells of a user, as far as it goes back: one walk through an index that holds all that is asked.
///
/// # Errors
/// When the database cannot be asked.
pub async fn facts_of_user(conn: &mut Conn, user_id: &str) -> Result<UserFacts, Error> {
    const SQL: &str = "SELECT MAX(CASE WHEN kind = 'sign_in' AND login_type = $2 THEN at END) AS direct, \
                       MAX(CASE WHEN kind = 'sign_in' AND login_type = $3 THEN at END) AS unified, \
                       MAX(CASE WHEN kind IN ('password_updated', 'password_changed', 'password_reset') THEN at END) AS password \
                       FROM activity WHERE user_id = $1 AND outcome = 'success'";
    let (direct, unified) = (Method::Password.login_type(), Method::Handoff.login_type());
    query(SQL).bind(user_id).bind(direct).bind(unified).fetch_one(conn).await
}

/// The records of an admin's own provider older than `before`, newest first (A2).
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_provider(
    conn: &mut Conn,
    scope: &ProviderScope,
    search: &Search,
    before: Option<&str>,
    limit: i64,
) -> Result<SearchPage, Error> {
    find(conn, &way!(search, "provider_id = $1"), scope.provider_id(), search, before, limit).await
}

/// The records of every provider, or of one, for the operator.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_all(
    conn: &mut Conn,
    provider_id: Option<&str>,
    search: &Search,
    before: Option<&str>,
    limit: i64,
) -> Result<SearchPage, Error> {
    let statements = match provider_id {
        Some(_) => way!(search, "provider_id = $1"),
        None => way!(search, "$1 = ''"),
    };
    find(conn, &statements, provider_id.unwrap_or_default(), search, before, limit).await
}

/// A page of the records of a reference number older than `before`, of a provider or of all, newest first: those of one
/// request, and of what followed from it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_reference(
    conn: &mut Conn,
    provider_id: Option<&str>,
    reference: &str,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Record>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM activity WHERE reference = $1 AND (provider_id = $2 OR $2 IS NULL) AND id < $3 ORDER BY id DESC LIMIT $4"
    );
    let before = before.unwrap_or(AFTER_ALL);
    query(SQL).bind(reference).bind(provider_id).bind(before).bind(limit).fetch_all(conn).await
}

async fn find(
    conn: &mut Conn,
    statements: &Statements,
    provider_id: &str,
    search: &Search,
    before: Option<&str>,
    limit: i64,
) -> Result<SearchPage, Error> {
    let end = search.until.map_or_else(|| AFTER_ALL.to_owned(), |until| until.after(SLACK).first_id());
    let before = before.map_or_else(|| end.clone(), |before| end.clone().min(before.to_owned()));
    let since = search.since.map(Timestamp::first_id).unwrap_or_default();
    let records: Vec<Record> = query(statements.find)
        .bind(provider_id)
        .bind(&before)
        .bind(&since)
        .bind(word(search))
        .bind(search.since.map_or(0, |since| since.0))
        .bind(search.until.map_or(i64::MAX, |until| until.0))
        .bind(search.kind.map_or("", Kind::as_str))
        .bind(search.outcome.map_or("", Outcome::as_str))
        .bind(search.method.map_or("", Method::login_type))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    if i64::try_from(records.len()).is_ok_and(|found| found >= limit) {
        return Ok(SearchPage { records, stopped: None });
    }
    let last: Option<Walked> = query(statements.last_walked)
        .bind(provider_id)
        .bind(&before)
        .bind(&since)
        .bind(word(search))
        .fetch_optional(conn)
        .await?;
    Ok(SearchPage { records, stopped: last.map(|last| (last.id, Timestamp(last.at))) })
}
