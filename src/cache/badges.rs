//! How much work waits for operators, as the navigation of each of their pages says: counted anew for each page, and kept
//! for as long as that page is drawn.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::store::statistics::Pending;

/// The counts that were read last.
#[derive(Debug, Default)]
pub struct Badges {
    requests: AtomicI64,
    logouts: AtomicI64,
}

impl Badges {
    /// Takes what was just counted.
    pub fn take(&self, pending: Pending) {
        self.requests.store(pending.requests, Ordering::Relaxed);
        self.logouts.store(pending.logouts, Ordering::Relaxed);
    }

    /// What was counted last.
    #[must_use]
    pub fn get(&self) -> Pending {
        Pending { requests: self.requests.load(Ordering::Relaxed), logouts: self.logouts.load(Ordering::Relaxed) }
    }
}
