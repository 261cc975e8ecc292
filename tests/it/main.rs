//! The service as its users, its sister product and its operators meet it: the router in-process, no ports, a fresh
//! database for each test, on SQLite and on PostgreSQL. [`actors`] are whom requests are sent as.

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

mod activity;
mod activity_chain;
mod activity_reference;
mod api;
mod authority;
mod backup;
mod by_reading;
mod client_ids;
mod client_keys;
mod clients;
mod console;
mod csv_files;
mod database;
mod deadlines;
mod doctor;
mod documents;
mod explain;
mod export;
mod flash;
mod floors;
mod handoff;
mod headers;
mod health;
mod help;
mod key_sets;
mod keys;
mod login;
mod mail;
mod metrics;
mod moving;
mod oidc;
mod password_link;
mod races;
mod redis;
mod reload;
mod relying_party;
mod request_line;
mod routes;
mod scale;
mod seams;
mod senders;
mod sign_ins_per_day;
mod two_connections;
mod vectors;

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
