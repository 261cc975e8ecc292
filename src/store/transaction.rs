//! Transactions: all of a piece of work or nothing of it, before its deadline or not at all, tried again where two
//! stood in each other's way. It goes on when nobody waits for it any longer (G7).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Conn, Extent, Link, Tx};
use super::database::{Database, Engine};
use super::error::Error;
use super::measures::{Fault, Purpose};
use super::patience::SILENCE;
use super::{held, postgres};
use crate::log;
use crate::time::{Deadline, Random};

/// The number of tries that a transaction has that stands in another's way, each after a longer wait by chance: those
/// that collided would collide again at once.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// Runs a body as one transaction until its `Ok`, a few times more after a deadlock:
/// `in_transaction!(db, deadline, [user, session], |tx| { … Ok(x) })`. The names in brackets are cloned for each try.
/// The body waits for its database alone: on SQLite everybody who writes waits with it. What it has to say in the log,
/// or to count, it says by [`Tx::after_commit`].
macro_rules! in_transaction {
    ($db:expr, $deadline:expr, [$($captured:ident),* $(,)?], |$tx:ident| $body:expr) => {
        $crate::store::transacted!(Many, $db, $deadline, [$($captured),*], |$tx| $body)
    };
}
pub(crate) use in_transaction;

/// The same for a body of one statement, which writes all that it is for or nothing: what the body makes of its answer comes
/// after the commit, and an `Err` of the body's own may only say that nothing was written.
///
/// On PostgreSQL it is sent alone where that is the same: such a statement is a transaction, and costs one round trip
/// instead of three.
macro_rules! in_one_statement {
    ($db:expr, $deadline:expr, [$($captured:ident),* $(,)?], |$tx:ident| $body:expr) => {
        $crate::store::transacted!(One, $db, $deadline, [$($captured),*], |$tx| $body)
    };
}
pub(crate) use in_one_statement;

macro_rules! transacted {
    ($extent:ident, $db:expr, $deadline:expr, [$($captured:ident),*], |$tx:ident| $body:expr) => {{
        // Taken before the names are shadowed: either may be a part of something captured.
        let (database, deadline) = (&$db, $deadline);
        $(let $captured = $captured.clone();)*
        database.transact(deadline, $crate::store::Extent::$extent, move |mut owned: $crate::store::Tx| {
            $(let $captured = $captured.clone();)*
            async move {
                let done = {
                    let $tx = &mut owned;
                    async { $body }.await
                };
                (owned, done)
            }
        })
        .await
    }};
}
pub(crate) use transacted;

