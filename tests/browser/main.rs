//! Journeys of people in real browsers against the example demo: the real service beside a stand-in for Therap
//! Services.
//!
//! A test's name is a claim; those that begin with `quick_` run in `tests/run --quick` too, those with `firefox` in
//! their name run in Firefox. [`harness`] starts the demo and the browser, and is what a journey is told with.

#![cfg(test)]

mod harness;
#[path = "../harness/needs.rs"]
mod needs;
#[path = "../harness/process.rs"]
#[expect(dead_code, reason = "tests/faults asks more of a process")]
mod process;

mod accounts;
mod admin_tour;
mod admins;
mod at_will;
mod broken_script;
mod firefox;
mod front_door;
mod handoff;
mod keyboard;
mod logout;
mod looks;
mod no_script;
mod portal;
mod refusals;
mod screenshots;
mod session_end;
mod sessions;
mod tour;
mod update;
