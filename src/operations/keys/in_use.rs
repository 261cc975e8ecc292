//! Our signing keys in use: the one that signs now, the public set, and whether a signature is ours (G20). How keys
//! come and go is in [`rotation`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use crate::cache::signing_keys::PublicSet;

use super::known::{is_older, read_unless_newer, snapshot};
use super::rotation;
use crate::app::App;
use crate::cache::signing_keys::{Key, Snapshot};
use crate::crypto::jws::{Algorithm, Unverified};
use crate::crypto::seal;
use crate::crypto::signing::SigningKey;
use crate::model::signing_key::{State, states};
use crate::store::keys::{self, StoredKey};
use crate::store::{self, Error};
use crate::time::Timestamp;

/// No older snapshot proves a signature: a second after a key was taken back anywhere, it opens nothing here (G1).
const PROVES: Duration = Duration::from_millis(900);
/// For how long a key that signed is taken to sign.
const PROVEN: Duration = Duration::from_secs(10);
/// What every JWK Set of ours holds. A key of a type that some libraries do not know comes in when a client asks for
/// it.
pub const ALWAYS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256];

/// The key that signs with an algorithm now; the first one is made where there is none.
///
/// # Errors
/// When the database fails, or the key that is to sign cannot be opened: never is another made in its place.
pub async fn signer(app: &App, alg: Algorithm, now: Timestamp) -> Result<Arc<SigningKey>, Error> {
    if let Some(key) = snapshot(app, now).await?.signing(alg, now) {
        return opened(key);
    }
    let known = rotation::make_first(app, alg, now).await?;
    known.signing(alg, now).map_or_else(|| Err(Error::Damaged(format!("no {} key may sign", alg.name()))), opened)
}

fn opened(key: &Key) -> Result<Arc<SigningKey>, Error> {
    match &key.signer {
        Some(Ok(signer)) => Ok(Arc::clone(signer)),
        Some(Err(why)) => Err(Error::Damaged(why.clone())),
        None => Err(Error::Damaged(format!("signing key {} has no private half any more", key.kid))),
    }
}

/// Proves that this replica signs with every algorithm of which a key is published (G33): a signature is made, and
/// checked by the public half. Of a key that signed a moment ago it is known.
///
/// # Errors
/// With which it cannot, why, and what to do.
pub async fn prove(app: &App, now: Timestamp) -> Result<(), String> {
    let known = snapshot(app, now).await.map_err(|error| error.to_string())?;
    for alg in known.published(now) {
        sign_once(app, &known, alg, now).map_err(|why| format!("nothing can be signed with {}: {why}", alg.name()))?;
    }
    Ok(())
}

fn sign_once(app: &App, known: &Snapshot, alg: Algorithm, now: Timestamp) -> Result<(), String> {
    let Some(key) = known.signing(alg, now) else {
        return Err(format!("none may sign: run `connect-idp key rotate --alg {} --at-once`", alg.name()));
    };
    let signer = opened(key).map_err(|error| error.to_string())?;
    let long_ago = now.before(PROVEN);
    if app.signing_keys.proven_at(&key.kid).is_some_and(|at| at > long_ago) {
        return Ok(());
    }
    let proof = signer.sign("proof", &json!({ "iat": now.seconds() })).map_err(|error| error.to_string())?;
    if !Unverified::parse(&proof, proof.len()).is_ok_and(|proof| key.verifier.verify(&proof)) {
        return Err(format!("what {} signs does not fit its public half: rotate it at once", key.kid));
    }
    app.signing_keys.note_proven(&key.kid, now, long_ago);
    Ok(())
}

/// The public keys, as they are published. None is left out that may sign within the time the set may be kept.
///
/// # Errors
/// When the database fails and no set was read before.
pub async fn jwks(app: &App, now: Timestamp) -> Result<Arc<PublicSet>, Error> {
    let mut known = snapshot(app, now).await?;
    for alg in ALWAYS {
        if known.signing(alg, now).is_none() {
            known = rotation::make_first(app, alg, now).await?;
        }
    }
    Ok(Arc::clone(&known.set))
}

/// Whether a key of ours that is still published made a signature.
pub async fn verify_own(app: &App, jws: &Unverified<'_>, now: Timestamp) -> Result<bool, Error> {
    verify(app, jws, now, State::is_published).await
}

/// Whether a key of ours made a signature, also one that was retired by its age since: for hints, which may be old. One
/// that somebody took back proves nothing.
pub async fn verify_hint(app: &App, jws: &Unverified<'_>, now: Timestamp) -> Result<bool, Error> {
    verify(app, jws, now, |_| true).await
}

async fn verify(app: &App, jws: &Unverified<'_>, now: Timestamp, fits: fn(State) -> bool) -> Result<bool, Error> {
    let text = |name: &str| jws.header.get(name).and_then(Value::as_str);
    let (Some(kid), Some(alg)) = (text("kid"), text("alg")) else { return Ok(false) };
    let mut known = snapshot(app, now).await?;
    let is_old = |known: &Snapshot| is_older(known.read_at, PROVES, now);
    if is_old(&known) || known.key(kid, now).is_none() {
        known = read_unless_newer(app, Some(&known), now).await?;
    }
    if is_old(&known) {
        return Err(Error::Silent);
    }
    let key = known.key(kid, now).filter(|(key, state)| key.algorithm.name() == alg && fits(*state));
    Ok(key.is_some_and(|(key, _)| key.verifier.verify(jws)))
}

/// A key as operators see it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The row.
    pub key: StoredKey,
    /// Where in its life it is.
    pub state: State,
    /// Which key-encryption key sealed its private half, while it has one.
    pub sealed_under: Option<String>,
}

/// Every key there ever was, by algorithm, oldest first.
pub async fn list(app: &App, now: Timestamp) -> Result<Vec<Listed>, store::Error> {
    let rows = keys::list(&mut app.db.read().await?).await?;
    let mut listed = Vec::with_capacity(rows.len());
    for keys in rows.chunk_by(|a, b| a.alg == b.alg) {
        let states = states(&keys.iter().map(StoredKey::dates).collect::<Vec<_>>(), now);
        listed.extend(keys.iter().zip(states).map(|(key, state)| Listed {
            sealed_under: seal::sealed_under(&key.sealed_jwk),
            key: key.clone(),
            state,
        }));
    }
    Ok(listed)
}
