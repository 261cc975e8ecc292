//! Clients, their ids and their keys.

mod ids;
pub mod keys;
pub mod lifecycle;
