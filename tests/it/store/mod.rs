//! What is remembered.

mod database;
