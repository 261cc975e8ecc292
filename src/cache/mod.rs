//! What makes this process quick and may be lost at any moment: never the truth about anything (G1).

pub mod account_queue;
pub mod client_keys;
pub mod day_counts;
pub mod issuers;
pub mod refusals;
pub mod signing_keys;
pub mod throttle;
