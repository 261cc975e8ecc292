//! Our signing keys as last read, parsed once and shared. Their states are read off their dates at each use, so that a
//! snapshot that cannot be renewed for a while still turns the right key at the right time.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::crypto::jws::{Algorithm, VerifyingKey};
use crate::crypto::signing::SigningKey;
use crate::model::signing_key::{Dates, State, signing, states};
use crate::time::Timestamp;

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What its state is read off.
    pub dates: Dates,
    /// JWK.
    pub public: Value,
    /// Its public half.
    pub verifier: Arc<VerifyingKey>,
    /// Its private half, where that is of use: or why it cannot be had.
    pub signer: Option<Result<Arc<SigningKey>, String>>,
}

/// The public keys, as they are published.
#[derive(Debug)]
pub struct PublicSet {
    /// The JWK Set.
    pub json: String,
    /// How long it may be cached.
    pub max_age: Duration,
}

/// The keys at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// When they were read, or could not be.
    pub at: Timestamp,
    /// When they were read.
    pub read_at: Timestamp,
    /// What is published.
    pub set: Arc<PublicSet>,
    /// Each algorithm's keys, oldest first.
    algorithms: Vec<(Algorithm, Vec<Key>)>,
}

impl Snapshot {
    /// Puts keys in order, by the dates they have.
    #[must_use]
    pub fn new(algorithms: Vec<(Algorithm, Vec<Key>)>, max_age: Duration, now: Timestamp) -> Self {
        let published = algorithms.iter().flat_map(|(_, keys)| published(keys, now)).collect::<Vec<_>>();
        let set = Arc::new(PublicSet { json: json!({ "keys": published }).to_string(), max_age });
        Self { at: now, read_at: now, set, algorithms }
    }

    /// The same keys by the dates they have now, though they could not be read.
    #[must_use]
    pub fn unread(&self, now: Timestamp) -> Self {
        Self { read_at: self.read_at, ..self.again(now) }
    }

    /// The same keys by the dates they have now.
    #[must_use]
    pub fn again(&self, now: Timestamp) -> Self {
        Self::new(self.algorithms.clone(), self.set.max_age, now)
    }

    /// Whether it holds no key at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.algorithms.is_empty()
    }

    /// The algorithms of which keys are published.
    pub fn published(&self, now: Timestamp) -> impl Iterator<Item = Algorithm> {
        self.algorithms
            .iter()
            .filter(move |(_, keys)| !published(keys, now).is_empty())
            .map(|(algorithm, _)| *algorithm)
    }

    /// The key that signs with an algorithm.
    #[must_use]
    pub fn signing(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Key> {
        let (_, keys) = self.algorithms.iter().find(|(known, _)| *known == algorithm)?;
        signing(&dates(keys), now).map(|at| &keys[at])
    }

    /// The key of a `kid`, and its state.
    #[must_use]
    pub fn key(&self, kid: &str, now: Timestamp) -> Option<(&Key, State)> {
        self.algorithms.iter().find_map(|(_, keys)| {
            let at = keys.iter().position(|key| key.kid == kid)?;
            Some((&keys[at], states(&dates(keys), now)[at]))
        })
    }
}

fn dates(keys: &[Key]) -> Vec<Dates> {
    keys.iter().map(|key| key.dates).collect()
}

/// What is published of an algorithm's keys: first the one that signs, for readers that take the first.
fn published(keys: &[Key], now: Timestamp) -> Vec<Value> {
    let states = states(&dates(keys), now);
    let mut published: Vec<_> = keys.iter().zip(states).filter(|(_, state)| state.is_published()).collect();
    published.sort_by_key(|(_, state)| *state != State::Signing);
    published.into_iter().map(|(key, _)| key.public.clone()).collect()
}

/// The newest snapshot.
#[derive(Debug, Default)]
pub struct SigningKeyCache {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    proven: RwLock<HashMap<String, Timestamp>>,
    reading: tokio::sync::Mutex<()>,
    making: tokio::sync::Mutex<()>,
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

    /// When a key was last shown to sign.
    pub fn proven_at(&self, kid: &str) -> Option<Timestamp> {
        self.proven.read().unwrap_or_else(PoisonError::into_inner).get(kid).copied()
    }

    /// Notes that a key signs; what was noted before `forgotten` is not kept.
    pub fn note_proven(&self, kid: &str, now: Timestamp, forgotten: Timestamp) {
        let mut proven = self.proven.write().unwrap_or_else(PoisonError::into_inner);
        proven.retain(|_, at| *at > forgotten);
        proven.insert(kid.to_owned(), now);
    }

    /// One reads at a time.
    pub const fn reading(&self) -> &tokio::sync::Mutex<()> {
        &self.reading
    }

    /// One key is made at a time: it takes a core for a while.
    pub const fn making(&self) -> &tokio::sync::Mutex<()> {
        &self.making
    }
}
