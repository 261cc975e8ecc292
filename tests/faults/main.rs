//! The real binary under faults: killed, replicated, its database stalled or cut off, overloaded, badly configured.
//!
//! Every test has a temporary folder, free ports and a database of its own, on SQLite and (in the cluster that
//! `CONNECT_IDP_TEST_POSTGRES` names) on PostgreSQL.

#![cfg(test)]

#[macro_use]
mod support;

mod canary;
#[path = "../clients/certificates.rs"]
mod certificates;
mod cut_off;
mod endings;
mod fail_over;
mod floods;
mod house;
mod killed;
mod overload;
mod pooler;
mod previous;
mod proxy;
mod relying_parties;
mod replicas;
mod restore;
mod rolling;
mod servers;
mod site;
mod slow_clients;
mod sockets;
mod stalled;
mod start_up;
mod streams;
mod tenfold;
mod visitors;
