//! How many sign-ins there were, out of the record.

use super::{SLACK, Search, Whose, word};
use crate::model::activity::Outcome;
use crate::model::session::Method;
use crate::model::tenant::ProviderScope;
use crate::store::{Conn, Error, from_row, query};
use crate::time::Day;

/// Sign-ins by method and outcome. A right password that still leads to the Update Password page is none: the sign-in
/// that comes of it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignIns {
    /// By Direct Login.
    pub direct: i64,
    /// Refused there.
    pub direct_refused: i64,
    /// By Unified Login.
    pub unified: i64,
    /// Refused there.
    pub unified_refused: i64,
}
from_row!(SignIns { direct, direct_refused, unified, unified_refused } parsed {});

impl SignIns {
    /// What is left where a sign-in method or an outcome is looked for.
    #[must_use]
    pub fn only(self, search: &Search) -> Self {
        let fits = |method, outcome| {
            search.method.is_none_or(|wanted| wanted == method) && search.outcome.is_none_or(|wanted| wanted == outcome)
        };
        let left = |method, outcome, count| if fits(method, outcome) { count } else { 0 };
        Self {
            direct: left(Method::Password, Outcome::Success, self.direct),
            direct_refused: left(Method::Password, Outcome::Refused, self.direct_refused),
            unified: left(Method::Handoff, Outcome::Success, self.unified),
            unified_refused: left(Method::Handoff, Outcome::Refused, self.unified_refused),
        }
    }
}

impl std::iter::Sum for SignIns {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            direct: a.direct + b.direct,
            direct_refused: a.direct_refused + b.direct_refused,
            unified: a.unified + b.unified,
            unified_refused: a.unified_refused + b.unified_refused,
        })
    }
}

macro_rules! count {
    ($scope:expr) => {
        concat!(
            "SELECT COUNT(*) FILTER (WHERE login_type = 'Direct Login' AND outcome = 'success') AS direct, \
             COUNT(*) FILTER (WHERE login_type = 'Direct Login' AND outcome = 'refused') AS direct_refused, \
             COUNT(*) FILTER (WHERE login_type = 'Unified Login' AND outcome = 'success') AS unified, \
             COUNT(*) FILTER (WHERE login_type = 'Unified Login' AND outcome = 'refused') AS unified_refused \
             FROM activity WHERE kind = 'sign_in' AND ",
            $scope,
            " AND at >= $2 AND at < $3"
        )
    };
}

/// Along an index of the record's order: ids are made a little after the moment that a record names.
macro_rules! count_along {
    ($way:literal) => {
        count!(concat!($way, " AND id >= $4 AND id < $5"))
    };
}

/// The sign-ins of a day in an admin's own provider.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_provider(conn: &mut Conn, scope: &ProviderScope, day: &Day) -> Result<SignIns, Error> {
    count(conn, count!("provider_id = $1"), scope.provider_id(), day).await
}

/// The sign-ins of a day in every provider, or in one, for the operator.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_all(conn: &mut Conn, provider_id: Option<&str>, day: &Day) -> Result<SignIns, Error> {
    let sql = if provider_id.is_some() { count!("provider_id = $1") } else { count!("$1 = ''") };
    count(conn, sql, provider_id.unwrap_or_default(), day).await
}

/// The sign-ins of a day of those whom a search means, in a provider or in all.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_some(conn: &mut Conn, provider_id: Option<&str>, search: &Search, day: &Day) -> Result<SignIns, Error> {
    let sql = match (&search.whose, provider_id) {
        (Whose::User(_), _) => count_along!("user_id = $6 AND ($1 = '' OR provider_id = $1)"),
        (Whose::Named(_), _) => {
            count_along!("provider_id = $1 AND login_name = $6 AND login_name IS NOT NULL AND user_id IS NULL")
        }
        (Whose::Strangers, Some(_)) => count_along!("provider_id = $1 AND name_hash IS NOT NULL AND $6 = ''"),
        (Whose::Strangers, None) => count_along!("$1 = '' AND name_hash IS NOT NULL AND $6 = ''"),
        (Whose::Anybody, Some(_)) => count_along!("provider_id = $1 AND $6 = ''"),
        (Whose::Anybody, None) => count_along!("$1 = '' AND $6 = ''"),
    };
    let whose = if search.whose == Whose::Anybody { "" } else { word(search) };
    query(sql)
        .bind(provider_id.unwrap_or_default())
        .bind(day.begins.0)
        .bind(day.ends.0)
        .bind(day.begins.first_id())
        .bind(day.ends.after(SLACK).first_id())
        .bind(whose)
        .fetch_one(conn)
        .await
}

async fn count(conn: &mut Conn, sql: &'static str, provider_id: &str, day: &Day) -> Result<SignIns, Error> {
    let (begins, ends) = (day.begins.0, day.ends.0);
    query(sql).bind(provider_id).bind(begins).bind(ends).fetch_one(conn).await
}
