//! Unified Login: a provider asks for it, Therap decides.

pub mod asking;
pub mod requests;
pub(in crate::console) mod steps;
