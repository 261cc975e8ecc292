//! The service as its users, its sister product and its operators meet it: the router in-process, no ports, a fresh
//! database for each test, on SQLite and on PostgreSQL. Laid out as `src` is; what spans it lies beside this file.
//! [`actors`] are whom requests are sent as.

#![cfg(test)]

#[macro_use]
mod macros;

mod actors;
#[path = "../harness/databases.rs"]
mod databases;
#[path = "../harness/needs.rs"]
mod needs;
#[path = "../harness/ports.rs"]
mod ports;
#[path = "../harness/process.rs"]
#[expect(dead_code, reason = "tests/faults asks more of a process")]
mod process;
#[path = "../harness/redis_server.rs"]
mod redis_server;

mod api;
mod by_reading;
mod cache;
mod cli;
mod config;
mod console;
mod crypto;
mod dashboard;
mod documents;
mod floors;
mod handoff;
mod help;
mod login;
mod metrics;
mod oidc;
mod operations;
mod outbound;
mod pages;
mod races;
mod routes;
mod scim;
mod seams;
mod store;
mod two_connections;
mod web;

/// Plain `cargo test` runs what needs SQLite alone, and says so.
#[test]
fn what_was_left_out() {
    for (variable, what) in [
        ("CONNECT_IDP_TEST_POSTGRES", "the tests on PostgreSQL"),
        ("CONNECT_IDP_TEST_REDIS_SERVER", "the tests with Redis"),
        ("CONNECT_IDP_TEST_MAIL", "mail, through a real server"),
        ("CONNECT_IDP_TEST_SENDERS", "the senders in Node and Python"),
    ] {
        if std::env::var_os(variable).is_none() {
            actors::left_out(&format!("{what} ({variable} is not set; tests/run sets everything)"));
        }
    }
}
