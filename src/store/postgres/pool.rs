//! Our connections to PostgreSQL: so many at most, each to one at a time, the one that was used last first.
//!
//! Not the driver's own pool, which asks a connection that is given back whether it still stands: a round trip for every
//! read. Whoever leaves something unfinished on one closes it ([`PooledConnection::close_on_drop`]); whether one was cut meanwhile is
//! found out by who uses it next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqlStr, raw_sql};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Address;
use super::doubt::Doubt;
use super::told::{begin, greet};
use crate::config::Pooling;
use crate::store::error::Error;
use crate::store::measures::Connections;
use crate::store::patience::{ACQUIRE_TRY, STATEMENT_TIMEOUT};

/// No connection is older: what its server was told since by its operators holds for all by then.
const MAX_AGE: Duration = Duration::from_mins(30);
/// A connection that nobody used for so long is closed.
const MAX_IDLE: Duration = Duration::from_mins(10);
/// A connection idle for longer is asked whether it still stands before it is used, and has so long to answer.
const TRUST_IDLE: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(1);
/// How long a farewell may take, and what has to be said before a connection can be pooled again.
const FAREWELL: Duration = Duration::from_secs(5);
/// A server that starts, or has no connection left, is asked again after so long, and then after twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(600);

pub(super) struct Pool {
    address: Address,
    pooling: Pooling,
    most: u32,
    places: Arc<Semaphore>,
    /// In the order in which they were given back.
    idle: Mutex<VecDeque<Open>>,
    /// How many connections somebody has.
    pooled: AtomicU32,
    is_closed: AtomicBool,
    doubt: Doubt,
}

struct Open {
    connection: PgConnection,
    opened: Instant,
    /// When it last answered.
    used: Instant,
}

/// Why there is no connection.
pub(super) enum Missing {
    /// None was to be had in time.
    Late,
    Closed,
    Failed(sqlx::Error),
}

/// A connection that somebody has.
pub(in crate::store) struct PooledConnection {
    open: Option<Open>,
    place: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
    closes: bool,
    /// A transaction is open in which nothing is written, and ends when the connection is given back.
    only_reads: bool,
}

impl Pool {
    pub(super) fn new(address: Address, pooling: Pooling, most: u32) -> Self {
        Self {
            address,
            pooling,
            most,
            places: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1))),
            idle: Mutex::default(),
            pooled: AtomicU32::new(0),
            is_closed: AtomicBool::new(false),
            doubt: Doubt::default(),
        }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    pub(super) const fn pooling(&self) -> Pooling {
        self.pooling
    }

    pub(super) const fn most(&self) -> u32 {
        self.most
    }

    pub(super) fn are_all_lent(&self) -> bool {
        self.pooled.load(Ordering::Relaxed) >= self.most
    }

    pub(super) fn connections(&self) -> Connections {
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let in_use = count(self.pooled.load(Ordering::Relaxed));
        Connections { in_use, idle: self.idle().len(), most: count(self.most) }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Open>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn place(&self, until: Instant) -> Result<OwnedSemaphorePermit, Missing> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => timeout_at(until, Arc::clone(&self.places).acquire_owned())
                .await
                .map_err(|_| Missing::Late)?
                .map_err(|_| Missing::Closed)?,
        };
        if self.is_closed.load(Ordering::Relaxed) { Err(Missing::Closed) } else { Ok(place) }
    }

    /// A connection that the pool does not know.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.address.0.connect().await?;
        greet(&mut connection, self.pooling).await?;
        Ok(connection)
    }

    async fn open(&self, until: Instant) -> Result<Open, Missing> {
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout_at(until, self.connect()).await {
                Ok(Ok(connection)) => return Ok(Open::new(connection)),
                Ok(Err(error)) if may_be_starting(&error) => {}
                Ok(Err(error)) => return Err(Missing::Failed(error)),
                Err(_) => return Err(Missing::Late),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes a connection back. Those that nobody needed for long are closed.
    fn take_back(&self, open: Open) {
        let mut idle = self.idle();
        idle.push_back(open);
        let unused = idle.iter().take_while(|open| open.used.elapsed() > MAX_IDLE).count();
        let unused: Vec<_> = idle.drain(..unused).collect();
        drop(idle);
        for open in unused {
            open.close_aside(None);
        }
    }

    /// Connections that there are by now are not trusted any longer.
    pub(super) fn doubt(&self) {
        self.doubt.begin();
    }

    pub(super) async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // All are back then; who still waits for one is told.
        let all = self.places.acquire_many(self.most).await;
        self.places.close();
        drop(all);
        let idle: Vec<_> = self.idle().drain(..).collect();
        for open in idle {
            open.close().await;
        }
    }
}

