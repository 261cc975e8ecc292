//! The admin API.

mod clients;
mod matrix;
mod once;
mod providers;
mod reading;
mod users;
