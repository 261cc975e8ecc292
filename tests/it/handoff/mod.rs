//! The way in from Therap Services.

mod deadlines;
mod explain;
mod rules;
mod senders;
pub mod vectors;
mod workbench;
