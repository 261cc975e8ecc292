//! A fair queue per account: guesses at one account are taken in hand in the order they came, three at a time (G3).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const IN_HAND: usize = 3;
/// The map is swept when it has grown by this many names.
const SWEEP_EVERY: usize = 1024;

/// The queues of this process. What keeps the promise is the database; this only keeps its waiters in order.
#[derive(Debug, Default)]
pub struct AccountQueue {
    queues: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl AccountQueue {
    /// Waits for this account's turn; the permit ends it.
    pub async fn turn(&self, account: &str) -> Option<OwnedSemaphorePermit> {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            if queues.len() >= SWEEP_EVERY {
                queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            }
            Arc::clone(queues.entry(account.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(IN_HAND))))
        };
        queue.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn three_are_in_hand_and_forgotten_queues_are_swept() {
        let queue = AccountQueue::default();
        let held = [queue.turn("a").await, queue.turn("a").await, queue.turn("a").await];
        let fourth = tokio::time::timeout(std::time::Duration::from_millis(20), queue.turn("a"));
        assert!(fourth.await.is_err());
        for number in 0..SWEEP_EVERY {
            drop(queue.turn(&number.to_string()).await);
        }
        assert!(queue.queues.lock().unwrap().len() < SWEEP_EVERY);
        drop(held);
        assert!(queue.turn("a").await.is_some());
    }
}
