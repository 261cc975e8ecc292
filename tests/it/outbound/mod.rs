//! What the service sends.

pub mod mail;
