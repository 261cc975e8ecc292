//! TODO

pub mod file;
pub mod table;
pub mod text;
