//! User Activity, of one provider and of all.

pub mod all;
pub(super) mod chart;
pub mod own;
mod page;
pub(in crate::console) mod records;
