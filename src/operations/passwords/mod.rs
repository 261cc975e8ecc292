//! Passwords that are set without one: by a one-time link that an operator hands over, or that is mailed.

pub mod address;
pub mod link;
pub mod mail;
pub mod redeem;
