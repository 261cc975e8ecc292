//! The keys of clients, parsed once. Which keys count is in the client's row, which whoever asks has just read: a stale
//! entry is replaced, never believed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::crypto::client_keys::ClientKeys;
use crate::time::Timestamp;

/// The number of clients whose keys are kept; beyond, those that were asked for longest ago are forgotten.
const CAPACITY: usize = 1000;

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client's row, at this revision.
    Row(i64),
    /// An address.
    Address(String),
}

/// One client's keys.
#[derive(Debug)]
pub struct Entry {
    source: Source,
    known: Mutex<Known>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The last good ones.
    pub keys: Option<Arc<ClientKeys>>,
    /// A digest of the text they were read from.
    pub digest: String,
    /// When they were read.
    pub read_at: Option<Timestamp>,
    /// When their address was last asked, whatever it said.
    asked_at: Option<Timestamp>,
}

impl Entry {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now.
    #[must_use]
    pub fn get(&self) -> Known {
        self.known().clone()
    }

    /// Puts good keys in place of those before; the same text again only makes them fresh. Whether they are others.
    pub fn put(&self, keys: ClientKeys, digest: String, now: Timestamp) -> bool {
        let mut known = self.known();
        let others = known.keys.is_none() || known.digest != digest;
        if others {
            known.keys = Some(Arc::new(keys));
            known.digest = digest;
        }
        known.read_at = Some(now);
        others
    }

    /// Waits until nobody else asks the address.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Whether somebody is asking the address at this moment.
    #[must_use]
    pub fn is_being_asked(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    /// Whether the address may be asked now, having been asked last at least `interval_ms` ago; if so, it counts as
    /// asked.
    pub fn may_ask(&self, now: Timestamp, interval_ms: i64) -> bool {
        let mut known = self.known();
        let due = known.asked_at.is_none_or(|at| now.0 - at.0 >= interval_ms);
        if due {
            known.asked_at = Some(now);
        }
        due
    }
}

/// The entries of this process.
#[derive(Debug, Default)]
pub struct ClientKeyCache {
    entries: Mutex<HashMap<String, (Timestamp, Arc<Entry>)>>,
}

impl ClientKeyCache {
    /// The entry of a client by its row's id, empty when there was none from this source.
    pub fn entry(&self, client: &str, source: Source, now: Timestamp) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((used, entry)) = entries.get_mut(client)
            && entry.source == source
        {
            *used = now;
            return Arc::clone(entry);
        }
        if entries.len() >= CAPACITY && !entries.contains_key(client) {
            let oldest = entries.iter().min_by_key(|(_, (used, _))| *used).map(|(client, _)| client.clone());
            oldest.map(|client| entries.remove(&client));
        }
        let entry = Arc::new(Entry { source, known: Mutex::default(), turn: Arc::default() });
        entries.insert(client.to_owned(), (now, Arc::clone(&entry)));
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_one_source_and_the_longest_unused_goes() {
        let cache = ClientKeyCache::default();
        let first = cache.entry("0", Source::Row(1), Timestamp(0));
        assert!(Arc::ptr_eq(&first, &cache.entry("0", Source::Row(1), Timestamp(0))));
        assert!(!Arc::ptr_eq(&first, &cache.entry("0", Source::Row(2), Timestamp(0))));
        for number in 1..=CAPACITY {
            let number_ms = i64::try_from(number).unwrap();
            cache.entry(&number.to_string(), Source::Row(1), Timestamp(number_ms));
        }
        let entries = cache.entries.lock().unwrap();
        assert_eq!(entries.len(), CAPACITY);
        assert!(!entries.contains_key("0") && entries.contains_key("1"));
    }

    #[test]
    fn an_address_is_asked_at_intervals_and_the_same_text_is_the_same_keys() {
        let cache = ClientKeyCache::default();
        let entry = cache.entry("a", Source::Address("https://a.example/".into()), Timestamp(0));
        assert!(
            entry.may_ask(Timestamp(0), 10) && !entry.may_ask(Timestamp(9), 10) && entry.may_ask(Timestamp(10), 10)
        );
        let read = || ClientKeys::parse("{\"keys\":[]}").unwrap();
        entry.put(read(), "x".into(), Timestamp(1));
        let first = entry.get().keys.unwrap();
        entry.put(read(), "x".into(), Timestamp(2));
        assert!(Arc::ptr_eq(&first, &entry.get().keys.unwrap()));
        assert_eq!(entry.get().read_at, Some(Timestamp(2)));
        entry.put(read(), "y".into(), Timestamp(3));
        assert!(!Arc::ptr_eq(&first, &entry.get().keys.unwrap()));
    }
}
