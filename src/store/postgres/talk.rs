//! What statements run on: a connection of PostgreSQL's while somebody has it.

use std::fmt;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Either, Executor as _, PgConnection, SqlStr, raw_sql};

use super::pool::PooledConnection;
use super::said::{is_cut, is_ended_by_server};
use crate::store::error::Error;
use crate::store::measures::{Fault, Measures};
use crate::store::patience::STATEMENT_TIMEOUT;
use crate::store::statement::Value;

/// What statements run on. Dropped while one is unanswered, or a transaction is open, the connection is closed: nobody
/// waits for an answer that may never come, and nobody gets what somebody else left unfinished.
///
/// A connection that was cut is replaced under a SELECT, which is asked again (G33): nothing was written, and nobody
/// notices.
pub(in crate::store) struct Talk {
    pooled: PooledConnection,
    unanswered: bool,
    /// Whether another connection may take its place: once, and never where something may have been written.
    renewable: bool,
    stage: Stage,
}

/// What is open on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing that anybody would miss: it is for reading, or its transaction is over.
    Nothing,
    /// A transaction.
    Transaction,
    /// One statement, which is a transaction of its own.
    Statement,
}

/// A connection that answered within this time is taken to stand: what is found out by `BEGIN` on any other, and costs
/// nobody anything, would be a write there of which nobody knows whether it happened.
const STANDS: Duration = Duration::from_millis(100);

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Talk({})", self.pooled.place())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if self.unanswered || self.stage == Stage::Transaction {
            self.pooled.close_on_drop();
        }
    }
}

impl Talk {
    /// In which nothing is written.
    pub(in crate::store) async fn to_read(pooled: PooledConnection) -> Result<Self, Error> {
        let mut talk = Self { pooled, unanswered: true, renewable: true, stage: Stage::Nothing };
        if let Err(error) = talk.pooled.begin_to_read().await {
            if !error.ends_connection() {
                return Err(error);
            }
            talk.pooled.doubt();
            talk.pooled.renew().await?;
        }
        talk.unanswered = false;
        Ok(talk)
    }

    /// A transaction whose statements end with the time that is left.
    pub(in crate::store) async fn to_write(
        pooled: PooledConnection,
        time: Duration,
        measures: &Measures,
    ) -> Result<Self, Error> {
        let begin = pooled.begin(time);
        let mut talk = Self { pooled, unanswered: false, renewable: false, stage: Stage::Transaction };
        talk.simple(begin.as_str(), measures).await?;
        Ok(talk)
    }

    /// Whether one statement may be sent alone: the time that is left is as long as any statement may take, so that
    /// it ends before; the connection is ours for good, so that it was told so; and it was not cut, as far as one knows.
    pub(in crate::store) fn may_write_at_once(pooled: &PooledConnection, time: Duration) -> bool {
        time >= STATEMENT_TIMEOUT && pooled.is_whole() && pooled.answered_within(STANDS)
    }

    /// One statement, which is a transaction of its own; see [`Self::may_write_at_once`].
    pub(in crate::store) const fn to_write_at_once(pooled: PooledConnection) -> Self {
        Self { pooled, unanswered: false, renewable: true, stage: Stage::Statement }
    }

    pub(in crate::store) const fn writes_at_once(&self) -> bool {
        matches!(self.stage, Stage::Statement)
    }

    /// Ends a transaction: kept, where its work was done. A connection that stands and yet is of no use, as one to a server
    /// that is read-only by now, is closed (G33).
    pub(in crate::store) async fn finish<T>(
        &mut self,
        result: Result<T, Error>,
        measures: &Measures,
    ) -> Result<T, Error> {
        match &result {
            _ if self.writes_at_once() => {}
            Ok(_) => {
                self.simple("COMMIT", measures).await?;
                self.stage = Stage::Nothing;
            }
            Err(error) if error.ends_connection() => {}
            Err(_) if self.simple("ROLLBACK", measures).await.is_ok() => self.stage = Stage::Nothing,
            Err(_) => {}
        }
        result
    }

    /// Runs a text of one or more statements.
    pub(in crate::store) async fn simple(&mut self, sql: &str, measures: &Measures) -> Result<(), Error> {
        self.unanswered = true;
        let done = raw_sql(AssertSqlSafe(sql)).execute(self.pooled.connection()?).await;
        self.heard(&done, measures);
        Ok(done.map(drop)?)
    }

    /// Runs a statement: its rows, and how many it changed.
    pub(in crate::store) async fn run(
        &mut self,
        sql: &SqlStr,
        values: &[Value<'_>],
        measures: &Measures,
    ) -> Result<(Vec<PgRow>, u64), Error> {
        loop {
            self.unanswered = true;
            let (named, mut is_complete) = (self.pooled.is_whole(), false);
            let done = ask(self.pooled.connection()?, sql, values, named, &mut is_complete).await;
            // Whoever is told that the connection ends, and of nothing done before, knows that nothing was written.
            let is_harmless = !self.writes_at_once() || (!is_complete && done.as_ref().is_err_and(is_ended_by_server));
            if self.heard(&done, measures)
                && is_harmless
                && std::mem::take(&mut self.renewable)
                && self.pooled.renew().await.is_ok()
            {
                continue;
            }
            return Ok(done?);
        }
    }

    /// Takes note of an answer: whether it says that the connection was cut. Such a one is closed.
    fn heard<T>(&mut self, done: &Result<T, sqlx::Error>, measures: &Measures) -> bool {
        self.unanswered = done.as_ref().is_err_and(is_cut);
        if let Err(error) = done
            && (self.unanswered || error.as_database_error().is_some())
        {
            measures.fault(if self.unanswered { Fault::Cut } else { Fault::Statement });
        }
        if self.unanswered {
            self.pooled.doubt();
        }
        self.unanswered
    }
}

/// Kept under a name where the connection is ours for good.
async fn ask(
    connection: &mut PgConnection,
    sql: &SqlStr,
    values: &[Value<'_>],
    named: bool,
    is_complete: &mut bool,
) -> Result<(Vec<PgRow>, u64), sqlx::Error> {
    let mut query = sqlx::query(sql.clone()).persistent(named);
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Integer(number) => query.bind(number),
            Value::Boolean(is) => query.bind(is),
        };
    }
    let (mut rows, mut changed) = (Vec::new(), 0);
    let mut answers = connection.fetch_many(query);
    while let Some(answer) = answers.try_next().await? {
        match answer {
            Either::Left(done) => {
                *is_complete = true;
                changed += done.rows_affected();
            }
            Either::Right(row) => rows.push(row),
        }
    }
    Ok((rows, changed))
}