impl Database {
    /// Whether one statement may write several tables: then what would be a transaction of many round trips is one.
    #[must_use]
    pub const fn writes_at_once(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// The work of `in_transaction!`: begins, works, checks the deadline once more, and commits.
    ///
    /// # Errors
    /// [`Error::Late`] when the deadline came before the commit (nothing was written); otherwise what went wrong.
    pub async fn transact<T, W, F>(&self, deadline: Deadline, extent: Extent, work: W) -> Result<T, Error>
    where
        W: Fn(Tx) -> F + Send + Sync + 'static,
        F: Future<Output = (Tx, Result<T, Error>)> + Send,
        T: Send + 'static,
    {
        held::assert_none();
        let done = match &self.engine {
            Engine::Sqlite(sqlite) => {
                let (measures, record_key) = (Arc::clone(&self.measures), self.record_key.clone());
                let work = Arc::new(work);
                let body = move |pooled| {
                    let conn = Conn::of(extent, Link::Sqlite(pooled), Arc::clone(&measures));
                    let working = work(Tx::new(conn, record_key.clone()));
                    async move {
                        let (mut tx, done) = working.await;
                        tx.checked(done)
                    }
                };
                sqlite.write(deadline, &self.measures, body).await
            }
            Engine::Postgres(server) => {
                let (database, server) = (self.clone(), server.clone());
                let task = log::spawn(async move {
                    let tried = database.try_often(&server, deadline, extent, &work);
                    // The server's own time-outs come first; this one is for a server that is gone without a word.
                    let done = tokio::time::timeout(deadline.left() + SILENCE, tried).await;
                    if done.is_err() {
                        server.doubt();
                    }
                    done.unwrap_or(Err(Error::Silent))
                });
                task.await.map_err(|_| Error::TaskDied)?
            }
        };
        match &done {
            Err(Error::Silent) => self.measures.fault(Fault::Silent),
            Err(Error::Late) => self.measures.fault(Fault::Late),
            _ => {}
        }
        done
    }

    /// Does to the rows what somebody does who has the database alone.
    #[cfg(test)]
    pub(crate) async fn meddle(&self, sql: &'static str) {
        let deadline = Deadline::after(Duration::from_secs(10), self.clock.now());
        in_transaction!(self, deadline, [], |tx| tx.simple(sql).await).unwrap();
    }

    async fn try_often<T, W, F>(
        &self,
        server: &postgres::Server,
        deadline: Deadline,
        extent: Extent,
        work: &W,
    ) -> Result<T, Error>
    where
        W: Fn(Tx) -> F,
        F: Future<Output = (Tx, Result<T, Error>)>,
    {
        for tried in 1..TRIES {
            match self.attempt(server, deadline, extent, work).await {
                Err(Error::Contended(_)) if !deadline.is_past(self.clock.now()) => {
                    tokio::time::sleep(wait_by_chance(tried).min(deadline.left())).await;
                }
                Err(error) if error.is_worth_another_try() => break,
                other => return other,
            }
        }
        self.attempt(server, deadline, extent, work).await
    }

    async fn attempt<T, W, F>(
        &self,
        server: &postgres::Server,
        deadline: Deadline,
        extent: Extent,
        work: &W,
    ) -> Result<T, Error>
    where
        W: Fn(Tx) -> F,
        F: Future<Output = (Tx, Result<T, Error>)>,
    {
        let (mut tx, done) = work(self.begin(server, deadline, extent).await?).await;
        let result = match tx.checked(done) {
            // What was sent by itself is kept already; the server would have ended it before the deadline.
            Ok(_) if !tx.is_kept() && deadline.is_past(self.clock.now()) => Err(Error::Late),
            done => done,
        };
        let (done, after_commit) = match tx.link() {
            Link::Postgres(talk) => talk.finish(result, &self.measures).await?,
            Link::Sqlite(_) => result?,
        };
        after_commit.say();
        Ok(done)
    }

    /// Opens a transaction. A connection that was cut while it was idle is found out here, once: nothing was asked of it
    /// yet, and those as old as it are passed over after it.
    async fn begin(&self, server: &postgres::Server, deadline: Deadline, extent: Extent) -> Result<Tx, Error> {
        match self.try_begin(server, deadline, extent).await {
            Err(error) if error.ends_connection() => self.try_begin(server, deadline, extent).await,
            other => other,
        }
    }

    async fn try_begin(&self, server: &postgres::Server, deadline: Deadline, extent: Extent) -> Result<Tx, Error> {
        let asked = Instant::now();
        let pooled = loop {
            let tried = self.counted(server.acquire().await);
            if deadline.is_past(self.clock.now()) {
                return Err(Error::Late);
            }
            if let Some(pooled) = tried? {
                break pooled;
            }
        };
        self.measures.waited(Purpose::Write, asked.elapsed());
        let (time, measures) = (deadline.left_at(self.clock.now()), &self.measures);
        let talk = match extent {
            Extent::One if postgres::Talk::may_write_at_once(&pooled, time) => postgres::Talk::to_write_at_once(pooled),
            Extent::One | Extent::Many => postgres::Talk::to_write(pooled, time, measures).await?,
        };
        let conn = Conn::of(extent, Link::Postgres(talk), Arc::clone(&self.measures));
        Ok(Tx::new(conn, self.record_key.clone()))
    }
}

/// Up to twice as long after each try. Nothing depends on this chance but who comes first.
fn wait_by_chance(tried: u32) -> Duration {
    let part = u32::from(u16::from_be_bytes(Random::System.bytes()));
    (FIRST_WAIT * 2_u32.pow(tried)).mul_f64(f64::from(part) / f64::from(u16::MAX))
}
