//! Which connections are trusted no longer.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

/// What goes on for a while is said in the log so often.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// When a connection was last found to be cut. Those opened before it are as likely of no use, and are replaced: a server
/// that failed over or restarted has cut them all, and one that was read-only for a while is so for each that was opened
/// then (G33).
#[derive(Debug, Default)]
pub(super) struct Doubt(RwLock<Option<Instant>>);

impl Doubt {
    pub(super) fn begin(&self) {
        if self.0.write().unwrap_or_else(PoisonError::into_inner).replace(Instant::now()).is_none_or(is_long_ago) {
            tracing::warn!("a connection to the database was cut: those opened before are replaced");
        }
    }

    pub(super) fn covers(&self, age: Duration) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|begun| age >= begun.elapsed())
    }
}

/// Whether something was said so long ago that it may be said again.
pub(super) fn is_long_ago(at: Instant) -> bool {
    at.elapsed() > SAY_AGAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_older_than_one_that_was_cut_are_in_doubt() {
        let doubt = Doubt::default();
        assert!(!doubt.covers(Duration::from_hours(1)));
        doubt.begin();
        assert!(doubt.covers(Duration::from_secs(1)));
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!doubt.covers(Duration::from_millis(1)), "one opened since");
    }
}
