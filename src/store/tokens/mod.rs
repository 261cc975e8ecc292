//! Codes, access tokens, and the families that they belong to.

pub mod access;
pub mod at_once;
pub mod codes;
pub mod families;
