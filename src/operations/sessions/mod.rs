//! TODO

pub mod end;
pub mod open;
