//! The command line.

mod doctor;
pub mod export;
