//! CSV files, read from and written for other programs.

pub mod file;
pub mod table;
pub mod text;
