//! Our signing keys: the one that signs now, the public set, and whether a signature is ours (G20).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::cache::signing_keys::Snapshot;
use crate::crypto::jws::{Algorithm, Unverified, VerifyingKeys};
use crate::crypto::seal;
use crate::crypto::signing::{SigningKey, generate};
use crate::store::signing_keys::StoredKey;
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

const PURPOSE: &str = "signing key";
const FRESH: Duration = Duration::from_secs(5);

/// The public keys, as they are published.
#[derive(Debug)]
pub struct PublicSet {
    /// The JWK Set.
    pub json: String,
    /// How long it may be cached.
    pub max_age: Duration,
}

/// The key that signs with an algorithm now; the first one is made where there is none.
///
/// # Errors
/// When the database fails.
pub async fn signer(app: &App, alg: Algorithm, now: Timestamp) -> Result<Arc<SigningKey>, store::Error> {
    if let Some(key) = snapshot(app, now).await?.signing.get(&alg) {
        return Ok(Arc::clone(key));
    }
    let bits = 2048;
    let made = tokio::task::spawn_blocking(move || generate(alg, bits)).await.map_err(|_| store::Error::TaskDied)?;
    let made = made.map_err(|error| store::Error::Damaged(error.to_string()))?;
    let sealed = seal::seal(&app.keys, PURPOSE, made.private_jwk.as_bytes());
    let row = StoredKey {
        kid: made.kid,
        alg: alg.name().into(),
        generation: 1,
        public_jwk: made.public_jwk,
        sealed_jwk: sealed.map_err(|error| store::Error::Damaged(error.to_string()))?,
        signs_from: now.0,
        verifies_until: None,
        retired_at: None,
    };
    in_transaction!(app.db, app.patient_deadline(), [row], |tx| store::signing_keys::insert(tx, &row, now).await)?;
    let key = read(app, now).await?.signing.get(&alg).cloned();
    key.ok_or_else(|| store::Error::Damaged("no key signs".into()))
}

async fn snapshot(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, store::Error> {
    match app.signing_keys.get() {
        Some(snapshot) if snapshot.at.after(FRESH) > now => Ok(snapshot),
        _ => read(app, now).await,
    }
}

async fn read(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, store::Error> {
    let rows = store::signing_keys::list(&mut app.db.read().await?).await?;
    let known = app.signing_keys.get();
    let mut signing = HashMap::new();
    let mut publics = Vec::new();
    for row in &rows {
        let alg: Algorithm = row.alg.parse().map_err(|()| store::Error::Damaged(row.alg.clone()))?;
        let public: Value = serde_json::from_str(&row.public_jwk).map_err(|e| store::Error::Damaged(e.to_string()))?;
        publics.push(public);
        if row.signs_from > now.0 {
            continue;
        }
        let kept = known.as_ref().and_then(|known| known.signing.get(&alg)).filter(|key| key.kid == row.kid);
        let key = if let Some(key) = kept {
            Arc::clone(key)
        } else {
            let opened = seal::open(&app.keys, PURPOSE, &row.sealed_jwk);
            let opened =
                opened.ok_or_else(|| store::Error::Damaged(format!("signing key {} cannot be opened", row.kid)))?;
            let key = SigningKey::parse(&row.kid, alg, &opened);
            Arc::new(key.map_err(|error| store::Error::Damaged(error.to_string()))?)
        };
        signing.insert(alg, key);
    }
    let json = json!({ "keys": publics }).to_string();
    let verifying = if publics.is_empty() {
        VerifyingKeys::default()
    } else {
        VerifyingKeys::parse(&json).map_err(store::Error::Damaged)?
    };
    let snapshot = Arc::new(Snapshot { at: now, signing, verifying, json });
    app.signing_keys.put(Arc::clone(&snapshot));
    Ok(snapshot)
}

/// The public keys, as they are published.
///
/// # Errors
/// When the database fails.
pub async fn jwks(app: &App, now: Timestamp) -> Result<Arc<PublicSet>, store::Error> {
    for alg in Algorithm::ALL {
        signer(app, alg, now).await?;
    }
    let snapshot = snapshot(app, now).await?;
    Ok(Arc::new(PublicSet { json: snapshot.json.clone(), max_age: Duration::from_hours(1) }))
}

/// Whether a key of ours made a signature.
///
/// # Errors
/// When the database fails.
pub async fn verify_own(app: &App, jws: &Unverified<'_>, now: Timestamp) -> Result<bool, store::Error> {
    let text = |name: &str| jws.header.get(name).and_then(Value::as_str);
    let (Some(kid), Some(alg)) = (text("kid"), text("alg")) else { return Ok(false) };
    let mut snapshot = snapshot(app, now).await?;
    if snapshot.verifying.get(kid).is_none() {
        snapshot = read(app, now).await?;
    }
    Ok(snapshot.verifying.get(kid).is_some_and(|key| key.algorithm().name() == alg && key.verify(jws)))
}
