//! The one queue for the hash pool (G31): whoever wants a password hashed waits for a turn first, in the order they
//! came. One account has three turns at a time, as many as it has guesses (G3); all administrators together have one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::crypto::password::{Busy, Checked, HashPool, Place};

const OF_AN_ACCOUNT: usize = 3;
/// The map is swept when it has grown by this many names.
const SWEEP_EVERY: usize = 1024;

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// An account's, by its user's id, or an unknown name's.
    Account(&'a str),
    /// What administrators set: people who sign in meanwhile always find room.
    Administration,
}

/// Leave to hash; it ends when dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The pool, and who waits for it in this process. What keeps a guesser's promise is the database; this only keeps its
/// waiters in order.
pub struct HashQueue {
    pool: HashPool,
    accounts: Mutex<HashMap<String, Arc<Semaphore>>>,
    administration: Arc<Semaphore>,
}

impl fmt::Debug for HashQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.fmt(f)
    }
}

impl HashQueue {
    /// A queue before a pool.
    #[must_use]
    pub fn new(pool: HashPool) -> Self {
        Self { pool, accounts: Mutex::default(), administration: Arc::new(Semaphore::new(1)) }
    }

    /// The pool, for who counts.
    #[must_use]
    pub const fn pool(&self) -> &HashPool {
        &self.pool
    }

    /// Goes on only where there is room; whoever finds none is sent away, and counted.
    ///
    /// # Errors
    /// [`Busy`] when the pool has no room.
    pub fn look_in(&self) -> Result<(), Busy> {
        if self.pool.has_room() {
            return Ok(());
        }
        self.pool.count_refusal();
        Err(Busy)
    }

    /// See [`HashPool::place`]. Taken after the turn, so that no account has more places than turns.
    ///
    /// # Errors
    /// [`Busy`] when the pool has no room.
    pub fn place(&self, _: &Turn) -> Result<Place, Busy> {
        self.pool.place()
    }

    /// Waits for a turn.
    pub async fn turn(&self, whose: Whose<'_>) -> Turn {
        let queue = match whose {
            Whose::Administration => Arc::clone(&self.administration),
            Whose::Account(account) => {
                let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
                if accounts.len() >= SWEEP_EVERY {
                    accounts.retain(|_, queue| Arc::strong_count(queue) > 1);
                }
                let new = || Arc::new(Semaphore::new(OF_AN_ACCOUNT));
                Arc::clone(accounts.entry(account.to_owned()).or_insert_with(new))
            }
        };
        // No queue is ever closed.
        Turn { _permit: queue.acquire_owned().await.ok() }
    }

    /// See [`HashPool::hash`].
    ///
    /// # Errors
    /// [`Busy`] when the pool has no room.
    pub async fn hash(&self, _: &Turn, password: Zeroizing<String>) -> Result<String, Busy> {
        self.pool.hash(password).await
    }

    /// See [`HashPool::verify`].
    ///
    /// # Errors
    /// [`Busy`] when the pool has no room.
    pub async fn verify(&self, _: &Turn, password: Zeroizing<String>, phc: Option<String>) -> Result<Checked, Busy> {
        self.pool.verify(password, phc).await
    }

    /// See [`HashPool::verify_at`].
    ///
    /// # Errors
    /// [`Busy`] when it waited longer than patience allows.
    pub async fn verify_at(
        &self,
        _: &Turn,
        place: Place,
        password: Zeroizing<String>,
        phc: Option<String>,
    ) -> Result<Checked, Busy> {
        self.pool.verify_at(Some(place), password, phc).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::crypto::password::{Cost, PoolLimits};
    use crate::time::Random;

    #[tokio::test]
    async fn an_account_has_three_turns_and_the_administrators_one() {
        let cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        let limits = PoolLimits { threads: 1, queue: 1, patience: Duration::from_secs(20) };
        let queue = HashQueue::new(HashPool::start(cost, limits, Random::System).unwrap());
        let is_free = async |whose: Whose<'_>| tokio::time::timeout(Duration::ZERO, queue.turn(whose)).await.is_ok();
        let held = [queue.turn(Whose::Account("a")).await, queue.turn(Whose::Account("a")).await];
        assert!(is_free(Whose::Account("a")).await);
        let third = queue.turn(Whose::Account("a")).await;
        assert!(!is_free(Whose::Account("a")).await && is_free(Whose::Account("b")).await);
        let administration = queue.turn(Whose::Administration).await;
        assert!(!is_free(Whose::Administration).await);
        let names: Vec<_> = (0..SWEEP_EVERY).map(|number| number.to_string()).collect();
        for name in &names {
            assert!(is_free(Whose::Account(name)).await);
        }
        assert!(queue.accounts.lock().unwrap().len() < SWEEP_EVERY);
        drop((held, third, administration));
        assert!(is_free(Whose::Account("a")).await && is_free(Whose::Administration).await);
    }
}
