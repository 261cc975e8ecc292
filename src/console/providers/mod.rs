//! Providers: the list, one, and the one that an admin is of.

pub mod actions;
pub mod confirm;
mod form;
pub mod list;
pub mod own;
pub mod provider;
