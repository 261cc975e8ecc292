//! Passwords that are set by a link.

mod link;
