//! Whom requests are sent as: a [`Browser`], [`TherapServices`], a [`RelyingParty`] with its [`BackChannel`]; and the
//! [`Idp`] they are sent to.

mod answer;
mod back_channel;
mod browser;
mod idp;
mod log;
mod program;
mod relying_party;
mod therap_services;

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;

pub use crate::databases::server as postgres_server;
pub use crate::needs::{left_out, named};
pub use crate::redis_server::RedisServer;
pub use answer::Answer;
pub use back_channel::{BackChannel, on_loopback};
pub use browser::{Browser, From, NOTICES, encode};
pub use idp::{Empty, Idp, Outsider, PASSWORD, User, line};
pub use log::{keep_log, logged, request_lines};
pub use program::{Program, Told};
pub use relying_party::{Callback, RelyingParty, VERIFIER, bearer, claims};
pub use therap_services::{ISSUER, TherapServices, private_jwk, public_jwks};

/// On which engine a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Asks twenty times at once: everybody is answered, and nobody is told of a fault of ours.
pub async fn twenty_at_once<F: Future<Output = StatusCode> + Send + 'static>(what: &str, ask: impl Fn() -> F) {
    let tasks = join_all((0..20).map(|_| tokio::spawn(ask())));
    let answers = tokio::time::timeout(Duration::from_secs(20), tasks).await;
    for status in answers.unwrap_or_else(|_| panic!("somebody waits for ever at {what}")) {
        let status = status.unwrap();
        assert!(status.as_u16() < 500 || status == 503, "{what}: {status}");
    }
}
