//! TODO

pub mod link;
pub mod mail;
