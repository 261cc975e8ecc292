//! PostgreSQL as we use it.

mod address;
mod doubt;
mod pool;
mod said;
mod schema;
mod server;
mod talk;
mod told;

pub(super) use self::address::is_unprotected;
pub(super) use self::said::{is_kept_waiting, is_no_such_table};
pub(super) use self::server::Server;
pub(super) use self::talk::Talk;
