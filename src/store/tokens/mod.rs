//! Codes, access tokens, and the families that they belong to.

pub mod access;
pub mod codes;
pub mod families;
