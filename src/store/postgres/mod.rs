//! PostgreSQL as we use it.

mod said;
mod schema;
mod server;
mod talk;

pub(super) use self::said::{is_kept_waiting, is_no_such_table};
pub(super) use self::server::{Server, is_unprotected};
pub(super) use self::talk::Talk;
