//! Our signing keys (G20): those that are known, those that sign now, how they come and go, and the keys that seal
//! them.

pub mod in_use;
pub mod known;
pub mod rotation;
pub mod sealing;
