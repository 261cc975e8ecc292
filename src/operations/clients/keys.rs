//! The keys that a client signs its assertions with: from its row, or from the address it registered, which is asked
//! seldom and whose broken answers replace nothing (G20).

use std::sync::Arc;

use crate::app::App;
use crate::cache::client_keys::{Entry, Source};
use crate::crypto::client_keys::ClientKeys;
use crate::crypto::jws::{Algorithm, Unverified};
use crate::crypto::secret::digest;
use crate::log;
use crate::model::client::Client;
use crate::model::client::rules::read_keys;
use crate::time::Timestamp;

/// Fetched keys are used this long before their address is asked again.
const FRESH_MS: i64 = 60 * 60 * 1000;
/// An address is asked this often at most, whatever is unknown or fails.
const ASK_EVERY_MS: i64 = 10_000;

/// Why a client has no keys to verify by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// It registered none.
    #[error("the client has neither jwks nor jwks_uri")]
    NotRegistered,
    /// What it registered holds no key that is of use.
    #[error("the client's jwks holds no usable key")]
    Unusable,
    /// Its address has never given a good set.
    #[error("the client's jwks_uri does not give a usable key set")]
    NotFetched,
}

/// Whether a key of the client made this signature. Where none of those that are known did, its address is asked again.
pub async fn verifies(
    app: &App,
    client: &Client,
    jws: &Unverified<'_>,
    kid: Option<&str>,
    alg: Algorithm,
    now: Timestamp,
) -> bool {
    let Ok(keys) = keys_of(app, client, now).await else {
        return false;
    };
    let signed = |keys: &ClientKeys| keys.candidates(kid, alg).any(|key| key.verify(jws));
    signed(&keys) || fresher(app, client, &keys, now).await.is_some_and(|keys| signed(&keys))
}

/// The keys of a client whose row was just read.
///
/// # Errors
/// Why there are none.
pub async fn keys_of(app: &App, client: &Client, now: Timestamp) -> Result<Arc<ClientKeys>, NoKeys> {
    if let Some(jwks) = &client.metadata.jwks {
        let entry = app.client_keys.entry(&client.id, Source::Row(client.revision), now);
        if entry.get().keys.is_none() {
            // Checked when it was registered; the rules of this replica may be stricter.
            let keys = read_keys(&jwks.to_string(), app.config.client_rules()).map_err(|_| NoKeys::Unusable)?;
            entry.put(keys, String::new(), now);
        }
        return entry.get().keys.filter(|keys| !keys.is_empty()).ok_or(NoKeys::Unusable);
    }
    let (entry, address) = fetched(app, client, now).ok_or(NoKeys::NotRegistered)?;
    let known = entry.get();
    let is_fresh = known.read_at.is_some_and(|at| now.0 - at.0 < FRESH_MS);
    match known.keys {
        Some(keys) if is_fresh || entry.is_being_asked() => Ok(keys),
        _ => {
            ask(app, client, &entry, address, now).await;
            entry.get().keys.ok_or(NoKeys::NotFetched)
        }
    }
}

/// The keys of a client if they are others than those that did not fit: fetched again where they have an address, which
/// is asked at most every 10 seconds. A client may have replaced them a moment ago.
pub async fn fresher(app: &App, client: &Client, than: &Arc<ClientKeys>, now: Timestamp) -> Option<Arc<ClientKeys>> {
    let (entry, address) = fetched(app, client, now)?;
    let others = || entry.get().keys.filter(|keys| !Arc::ptr_eq(keys, than));
    if let Some(keys) = others() {
        return Some(keys);
    }
    ask(app, client, &entry, address, now).await;
    others()
}

fn fetched<'a>(app: &App, client: &'a Client, now: Timestamp) -> Option<(Arc<Entry>, &'a str)> {
    let address = client.metadata.jwks_uri.as_deref().filter(|_| client.metadata.jwks.is_none())?;
    Some((app.client_keys.entry(&client.id, Source::Address(address.to_owned()), now), address))
}

/// Asks the address, one at a time. Whoever waits here finds what the one before has fetched; the work goes on when
/// nobody waits for it any longer, so that nobody can keep it from ending.
async fn ask(app: &App, client: &Client, entry: &Arc<Entry>, address: &str, now: Timestamp) {
    let (app, entry) = (app.clone(), Arc::clone(entry));
    let (client_id, address) = (client.client_id.clone(), address.to_owned());
    let work = log::spawn(async move {
        let _turn = entry.turn().await;
        if !entry.may_ask(now, ASK_EVERY_MS) {
            return;
        }
        match fetch(&app, &address).await {
            Ok((keys, digest)) => {
                let skipped = keys.skipped().join("; ");
                if entry.put(keys, digest, now) && !skipped.is_empty() {
                    tracing::warn!(
                        client.id = %client_id,
                        "not all keys of client {client_id} at {address} are used: {skipped}"
                    );
                }
            }
            Err(why) => tracing::warn!(
                client.id = %client_id,
                "the keys of client {client_id} at {address} could not be fetched, the last good ones stay: {why}"
            ),
        }
    });
    // A task that died has fetched nothing: what was known is still known.
    let _ = work.await;
}

async fn fetch(app: &App, address: &str) -> Result<(ClientKeys, String), String> {
    let text = app.outbound.get(address).await.map_err(|error| format!("{error:#}"))?;
    let keys = read_keys(&text, app.config.client_rules())?;
    if keys.is_empty() {
        let why = keys.skipped().first().map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!("the JWK Set holds no key that can be used{why}"));
    }
    Ok((keys, digest(text)))
}
