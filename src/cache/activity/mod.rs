//! TODO

pub mod chain_seen;
pub mod day_counts;
