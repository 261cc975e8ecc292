//! The trusted issuers as last read, with their keys parsed once. The transaction that counts reads the issuer's
//! revision again (`handoff::receive`), so a stale snapshot is slower, never wrong.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::crypto::key_set::VerifyingKeys;
use crate::model::issuer::TrustedIssuer;
use crate::time::Timestamp;

/// One issuer and its keys.
#[derive(Debug)]
pub struct Trusted {
    /// The row.
    pub issuer: TrustedIssuer,
    /// Its keys; empty when `jwks_uri` has never given a good set.
    pub keys: VerifyingKeys,
}

/// Every issuer at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was read.
    pub at: Timestamp,
    /// The issuers.
    pub issuers: Vec<Arc<Trusted>>,
}

impl Snapshot {
    /// The issuer of exactly this name.
    #[must_use]
    pub fn issuer(&self, name: &str) -> Option<&Arc<Trusted>> {
        self.issuers.iter().find(|trusted| trusted.issuer.issuer == name)
    }

    /// Whether any issuer that is switched on sends from this origin.
    #[must_use]
    pub fn knows_origin(&self, origin: &str) -> bool {
        self.issuers.iter().any(|t| t.issuer.enabled && t.issuer.origins.iter().any(|o| o == origin))
    }
}

/// How an address last answered when it was asked for keys.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// When it was asked.
    pub at: Timestamp,
    /// What of its key set is not used, or why the set was not taken.
    pub outcome: Result<Vec<String>, String>,
}

/// The newest snapshot, and when each `jwks_uri` was last asked.
#[derive(Debug, Default)]
pub struct IssuerCache {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    asked: Mutex<HashMap<String, Timestamp>>,
    fetched: Mutex<HashMap<String, Fetch>>,
    fetching: tokio::sync::Mutex<()>,
    full: RwLock<BTreeSet<String>>,
}

impl IssuerCache {
    /// The snapshot, if one was taken.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a snapshot in place of the last one.
    pub fn put(&self, snapshot: Arc<Snapshot>) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }

    /// Forgets the snapshot: the next reader reads the database.
    pub fn forget(&self) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether more assertions of an issuer are remembered than fit, so that no more are taken (G2).
    pub fn is_full(&self, issuer_id: &str) -> bool {
        self.full.read().unwrap_or_else(PoisonError::into_inner).contains(issuer_id)
    }

    /// Notes which issuers are full.
    pub fn set_full(&self, issuer_ids: BTreeSet<String>) {
        *self.full.write().unwrap_or_else(PoisonError::into_inner) = issuer_ids;
    }

    /// One fetch at a time.
    pub async fn fetching(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.fetching.lock().await
    }

    /// Notes how an address answered.
    pub fn note_fetch(&self, jwks_uri: &str, fetch: Fetch) {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(jwks_uri.to_owned(), fetch);
    }

    /// How an address last answered this process.
    #[must_use]
    pub fn last_fetch(&self, jwks_uri: &str) -> Option<Fetch> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).get(jwks_uri).cloned()
    }

    /// Whether an address may be asked now, having been asked last more than `interval_ms` ago; if so, it counts as
    /// asked.
    pub fn may_ask(&self, jwks_uri: &str, now: Timestamp, interval_ms: i64) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.get(jwks_uri).is_none_or(|at| now.0 - at.0 >= interval_ms);
        if due {
            asked.insert(jwks_uri.to_owned(), now);
        }
        due
    }
}
