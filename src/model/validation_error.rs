//! A value that is not accepted, wherever it came from: a form, a flag, a seed file, a registration.

use std::fmt;

/// Which key, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// The key, as seed files spell it.
    pub key: &'static str,
    /// One sentence, or the end of one that begins with the key.
    pub why: String,
}

impl ValidationError {
    /// Says why a key's value is not accepted.
    pub fn new(key: &'static str, why: impl Into<String>) -> Self {
        Self { key, why: why.into() }
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

impl std::error::Error for ValidationError {}
