//! What is remembered, and the only place that names a database's driver: one file per table group, free functions, SQL
//! beside the function. In these files SQLite and PostgreSQL are one; what they differ in is in `sqlite/` and
//! `postgres/`.
//!
//! A statement is written once ([`query`]); every write, and every `RETURNING`, runs inside `in_transaction!` (G26), or
//! `in_one_statement!` where it is one, and goes on when its caller stops waiting (G7).

pub mod activity;
pub mod clients;
mod connection;
pub mod consents;
mod database;
pub mod endings;
mod error;
pub mod handoffs;
mod held;
pub mod idempotency;
pub mod interactions;
pub mod invariants;
pub mod issuers;
pub mod keys;
pub mod logouts;
pub mod mails;
pub mod measures;
mod migrations;
pub mod moving;
pub mod passwords;
mod patience;
mod postgres;
pub mod providers;
pub mod replicas;
pub mod sessions;
pub mod settings;
pub mod single_use;
mod sqlite;
pub mod sqlite_files;
mod statement;
pub mod statistics;
pub mod strikes;
pub mod tokens;
mod transaction;
pub mod unified_login;
pub mod users;

pub use connection::{Conn, Extent, Query, Tx, query};
pub use database::Database;
pub use error::Error;
pub use migrations::Schema;
pub use statement::{Column, FromRow, Row, Sql, Value};
use statement::{can_be_stored, parsed};
pub(crate) use statement::{from_row, locking};
pub(crate) use transaction::{in_one_statement, in_transaction, transacted};
