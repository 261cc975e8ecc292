//! Sessions: opened by whichever sign-in method, and ended.

pub mod end;
pub mod open;
