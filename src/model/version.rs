//! Which version of something a person saw before confirming an act on it (G34).

use std::fmt;

/// The revision of its data, and the epoch that counts the ends of its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Of the data.
    pub revision: i64,
    /// Of what it opened.
    pub epoch: i64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.revision, self.epoch)
    }
}
