//! Clients and programs that others wrote, each as it comes, in a real browser against the real service over TLS:
//! discovery, sign-in, ID token, userinfo, refresh, logout, with nothing set but the issuer, who the client is, and
//! where it is; and proxies in front of the service.
//!
//! One file for each. In the folder of the same name is the app that uses a library, which docs/relying-party.md may
//! show, or the program's own configuration.
//! [`stage`] starts the service and the browser, [`journey`] is what every client goes through.

#![cfg(test)]

#[path = "../browser/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the journeys of tests/browser use more of it")]
mod harness;

#[path = "../harness/certificates.rs"]
mod certificates;
mod journey;
#[path = "../harness/needs.rs"]
mod needs;
#[path = "../harness/ports.rs"]
mod ports;
#[path = "../harness/process.rs"]
mod process;
mod program;
mod service;
mod stage;

mod apache;
mod authlib;
mod django;
mod flask_oidc;
mod jupyterhub;
mod keycloak;
mod oauth2_proxy;
mod oidc_client_ts;
mod openapi;
mod openid_client;
mod openidconnect;
mod passport;
mod pgadmin;
mod proxies;
mod schemathesis;
mod scim;
mod service_and_api;
mod spring;
