//! The Therap Admin's pages: providers, requests for Unified Login, clients, trusted issuers, signing keys, activity across providers.

pub mod activity;
pub mod client;
mod client_form;
mod client_secret;
pub mod clients;
pub mod confirm;
pub mod deliveries;
pub mod home;
pub mod issuer;
pub mod issuers;
pub mod keys;
mod password_again;
pub mod provider;
pub mod provider_acts;
pub mod providers;
pub mod requests;
