//! How long we wait for a database.

use std::time::Duration;

/// No statement runs longer than this on PostgreSQL, and no transaction waits longer for another process that writes to
/// SQLite's file. Just under a handoff's 30 seconds, so that an ordinary handoff needs no time-out of its own.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(28);
/// How long past its deadline a transaction may go without an answer before nobody waits for it any longer.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
/// How long one try for a connection lasts before we look whether the database is there at all.
pub(super) const ACQUIRE_TRY: Duration = Duration::from_secs(3);