impl Open {
    fn new(connection: PgConnection) -> Self {
        let now = Instant::now();
        Self { connection, opened: now, used: now }
    }

    /// Whether it can be used, as far as that is known.
    async fn stands(&mut self) -> bool {
        self.used.elapsed() <= TRUST_IDLE || matches!(timeout(PING, self.connection.ping()).await, Ok(Ok(())))
    }

    async fn close(self) {
        // A farewell that fails harms nobody.
        let _ = timeout(FAREWELL, self.connection.close()).await;
    }

    /// Says farewell while everybody goes on; its place is free after it.
    fn close_aside(self, place: Option<OwnedSemaphorePermit>) {
        // Without a runtime, which is about to end, it is cut.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                self.close().await;
                drop(place);
            });
        }
    }

    /// Ends its transaction while everybody goes on; its place is free after it.
    fn end_aside(mut self, pool: Arc<Pool>, place: Option<OwnedSemaphorePermit>) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let ended = timeout(FAREWELL, raw_sql("ROLLBACK").execute(&mut self.connection)).await;
                if matches!(ended, Ok(Ok(_))) {
                    pool.take_back(self);
                }
                drop(place);
            });
        }
    }
}

/// A server that starts, or that has not noticed yet that others have left.
fn may_be_starting(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Io(io) = error {
        return io.kind() == std::io::ErrorKind::ConnectionRefused;
    }
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(code.as_ref(), "53300" | "57P03"))
}

impl PooledConnection {
    /// A connection of a pool, new where none is idle.
    pub(super) async fn acquire(pool: &Arc<Pool>) -> Result<Self, Missing> {
        let until = Instant::now() + ACQUIRE_TRY;
        let place = pool.place(until).await?;
        let open = loop {
            let idle = pool.idle().pop_back();
            let Some(mut open) = idle else {
                break pool.open(until).await?;
            };
            if pool.doubt.covers(open.opened.elapsed()) {
                open.close_aside(None);
            } else if open.stands().await {
                break open;
            } else {
                pool.doubt();
            }
        };
        pool.pooled.fetch_add(1, Ordering::Relaxed);
        Ok(Self { open: Some(open), place: Some(place), pool: Arc::clone(pool), closes: false, only_reads: false })
    }

    /// The connection itself.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        // There is one until it is given back.
        self.open.as_mut().map(|open| &mut open.connection).ok_or(sqlx::Error::PoolClosed)
    }

    /// Whether it answered within this time: it is not likely to have been cut since.
    pub(super) fn answered_within(&self, span: Duration) -> bool {
        self.open.as_ref().is_some_and(|open| open.used.elapsed() <= span)
    }

    /// Whether the connection is ours for good, and keeps what we name on it.
    pub(super) fn is_whole(&self) -> bool {
        self.pool.pooling == Pooling::Session
    }

    /// Where its server is, for people.
    pub(super) fn place(&self) -> String {
        self.pool.address.place()
    }

    pub(super) const fn close_on_drop(&mut self) {
        self.closes = true;
    }

    /// It was cut: so may those be that are as old.
    pub(super) fn doubt(&self) {
        self.pool.doubt();
    }

    /// Puts a new connection in the place of one that was cut while nothing but SELECTs ran on it.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        let made = timeout(ACQUIRE_TRY, self.pool.connect()).await;
        let connection = made
            .map_err(|_| Error::Unreachable(self.pool.address.is_silent()))?
            .map_err(|error| Error::Unreachable(self.pool.address.why(&error)))?;
        self.open = Some(Open::new(connection));
        self.begin_to_read().await
    }

    /// Behind a pooler that gives each transaction any connection, what a SELECT needs from one step to the next lasts in
    /// a transaction alone.
    pub(super) async fn begin_to_read(&mut self) -> Result<(), Error> {
        if !self.is_whole() {
            let begin = begin("BEGIN READ ONLY", Pooling::Transaction, STATEMENT_TIMEOUT);
            raw_sql(begin).execute(self.connection()?).await?;
            self.only_reads = true;
        }
        Ok(())
    }

    /// What opens a transaction whose statements end with the time that is left.
    pub(super) fn begin(&self, left: Duration) -> SqlStr {
        begin("BEGIN", self.pool.pooling, left)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let pool = Arc::clone(&self.pool);
        pool.pooled.fetch_sub(1, Ordering::Relaxed);
        let Some(mut open) = self.open.take() else { return };
        open.used = Instant::now();
        if self.closes || open.used - open.opened >= MAX_AGE {
            open.close_aside(self.place.take());
        } else if self.only_reads {
            open.end_aside(pool, self.place.take());
        } else {
            // Its place is free after this: whoever has the place finds it.
            pool.take_back(open);
        }
    }
}
