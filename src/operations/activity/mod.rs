//! User Activity: browsed, exported, its chain kept, proven and pruned.

pub mod browse;
pub mod chain;
pub(in crate::operations) mod chain_ends;
pub mod export;
pub mod prune;
pub mod verify;
