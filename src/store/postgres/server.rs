//! PostgreSQL as we reach it: the pool, what each connection is told, which ones are trusted no longer, and why there
//! is none.

use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, SqlSafeStr as _, SqlStr,
    raw_sql,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::{NOT_WHOLE, Pooling, is_whole};
use crate::store::error::Error;
use crate::store::measures::Connections;
use crate::store::patience::{ACQUIRE_TRY, STATEMENT_TIMEOUT};

/// A connection idle for longer is asked whether it still stands before it is used, and has so long to answer.
const TRUST_IDLE: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(1);
/// No connection is older: what its server was told since by its operators holds for all by then.
const MAX_AGE: Duration = Duration::from_mins(30);
/// A connection that nobody used for so long is closed.
const MAX_IDLE: Duration = Duration::from_mins(10);
/// How long a try may take that is made to learn why there is no connection, and how long what it found counts.
const PROBE: Duration = Duration::from_secs(2);
const PROBE_COUNTS: Duration = Duration::from_secs(1);
/// What goes on for a while is said in the log so often.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// The server, and our connections to it. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Server(Arc<Parts>);

struct Parts {
    pool: PgPool,
    pooling: Pooling,
    doubt: Doubt,
    /// How many connections somebody has.
    pooled: AtomicU32,
    said_all_lent: RwLock<Option<Instant>>,
    diagnosis: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl fmt::Debug for Server {
    // The options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.place())
    }
}

/// When a connection was last found to be cut. Those opened before it are as likely of no use, and are replaced: a
/// server that failed over or restarted has cut them all, and one that was read-only for a while is so for each that
/// was opened then (G33).
#[derive(Clone, Debug, Default)]
struct Doubt(Arc<RwLock<Option<Instant>>>);

impl Doubt {
    fn begin(&self) {
        if self.0.write().unwrap_or_else(PoisonError::into_inner).replace(Instant::now()).is_none_or(is_long_ago) {
            tracing::warn!("a connection to the database was cut: those opened before are replaced");
        }
    }

    fn covers(&self, age: Duration) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|begun| age >= begun.elapsed())
    }
}

fn is_long_ago(at: Instant) -> bool {
    at.elapsed() > SAY_AGAIN
}

/// A connection that somebody has.
pub(in crate::store) struct PooledConnection {
    pub(super) connection: PoolConnection<Postgres>,
    server: Server,
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        self.server.0.pooled.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PooledConnection {
    /// Whether the connection is ours for good, and keeps what we name on it.
    pub(super) fn is_whole(&self) -> bool {
        self.server.pooling() == Pooling::Session
    }

    /// Where its server is, for people.
    pub(super) fn place(&self) -> String {
        self.server.place()
    }

    pub(super) fn close_on_drop(&mut self) {
        self.connection.close_on_drop();
    }

    /// It was cut: so may those be that are as old.
    pub(super) fn doubt(&self) {
        self.server.doubt();
    }

    /// Puts a new connection in the place of one that was cut while nothing but SELECTs ran on it.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        let made = timeout(ACQUIRE_TRY, self.server.connect()).await;
        *self.connection = made
            .map_err(|_| Error::Unreachable(self.server.is_silent()))?
            .map_err(|error| Error::Unreachable(self.server.why(&error)))?;
        self.begin_to_read().await
    }

    /// Behind a pooler that gives each transaction any connection, what a SELECT needs from one step to the next lasts
    /// in a transaction alone.
    pub(super) async fn begin_to_read(&mut self) -> Result<(), Error> {
        if self.server.0.pooling == Pooling::Transaction {
            let begin = begin("BEGIN READ ONLY", Pooling::Transaction, STATEMENT_TIMEOUT);
            raw_sql(begin).execute(&mut *self.connection).await?;
        }
        Ok(())
    }

    /// What opens a transaction whose statements end with the time that is left.
    pub(super) fn begin(&self, left: Duration) -> SqlStr {
        begin("BEGIN", self.server.0.pooling, left)
    }
}

