//! The real binary under faults: killed, replicated, its database stalled or cut off, overloaded, badly configured.
//!
//! Every test has a temporary folder, free ports and a database of its own, on SQLite and (in the cluster that
//! `CONNECT_IDP_TEST_POSTGRES` names) on PostgreSQL.

#![cfg(test)]

#[macro_use]
mod support;

mod canary;
#[path = "../harness/certificates.rs"]
mod certificates;
mod cut_off;
#[path = "../harness/databases.rs"]
mod databases;
mod endings;
mod fail_over;
mod floods;
mod haproxy;
mod imports;
mod killed;
#[path = "../harness/needs.rs"]
mod needs;
mod overload;
mod pooler;
#[path = "../harness/ports.rs"]
mod ports;
mod previous;
#[path = "../harness/process.rs"]
mod process;
mod proxy;
#[path = "../harness/redis_server.rs"]
#[expect(dead_code, reason = "tests/it asks more of a Redis")]
mod redis_server;
mod relying_parties;
mod renewed;
mod replicas;
mod restore;
mod rolling;
mod servers;
mod setup;
mod site;
mod slow_clients;
mod sockets;
mod stalled;
mod start_up;
mod streams;
mod tenfold;
mod visitors;
