//! The admin API.

mod clients;
mod examples;
mod extract;
mod idempotency;
mod matrix;
mod providers;
mod users;
