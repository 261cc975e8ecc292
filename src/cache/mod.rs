//! What makes this process quick and may be lost at any moment: never the truth about anything (G1).

pub mod activity;
pub mod badges;
pub mod client_keys;
pub mod clients;
pub mod hash_queue;
pub mod issuers;
pub mod proxies;
pub mod refusals;
pub mod shared;
pub mod signing_keys;
pub mod throttle;