fn begin(how: &'static str, pooling: Pooling, left: Duration) -> SqlStr {
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

impl Server {
    pub(in crate::store) fn open(url: &str, connections: u32, pooling: Pooling) -> anyhow::Result<Self> {
        // Else a piece of a password would be taken for the name of a database, and said.
        anyhow::ensure!(is_whole(url), "database.url {NOT_WHOLE}");
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| anyhow::anyhow!("database.url is not a PostgreSQL address: {error}"))?
            .application_name("connect-idp")
            // Poolers refuse what they do not know of a connection's start: the rest is said after it.
            .extra_float_digits(None::<i8>)
            .disable_statement_logging();
        let doubt = Doubt::default();
        let asked = doubt.clone();
        let mut pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TRY)
            .max_lifetime(MAX_AGE)
            .idle_timeout(MAX_IDLE)
            .after_connect(move |connection, _| Box::pin(greet(connection, pooling)))
            // Asking before every use nearly doubles a read; asking after a pause finds what was cut meanwhile.
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let doubt = asked.clone();
                Box::pin(async move {
                    if doubt.covers(meta.age) {
                        return Ok(false);
                    }
                    let stands =
                        meta.idle_for <= TRUST_IDLE || matches!(timeout(PING, connection.ping()).await, Ok(Ok(())));
                    if !stands {
                        doubt.begin();
                    }
                    Ok(stands)
                })
            });
        if pooling == Pooling::Transaction {
            // A read ends here; what a transaction finished is over already.
            pool = pool.after_release(|connection, _| {
                Box::pin(async move { raw_sql("ROLLBACK").execute(connection).await.map(|_| true) })
            });
        }
        Ok(Self(Arc::new(Parts {
            pool: pool.connect_lazy_with(options),
            pooling,
            doubt,
            pooled: AtomicU32::new(0),
            said_all_lent: RwLock::default(),
            diagnosis: Mutex::default(),
        })))
    }

    /// A connection; `None` when it may be tried again: all are taken, or there is one to be had by now.
    pub(in crate::store) async fn acquire(&self) -> Result<Option<PooledConnection>, Error> {
        use sqlx::Error::{PoolClosed, PoolTimedOut};
        match self.0.pool.acquire().await {
            Ok(connection) => {
                self.0.pooled.fetch_add(1, Ordering::Relaxed);
                Ok(Some(PooledConnection { connection, server: self.clone() }))
            }
            Err(PoolTimedOut) if self.are_all_lent() => {
                self.say_all_lent();
                Ok(None)
            }
            Err(PoolTimedOut) => self.probe().await.map(|()| None).map_err(Error::Unreachable),
            Err(PoolClosed) => Err(PoolClosed.into()),
            Err(error) => Err(Error::Unreachable(self.why(&error))),
        }
    }

    /// A connection that the pool does not know.
    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.0.pool.connect_options().connect().await?;
        greet(&mut connection, self.0.pooling).await?;
        Ok(connection)
    }

    /// Connections that there are by now are not trusted any longer.
    pub(in crate::store) fn doubt(&self) {
        self.0.doubt.begin();
    }

    pub(in crate::store) fn connections(&self) -> Connections {
        Connections::of(&self.0.pool)
    }

    pub(in crate::store) async fn close(&self) {
        self.0.pool.close().await;
    }

    pub(super) fn pooling(&self) -> Pooling {
        self.0.pooling
    }

    fn most(&self) -> u32 {
        self.0.pool.options().get_max_connections()
    }

    fn are_all_lent(&self) -> bool {
        self.0.pooled.load(Ordering::Relaxed) >= self.most()
    }

    fn say_all_lent(&self) {
        let mut said = self.0.said_all_lent.write().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(is_long_ago) {
            *said = Some(Instant::now());
            tracing::warn!("{}", self.all_lent());
        }
    }

    fn all_lent(&self) -> String {
        format!(
            "all {} connections to the database are in use, and others wait for one: raise database.connections if this \
             goes on",
            self.most()
        )
    }

    /// Why there is no connection to be had, if so.
    pub(in crate::store) async fn diagnose(&self) -> Result<(), String> {
        if self.are_all_lent() { Err(self.all_lent()) } else { self.probe().await }
    }

    /// Tries whether a connection can be made, aside from the pool, which does not say why it has none. One tries at a
    /// time, for all who want to know.
    async fn probe(&self) -> Result<(), String> {
        let mut last = self.0.diagnosis.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < PROBE_COUNTS
        {
            return found.clone();
        }
        let found = match timeout(PROBE, self.connect()).await {
            Ok(Ok(connection)) => {
                // A farewell that fails harms nobody.
                let _ = connection.close().await;
                Ok(())
            }
            Ok(Err(error)) => Err(self.why(&error)),
            Err(_) => Err(self.is_silent()),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }

    fn is_silent(&self) -> String {
        format!(
            "{} does not answer: look at the network between, and whether a pooler there has a connection left, or correct \
             database.url",
            self.place()
        )
    }

    /// Where it is, for people.
    fn place(&self) -> String {
        let options = self.0.pool.connect_options();
        match options.get_socket() {
            Some(folder) => format!("the socket in {}", folder.display()),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        }
    }

    /// Why a connection could not be made, and what to do.
    fn why(&self, error: &sqlx::Error) -> String {
        let (place, options) = (self.place(), self.0.pool.connect_options());
        let user = options.get_username();
        if let sqlx::Error::Io(io) = error {
            let text = io.to_string();
            return if matches!(io.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) {
                format!("nothing listens at {place} ({text}): start PostgreSQL there, or correct database.url")
            } else if text.contains("lookup address") || text.contains("did not resolve") {
                format!("the host {} is unknown: correct database.url", options.get_host())
            } else if io.kind() == ErrorKind::UnexpectedEof {
                format!("{place} closes each connection at once: see whether a PostgreSQL is behind it")
            } else {
                format!("{place} cannot be talked to ({text}): look at the network between, or correct database.url")
            };
        }
        if let sqlx::Error::Tls(tls) = error {
            return format!("TLS with {place} fails ({tls}): see its certificate, and sslmode in database.url");
        }
        let Some(database) = error.as_database_error() else {
            return format!("{place} does not answer as PostgreSQL does ({error}): correct database.url");
        };
        let said = database.message();
        match database.code().as_deref() {
            Some("28P01") => format!("the password of {user} is wrong: correct it in database.url"),
            Some("28000") => format!("{user} is not let in ({said}): correct database.url, or pg_hba.conf there"),
            Some("3D000") => format!(
                "there is no database {} at {place}: create it, or correct database.url",
                options.get_database().unwrap_or(user)
            ),
            Some("53300") => format!(
                "{place} has no connection left for us ({said}): raise its max_connections, or lower database.connections"
            ),
            Some("57P03") => format!("{place} is starting up or shutting down ({said}): wait, or read its log"),
            _ => format!("{place} refuses the connection ({said}): see that database.url is right"),
        }
    }
}

