//! How soon a Redis that was lost is looked for again.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is looked whether Redis is there, or is there again.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// One that is lost within 10 s of being found is looked for less and less often, up to this: a cluster that is half
/// there, or a machine that is too slow, fills no log.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(6);
const UNSTEADY: Duration = Duration::from_secs(10);

/// When Redis was last found, and how long it is not looked for once it is lost.
#[derive(Clone, Copy)]
pub(super) struct Steadiness {
    found: Instant,
    lost: Instant,
    pause: Duration,
}

impl Default for Steadiness {
    fn default() -> Self {
        let now = Instant::now();
        Self { found: now, lost: now, pause: Duration::ZERO }
    }
}

impl Steadiness {
    pub(super) fn find(&mut self) {
        self.found = Instant::now();
    }

    /// Redis is lost, after it was found.
    pub(super) fn lose(&mut self) {
        let is_steady = self.found.elapsed() >= UNSTEADY;
        self.pause = if is_steady { Duration::ZERO } else { (self.pause * 2).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY) };
        self.lost = Instant::now();
    }

    /// Whether it is too soon to look for it.
    pub(super) fn is_pausing(&self) -> bool {
        self.lost.elapsed() < self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_again_and_again_is_looked_for_less_often() {
        let mut steadiness = Steadiness::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            steadiness.find();
            steadiness.lose();
            let lost = Instant::now();
            while steadiness.is_pausing() {
                tokio::time::advance(Duration::from_millis(500)).await;
            }
            pauses.push(lost.elapsed().as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 6, 6, 6]);
        steadiness.find();
        tokio::time::advance(UNSTEADY).await;
        steadiness.lose();
        assert!(!steadiness.is_pausing());
    }
}
