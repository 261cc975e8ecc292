//! What pages and commands all do, once: a rule, a store call, an event.

pub mod access_token;
pub mod act;
pub mod activity_chain;
pub mod activity_file;
pub mod archive;
pub mod backup;
pub mod browse_activity;
mod chain_ends;
pub mod check_password;
pub mod client_auth;
pub mod client_keys;
pub mod clients;
pub mod creation;
pub mod csv_file;
pub mod csv_table;
pub mod csv_text;
pub mod end_sessions;
pub mod import_job;
pub mod interactions;
pub mod issuers;
pub mod key_rotation;
pub mod mail;
pub mod moving;
pub mod open_session;
pub mod password_link;
pub mod providers;
pub mod prune_activity;
pub mod refused_handoffs;
pub mod replicas;
pub mod restore;
pub mod sealing_keys;
pub mod seed_file;
pub mod sign_in;
pub mod signing_keys;
pub mod unified_login;
pub mod user_import;
pub mod users;
pub mod verify_activity;

use crate::model::event::Visitor;

/// Who does something on behalf of the house, and from where, as the record will say.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `operator NAME` for a command, `admin NAME` or `therap admin NAME` for a page.
    pub name: String,
    /// From where, with the reference number.
    pub visitor: Visitor,
}
