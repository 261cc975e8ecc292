//! Where this process last saw the chain of the record end.

use std::sync::{PoisonError, RwLock};

/// A place and its seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The last place that was taken.
    pub seq: i64,
    /// Its seal.
    pub hash: String,
}

/// What was seen last. Several looks may go on at once: the furthest counts.
#[derive(Debug, Default)]
pub struct ChainSeen(RwLock<Option<Seen>>);

impl ChainSeen {
    /// What was seen last, if anything was.
    #[must_use]
    pub fn last(&self) -> Option<Seen> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes where the chain ends, unless more was seen meanwhile.
    pub fn note(&self, seq: i64, hash: &str) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_none_or(|seen| seen.seq < seq) {
            *seen = Some(Seen { seq, hash: hash.to_owned() });
        }
    }
}
