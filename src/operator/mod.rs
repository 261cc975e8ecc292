//! The Therap Admin's pages: providers, requests for Unified Login, trusted issuers, activity across providers.

pub mod activity;
pub mod confirm;
pub mod home;
pub mod issuer;
pub mod issuers;
pub mod provider;
pub mod provider_acts;
pub mod providers;
pub mod requests;
