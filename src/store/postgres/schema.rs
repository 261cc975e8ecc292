//! Brings PostgreSQL's schema up to date while others use it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Postgres, Row as _, Transaction, raw_sql};

use super::pool::PooledConnection;
use super::said::is_kept_waiting;
use super::server::Server;
use crate::config::Pooling;
use crate::store::error::Error;
use crate::store::migrations;

/// Who migrates holds this lock, any number of ours.
const MIGRATING: i64 = 0x6964_705f_6d69_6772;

/// As long a step of the schema waits for a table that is in use before it lets others at it, and so often it tries
/// again.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_secs(2);
const LOCK_TRIES: u32 = 150;

impl Server {
    /// Runs what is missing of the schema, all or nothing; then builds the indices that are missing. Broken off, it is
    /// whole when it is run again.
    pub(in crate::store) async fn migrate(&self) -> anyhow::Result<()> {
        let mut tried = 1;
        while let Err(error) = self.take_steps().await {
            if tried == LOCK_TRIES || !is_kept_waiting(&error) {
                return Err(error);
            }
            tracing::info!("a table is in use for long; the schema's next step waits and tries again ({tried})");
            tried += 1;
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        self.build_indices().await
    }

    /// A connection that is closed after its use.
    pub(in crate::store) async fn acquire_alone(&self) -> Result<PooledConnection, Error> {
        loop {
            if let Some(mut pooled) = self.acquire().await? {
                pooled.close_on_drop();
                return Ok(pooled);
            }
        }
    }

    /// The lock lasts as long as the transaction, so that no pooler can part the two.
    async fn take_steps(&self) -> anyhow::Result<()> {
        const IS_NEW: &str = "SELECT CAST(1 AS BIGINT) WHERE to_regclass('_sqlx_migrations') IS NULL";
        let mut pooled = self.acquire_alone().await?;
        let mut tx = self.begin_to_change_schema(&mut pooled).await?;
        let is_new = raw_sql(IS_NEW).fetch_optional(&mut *tx).await?.is_some();
        let migrator = if is_new { migrations::migrator() } else { migrations::migrator_without_indices() };
        migrator.run(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A transaction in which the schema may change, one at a time: however long it takes, and without waiting long for
    /// a table.
    pub(in crate::store) async fn begin_to_change_schema<'c>(
        &self,
        pooled: &'c mut PooledConnection,
    ) -> Result<Transaction<'c, Postgres>, sqlx::Error> {
        let mut tx = pooled.connection()?.begin().await?;
        // What a step does to ten million records takes longer than any statement of ours may.
        raw_sql("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        if self.pooling() == Pooling::Transaction {
            // The migrations' statements have names, which an earlier run may have left in a pooler's connection.
            raw_sql("DEALLOCATE ALL").execute(&mut *tx).await?;
        }
        raw_sql(AssertSqlSafe(format!("SELECT pg_advisory_xact_lock({MIGRATING})"))).execute(&mut *tx).await?;
        // Who waits for a table's lock lets nobody else at the table.
        raw_sql(AssertSqlSafe(format!("SET LOCAL lock_timeout = {}", LOCK_WAIT.as_millis()))).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// One after the other, beside everything else. What another process builds at the same time is waited for without
    /// a transaction: a build waits for everybody's.
    async fn build_indices(&self) -> anyhow::Result<()> {
        let mut pooled = self.acquire_alone().await?;
        let conn = pooled.connection()?;
        if self.pooling() == Pooling::Session {
            raw_sql("SET statement_timeout = 0").execute(&mut *conn).await?;
            let turn = format!("SELECT CAST(1 AS BIGINT) WHERE pg_try_advisory_lock({})", MIGRATING + 1);
            while raw_sql(AssertSqlSafe(turn.clone())).fetch_optional(&mut *conn).await?.is_none() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        for index in migrations::indices() {
            let found = format!(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = CAST(to_regclass('{}') AS OID)",
                index.name
            );
            let found = raw_sql(AssertSqlSafe(found)).fetch_optional(&mut *conn).await?;
            let is_whole = found.map(|row| row.try_get::<bool, _>(0)).transpose()?;
            if is_whole == Some(true) {
                continue;
            }
            tracing::info!("the index {} is built, beside everything else", index.name);
            if is_whole == Some(false) {
                raw_sql(AssertSqlSafe(index.remove())).execute(&mut *conn).await?;
            }
            raw_sql(AssertSqlSafe(index.build())).execute(&mut *conn).await?;
        }
        Ok(())
    }
}