/// What holds for all that a connection does. A pooler that gives each transaction any connection would forget it.
async fn greet(connection: &mut PgConnection, pooling: Pooling) -> Result<(), sqlx::Error> {
    match pooling {
        Pooling::Session => {
            let settings = settings("SET", STATEMENT_TIMEOUT.as_millis());
            raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
        }
        Pooling::Transaction => Ok(()),
    }
}

/// Whether an address names another machine and does not ask for TLS.
pub(in crate::store) fn is_unprotected(url: &str) -> bool {
    let Some(options) = url.starts_with("postgres").then(|| PgConnectOptions::from_str(url).ok()).flatten() else {
        return false;
    };
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !here && matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_without_tls_is_unprotected() {
        for open in [
            "postgres://idp@db.example.org/connect",
            "postgres://idp@10.0.0.7:5433/connect?sslmode=prefer",
            "postgres://idp@[2001:db8::7]/connect?sslmode=disable",
        ] {
            assert!(is_unprotected(open), "{open}");
        }
        for closed in [
            "postgres://idp@db.example.org/connect?sslmode=require",
            "postgres://idp@db.example.org/connect?sslmode=verify-full",
            "postgres://idp@localhost/connect",
            "postgres://idp@127.0.0.1:5433/connect",
            "postgres://idp@[::1]/connect",
            "postgres:///connect?host=/run/postgresql",
            "sqlite://connect.db",
        ] {
            assert!(!is_unprotected(closed), "{closed}");
        }
    }

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

    #[tokio::test]
    async fn connections_older_than_one_that_was_cut_are_in_doubt() {
        let doubt = Doubt::default();
        assert!(!doubt.covers(Duration::from_hours(1)));
        doubt.begin();
        assert!(doubt.covers(Duration::from_secs(1)));
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!doubt.covers(Duration::from_millis(1)), "one opened since");
    }
}
