//! TODO

pub mod access;
pub mod codes;
pub mod families;
