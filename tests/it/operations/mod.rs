//! What pages, API and command line all do.

mod activity;
mod authority;
mod backup;
pub mod clients;
mod csv;
mod keys;
mod moving;
mod passwords;
mod unified_login;
mod users;
