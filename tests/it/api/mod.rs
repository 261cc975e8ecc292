//! The admin API.

mod clients;
mod extract;
mod idempotency;
mod matrix;
mod providers;
mod users;
