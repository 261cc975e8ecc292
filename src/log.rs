//! The request at hand, as every line of the log about it names it, and the one line that it has itself.
//!
//! What is known of a request goes with its task, and with each task that it begins by [`spawn`]: a line that is
//! written meanwhile carries the reference number, and a request of ours to others belongs to the same trace.

mod call;
pub mod format;
mod line;
mod request;

pub use self::call::Call;
pub use self::line::{Line, TARGET};
pub use self::request::{Ids, Learnt, Request, at_hand, name_client, name_provider, sign_in, spawn, working_for};

#[cfg(test)]
pub(crate) use self::request::tests;
