//! Which replica this is, and what its settings are known by.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::config::Config;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::secret::Secret;
use crate::time::{Random, Timestamp};

/// This replica.
#[derive(Debug)]
pub struct Presence {
    /// Its own for as long as it runs.
    pub id: String,
    /// When it started.
    pub started_at: Timestamp,
    key: Secret,
    agreement: RwLock<BTreeMap<String, String>>,
}

impl Presence {
    /// From what it was started with.
    #[must_use]
    pub fn new(config: &Config, keys: &KeyRing, random: &Random, now: Timestamp) -> Self {
        let key = keys.oldest().derive("what must agree between replicas");
        let agreement = RwLock::new(config.agreement(&key));
        Self { id: random.id(now), started_at: now, key, agreement }
    }

    /// Takes note of other settings.
    pub fn adopt(&self, config: &Config) {
        *self.agreement.write().unwrap_or_else(PoisonError::into_inner) = config.agreement(&self.key);
    }

    /// The digests of what must agree, by their keys.
    #[must_use]
    pub fn agreement(&self) -> BTreeMap<String, String> {
        self.agreement.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
