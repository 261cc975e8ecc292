//! PostgreSQL as we reach it: a connection, or why there is none.

use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::address::Address;
use super::doubt::is_long_ago;
use super::pool::{Missing, Pool, PooledConnection};
use crate::config::{NOT_WHOLE, Pooling, is_whole};
use crate::store::error::Error;
use crate::store::measures::Connections;

/// How long a try may take that is made to learn why there is no connection, and how long what it found counts.
const PROBE: Duration = Duration::from_secs(2);
const PROBE_COUNTS: Duration = Duration::from_secs(1);

/// The server, and our connections to it. Cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Server(Arc<Parts>);

struct Parts {
    pool: Arc<Pool>,
    said_all_lent: RwLock<Option<Instant>>,
    diagnosis: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl fmt::Debug for Server {
    // The options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.0.pool.address().place())
    }
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
        let pool = Arc::new(Pool::new(Address(options), pooling, connections));
        Ok(Self(Arc::new(Parts { pool, said_all_lent: RwLock::default(), diagnosis: Mutex::default() })))
    }

    /// A connection; `None` when it may be tried again: all are taken, or there is one to be had by now.
    pub(in crate::store) async fn acquire(&self) -> Result<Option<PooledConnection>, Error> {
        match PooledConnection::acquire(&self.0.pool).await {
            Ok(pooled) => Ok(Some(pooled)),
            Err(Missing::Late) if self.0.pool.are_all_lent() => {
                self.say_all_lent();
                Ok(None)
            }
            Err(Missing::Late) => self.probe().await.map(|()| None).map_err(Error::Unreachable),
            Err(Missing::Closed) => Err(sqlx::Error::PoolClosed.into()),
            Err(Missing::Failed(error)) => Err(Error::Unreachable(self.0.pool.address().why(&error))),
        }
    }

    /// Connections that there are by now are not trusted any longer.
    pub(in crate::store) fn doubt(&self) {
        self.0.pool.doubt();
    }

    pub(in crate::store) fn connections(&self) -> Connections {
        self.0.pool.connections()
    }

    pub(in crate::store) async fn close(&self) {
        self.0.pool.close().await;
    }

    pub(super) fn pooling(&self) -> Pooling {
        self.0.pool.pooling()
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
            self.0.pool.most()
        )
    }

    /// Why there is no connection to be had, if so.
    pub(in crate::store) async fn diagnose(&self) -> Result<(), String> {
        if self.0.pool.are_all_lent() { Err(self.all_lent()) } else { self.probe().await }
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
        let found = match timeout(PROBE, self.0.pool.connect()).await {
            Ok(Ok(connection)) => {
                // A farewell that fails harms nobody.
                let _ = connection.close().await;
                Ok(())
            }
            Ok(Err(error)) => Err(self.0.pool.address().why(&error)),
            Err(_) => Err(self.0.pool.address().is_silent()),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}
