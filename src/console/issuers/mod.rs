//! Trusted issuers of handoffs.

pub mod issuer;
pub mod list;
