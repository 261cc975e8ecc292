//! TODO

pub mod in_use;
pub mod rotation;
pub mod sealing;
