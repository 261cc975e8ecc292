//! Unified Login: a provider asks for it, Therap decides.

pub mod approve;
pub mod asking;
pub(in crate::console) mod history;
pub mod requests;
