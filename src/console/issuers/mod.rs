//! Trusted issuers of handoffs.

pub mod confirm;
pub mod issuer;
pub mod list;
