//! How many sign-ins there were, out of the record.

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
    ($scope:literal) => {
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

async fn count(conn: &mut Conn, sql: &'static str, provider_id: &str, day: &Day) -> Result<SignIns, Error> {
    let (begins, ends) = (day.begins.0, day.ends.0);
    query(sql).bind(provider_id).bind(begins).bind(ends).fetch_one(conn).await
}
