//! Our signing keys as last read, parsed once and shared.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::crypto::jws::{Algorithm, VerifyingKeys};
use crate::crypto::signing::SigningKey;
use crate::time::Timestamp;

/// The keys at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// When they were read.
    pub at: Timestamp,
    /// What signs.
    pub signing: HashMap<Algorithm, Arc<SigningKey>>,
    /// What verifies.
    pub verifying: VerifyingKeys,
    /// The JWK Set.
    pub json: String,
}

/// The newest snapshot.
#[derive(Debug, Default)]
pub struct SigningKeyCache {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
}

impl SigningKeyCache {
    /// The snapshot, if one was taken.
    pub fn get(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a snapshot in place of the last one.
    pub fn put(&self, snapshot: Arc<Snapshot>) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }
}
