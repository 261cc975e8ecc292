//! What PostgreSQL is told before our statements: once for a connection, or for each transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr as _, SqlStr, raw_sql};

use crate::config::Pooling;
use crate::store::patience::STATEMENT_TIMEOUT;

/// What holds for all that a connection does. A pooler that gives each transaction any connection would forget it.
pub(super) async fn greet(connection: &mut PgConnection, pooling: Pooling) -> Result<(), sqlx::Error> {
    match pooling {
        Pooling::Session => {
            let settings = settings("SET", STATEMENT_TIMEOUT.as_millis());
            raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
        }
        Pooling::Transaction => Ok(()),
    }
}

/// What opens a transaction whose statements end with the time that is left.
pub(super) fn begin(how: &'static str, pooling: Pooling, left: Duration) -> SqlStr {
    let limit = left.min(STATEMENT_TIMEOUT).as_millis().max(1);
    match pooling {
        Pooling::Session if left >= STATEMENT_TIMEOUT => how.into_sql_str(),
        Pooling::Session => AssertSqlSafe(format!("{how}; SET LOCAL statement_timeout = {limit}")).into_sql_str(),
        Pooling::Transaction => AssertSqlSafe(format!("{how}; {}", settings("SET LOCAL", limit))).into_sql_str(),
    }
}

/// Our statements are short: compiling one takes longer than it runs.
fn settings(set: &str, statement_timeout: u128) -> String {
    format!(
        "{set} statement_timeout = {statement_timeout}; {set} idle_in_transaction_session_timeout = 60000; {set} jit = off"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_says_itself_what_its_session_may_forget() {
        let text = |pooling, left| begin("BEGIN", pooling, left).as_str().to_owned();
        let (long, short) = (Duration::from_mins(1), Duration::from_millis(1500));
        assert_eq!(text(Pooling::Session, long), "BEGIN");
        assert_eq!(text(Pooling::Session, short), "BEGIN; SET LOCAL statement_timeout = 1500");
        assert!(
            text(Pooling::Transaction, long).starts_with("BEGIN; SET LOCAL statement_timeout = 28000; SET LOCAL idle")
        );
        assert!(text(Pooling::Transaction, Duration::ZERO).starts_with("BEGIN; SET LOCAL statement_timeout = 1;"));
    }
}
