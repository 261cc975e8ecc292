//! What pages and commands all do, once: a rule, a store call, an event.
//!
//! An error here is the database's: nothing was written then, and trying again is right. A function whose error says
//! more, or leaves something behind, says so itself.

#![expect(clippy::missing_errors_doc, reason = "said once, above")]

pub mod activity;
pub mod admin_context;
pub mod backup;
pub mod clients;
pub mod csv;
pub mod idempotent_create;
pub mod interactions;
pub mod issuers;
pub mod keys;
pub mod moving;
pub mod passwords;
pub mod providers;
pub mod refused_handoffs;
pub mod replicas;
pub mod seed_file;
pub mod sessions;
pub mod sign_in;
pub mod unified_login;
pub mod users;

use crate::model::activity::Visitor;

/// Who does something on behalf of the operator, and from where, as the record will say.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `operator NAME` for a command, `admin NAME` or `therap admin NAME` for a page.
    pub name: String,
    /// From where, with the reference number.
    pub visitor: Visitor,
}
