//! Sessions: opened by whichever door, and ended.

pub mod end;
pub mod open;
