//! Clients and their secrets as last read, for requests whose last statement proves them.
//!
//! What is known here lets nobody in. Whoever begins with it ends with a statement that reads the client's row, and the
//! secret's, once more: switched on, in the same epoch and revision, the secret still there and not over
//! ([`crate::model::client::ClientProof`]). Each change of a client makes another revision, so that what passes is what would
//! have been read then, whichever replica changed it. Where anything else comes of a request, whatever it is, it is checked
//! once more by what is stored. So a stale entry costs one more look and is never believed, and none needs to be told.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::client::Client;
use crate::store::clients::WorkingSecret;

/// As many clients are known at most.
const CAPACITY: usize = 1000;

/// A client and the secrets that worked when it was read.
#[derive(Clone, Debug)]
pub struct KnownClient {
    /// The client.
    pub client: Arc<Client>,
    /// Its secrets.
    pub secrets: Vec<WorkingSecret>,
}

/// The clients that this process knows, by `client_id`.
#[derive(Debug, Default)]
pub struct ClientCache(RwLock<HashMap<String, Arc<KnownClient>>>);

impl ClientCache {
    /// What is known of a client.
    #[must_use]
    pub fn get(&self, client_id: &str) -> Option<Arc<KnownClient>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(client_id).cloned()
    }

    /// Keeps what was read, and gives the client. Where there is no room, all is read again by and by.
    pub fn put(&self, known: KnownClient) -> Arc<Client> {
        let mut clients = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let client = Arc::clone(&known.client);
        if clients.len() >= CAPACITY && !clients.contains_key(&client.client_id) {
            clients.clear();
        }
        clients.insert(client.client_id.clone(), Arc::new(known));
        client
    }

    /// Forgets a client that is not what it was.
    pub fn forget(&self, client_id: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(client_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::client::Metadata;

    #[test]
    fn no_more_clients_are_known_than_there_is_room_for() {
        let cache = ClientCache::default();
        for number in 0..=CAPACITY {
            let (id, metadata) = (number.to_string(), Metadata::default());
            let client_id = id.clone();
            let client = Client { id, client_id, metadata, enabled: true, epoch: 1, revision: 1, created_at: 0 };
            cache.put(KnownClient { client: Arc::new(client), secrets: Vec::new() });
        }
        assert!(cache.get("0").is_none() && cache.get(&CAPACITY.to_string()).is_some());
        assert!(cache.0.read().unwrap().len() <= CAPACITY);
        cache.forget(&CAPACITY.to_string());
        assert!(cache.get(&CAPACITY.to_string()).is_none());
    }
}
