//! The administration pages, cut by subject. Who may ask is the type that a handler takes ([`admins`]): a Provider
//! Admin of their own agency, or a Therap Admin of the whole.

pub mod activity;
pub mod admins;
mod answers;
pub mod clients;
pub mod confirm;
pub mod deliveries;
mod form_revision;
pub mod home;
pub mod issuers;
pub mod keys;
pub mod providers;
mod reauth;
pub mod unified_login;
pub mod users;
