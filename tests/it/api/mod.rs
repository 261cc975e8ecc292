//! The admin API.

mod clients;
mod examples;
mod extract;
mod idempotency;
mod matrix;
mod people;
mod providers;
mod users;
