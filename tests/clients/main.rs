//! Clients that others wrote, each in a real browser against the real service over TLS: discovery, sign-in, ID token,
//! userinfo, refresh, logout, with nothing set but the issuer, who the client is, and where it is.
//!
//! One file for each; the client's own program is in the folder of the same name, and is what docs/relying-party.md shows.
//! [`stage`] starts the service and the browser, [`journey`] is what every client goes through.

#![cfg(test)]

#[path = "../browser/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the journeys of tests/browser use more of it")]
mod harness;

mod certificates;
mod journey;
mod program;
mod service;
mod stage;

mod apache;
mod authlib;
mod oidc_client_ts;
mod openid_client;
mod openidconnect;
mod schemathesis;
