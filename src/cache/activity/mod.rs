//! What is remembered of User Activity between requests.

pub mod chain_seen;
pub mod day_counts;
