//! Takes the steps of the schema on SQLite. They are noted where sqlx notes them, so that a file that either made is
//! the other's as well.

use anyhow::ensure;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::store::migrations;

pub(super) fn run(connection: &mut Connection) -> anyhow::Result<()> {
    const FIND: &str = "SELECT checksum, success FROM _sqlx_migrations WHERE version = ?1";
    const NOTE: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                        VALUES (?1, ?2, TRUE, ?3, -1)";
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, \
         execution_time BIGINT NOT NULL)",
    )?;
    for step in migrations::migrator().iter() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: Option<(Vec<u8>, bool)> =
            transaction.query_row(FIND, [step.version], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((checksum, success)) = found {
            ensure!(success, "migration {} was only partly applied", step.version);
            ensure!(checksum == *step.checksum, "migration {} was changed since it was applied", step.version);
            continue;
        }
        transaction.execute_batch(step.sql.as_str())?;
        transaction.execute(NOTE, params![step.version, &*step.description, &*step.checksum])?;
        transaction.commit()?;
    }
    Ok(())
}
