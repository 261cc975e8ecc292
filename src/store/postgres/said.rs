//! What PostgreSQL says when something fails, and what that is to us.

use sqlx::error::DatabaseError;

use crate::store::error::Error;

/// The word for a write to a server that is read-only.
const READ_ONLY: &str = "25006";

/// Whether an error says that its connection is of no use any more.
pub(super) fn is_cut(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, Protocol, Tls, WorkerCrashed};
    match error.as_database_error().map(DatabaseError::code) {
        Some(code) => code.is_some_and(|code| ends_connection(&code)),
        None => matches!(error, Io(_) | Tls(_) | Protocol(_) | WorkerCrashed),
    }
}

/// Whether a server says that it ends the connection: what was asked last is not done, unless that was said before.
pub(super) fn is_ended_by_server(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "57P01")
}

/// Connection trouble, shutting down, starting up, ended for its idleness in a transaction; and read-only, which some
/// connections stay when their server is not so any longer.
fn ends_connection(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || matches!(code, READ_ONLY | "25P03" | "25P04")
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Tls, WorkerCrashed};
        let said = error.to_string();
        let Some(database) = error.as_database_error() else {
            return if matches!(error, PoolTimedOut) {
                Self::Stalled(said)
            } else if matches!(error, Io(_) | Tls(_) | PoolClosed | WorkerCrashed) {
                Self::Unavailable(said)
            } else {
                Self::Unexpected(said)
            };
        };
        match database.code().as_deref() {
            // Statement and lock time-outs.
            Some("57014" | "55P03") => Self::Stalled(said),
            // Serialization failure, deadlock; and a name that another transaction took since it was seen to be free.
            Some("40001" | "40P01" | "23505") => Self::Contended(said),
            // A statement whose name is not known there, or known already.
            Some("26000" | "42P05") => Self::Parted(said),
            Some(READ_ONLY) => Self::ReadOnly(said),
            // Too many, out of memory, a full disk.
            Some(code) if ends_connection(code) || code.starts_with("53") => Self::Unavailable(said),
            _ => Self::Unexpected(said),
        }
    }
}

/// PostgreSQL's word for a table that is not there.
pub(in crate::store) fn is_no_such_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "42P01")
}

/// Whether a step of the schema did not get a lock in time, or stood in another's way.
pub(in crate::store) fn is_kept_waiting(error: &anyhow::Error) -> bool {
    let database = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>());
    let code = database.and_then(|error| error.as_database_error()).and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(code.as_ref(), "55P03" | "40P01"))
}
