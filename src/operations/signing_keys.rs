//! Our signing keys: which one signs now, the public set, whether a signature is ours, and their rotation (G20).
//!
//! Every replica reads the same rows and parses a key once. The first key of an algorithm is made where it is first
//! needed, and signs at once: nobody can have cached a set that it should have been in. Every later one is announced.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::act::Act;
use crate::app::App;
use crate::cache::signing_keys::Snapshot;
use crate::config::Config;
use crate::crypto::jws::{Algorithm, Unverified, VerifyingKeys};
use crate::crypto::seal;
use crate::crypto::signing::{SigningKey, generate};
use crate::model::event::Kind;
use crate::model::signing_key::{Dates, State, is_due, states};
use crate::store::signing_keys::StoredKey;
use crate::store::{self, Error, in_transaction};
use crate::time::Timestamp;

/// What a private key is sealed for.
const PURPOSE: &str = "signing key";
/// A snapshot is read again after this: so long may a replica sign with a key that was retired elsewhere.
const FRESH: Duration = Duration::from_secs(3);
/// A public set is cached no longer, however far ahead keys are announced.
const LONGEST_CACHE: Duration = Duration::from_hours(1);
/// What signs at once signs by the clock of every replica (they are no more than 2 s apart).
const CLOCKS: Duration = Duration::from_secs(10);
/// Beyond the life of what is signed, for clocks that differ.
const SKEW: Duration = Duration::from_mins(5);
/// The algorithms whose keys are always published. `EdDSA` follows once something was signed with it: common libraries
/// do not know its key type.
const ALWAYS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256];

/// The public keys, as they are published.
#[derive(Clone, Debug)]
pub struct PublicSet {
    /// The JWK Set.
    pub json: String,
    /// How long it may be cached: half as long as a new key is announced.
    pub max_age: Duration,
}

/// A key and its state.
#[derive(Clone, Debug)]
pub struct Listed {
    /// As stored.
    pub key: StoredKey,
    /// Where it is in its life.
    pub state: State,
}

fn longest_life(config: &Config) -> Duration {
    Duration::from_mins(u64::from(config.tokens.access_minutes.max(config.tokens.id_token_minutes))) + SKEW
}

fn announce(config: &Config) -> Duration {
    Duration::from_mins(config.keys.announce_minutes.into())
}

/// The key that signs with an algorithm now; the first one is made where there is none.
///
/// # Errors
/// When the database fails, or no key can be opened.
pub async fn signer(app: &App, alg: Algorithm, now: Timestamp) -> Result<Arc<SigningKey>, Error> {
    if let Some(key) = snapshot(app, now).await?.signing.get(&alg) {
        return Ok(Arc::clone(key));
    }
    // Perhaps another replica just made it.
    if let Some(key) = read(app, now).await?.signing.get(&alg) {
        return Ok(Arc::clone(key));
    }
    let generation = newest(&store::signing_keys::list(&mut app.db.read().await?).await?, alg) + 1;
    let key = make(app, alg, generation, now.before(CLOCKS), now).await?;
    in_transaction!(app.db, app.patient_deadline(), [key], |tx| store::signing_keys::insert(tx, &key).await)?;
    let key = read(app, now).await?.signing.get(&alg).cloned();
    key.ok_or_else(|| Error::Damaged(format!("no key signs with {}: see `connect-idp key list`", alg.name())))
}

/// The public keys, as they are published.
///
/// # Errors
/// As [`signer`].
pub async fn jwks(app: &App, now: Timestamp) -> Result<PublicSet, Error> {
    for alg in ALWAYS {
        signer(app, alg, now).await?;
    }
    let max_age = (announce(&app.config) / 2).min(LONGEST_CACHE);
    Ok(PublicSet { json: snapshot(app, now).await?.json.clone(), max_age })
}

/// Whether a key of ours made a signature. One that was replaced long ago still proves that: a hint may be old. One that
/// was retired by hand proves nothing.
///
/// # Errors
/// When the database fails.
pub async fn verify_own(app: &App, jws: &Unverified<'_>, now: Timestamp) -> Result<bool, Error> {
    let text = |name: &str| jws.header.get(name).and_then(Value::as_str);
    let (Some(kid), Some(alg)) = (text("kid"), text("alg")) else {
        return Ok(false);
    };
    let mut snapshot = snapshot(app, now).await?;
    if snapshot.verifying.get(kid).is_none() && snapshot.at < now {
        snapshot = read(app, now).await?;
    }
    Ok(snapshot.verifying.get(kid).is_some_and(|key| key.algorithm().name() == alg && key.verify(jws)))
}

async fn snapshot(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    match app.signing_keys.get() {
        Some(snapshot) if snapshot.at <= now && now < snapshot.at.after(FRESH) => Ok(snapshot),
        _ => read(app, now).await,
    }
}

/// Reads every key. What cannot be read replaces nothing: the caller fails, and the last snapshot stays.
async fn read(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    let listed = list(app, now).await?;
    let known = app.signing_keys.get();
    let (mut signing, mut published, mut ours) = (HashMap::new(), Vec::new(), Vec::new());
    for Listed { key, state } in &listed {
        let damaged = |why: String| Error::Damaged(format!("signing key {}: {why}", key.kid));
        let public: Value = serde_json::from_str(&key.public_jwk).map_err(|error| damaged(error.to_string()))?;
        if key.retired_at.is_none() {
            ours.push(public.clone());
        }
        if *state != State::Retired {
            published.push(public);
        }
        if *state == State::Signing {
            let alg = key.alg.parse().map_err(|()| damaged(format!("{} is no algorithm of ours", key.alg)))?;
            let kept = known.as_ref().and_then(|known| known.signing.get(&alg)).filter(|kept| kept.kid == key.kid);
            let parsed = match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(open(app, key, alg)?),
            };
            signing.insert(alg, parsed);
        }
    }
    let verifying = if ours.is_empty() {
        VerifyingKeys::default()
    } else {
        VerifyingKeys::parse(&json!({ "keys": ours }).to_string()).map_err(Error::Damaged)?
    };
    let json = json!({ "keys": published }).to_string();
    let snapshot = Arc::new(Snapshot { at: now, signing, verifying, json });
    app.signing_keys.put(Arc::clone(&snapshot));
    Ok(snapshot)
}

/// Opens a key's private half.
///
/// # Errors
/// When the key-encryption key that sealed it is not here.
pub fn open(app: &App, key: &StoredKey, alg: Algorithm) -> Result<SigningKey, Error> {
    let opened = seal::open(&app.keys, PURPOSE, &key.sealed_jwk).ok_or_else(|| {
        let why =
            "is sealed under a key-encryption key that is not in the keys folder: restore that folder from its backup";
        Error::Damaged(format!("signing key {} {why}", key.kid))
    })?;
    SigningKey::parse(&key.kid, alg, &opened)
        .map_err(|error| Error::Damaged(format!("signing key {}: {error}", key.kid)))
}

async fn make(
    app: &App,
    alg: Algorithm,
    generation: i64,
    signs_from: Timestamp,
    now: Timestamp,
) -> Result<StoredKey, Error> {
    let bits = app.config.keys.rsa_bits;
    let made = tokio::task::spawn_blocking(move || generate(alg, bits)).await.map_err(|_| Error::TaskDied)?;
    let made = made.map_err(|error| Error::Damaged(error.to_string()))?;
    let sealed = seal::seal(&app.keys, PURPOSE, made.private_jwk.as_bytes());
    Ok(StoredKey {
        kid: made.kid,
        alg: alg.name().into(),
        generation,
        public_jwk: made.public_jwk,
        sealed_jwk: sealed.map_err(|error| Error::Damaged(error.to_string()))?,
        created_at: now.0,
        signs_from: signs_from.0,
        retired_at: None,
    })
}

fn newest(keys: &[StoredKey], alg: Algorithm) -> i64 {
    keys.iter().filter(|key| key.alg == alg.name()).map(|key| key.generation).max().unwrap_or(0)
}

fn dates(keys: &[StoredKey], alg: &str) -> Vec<Dates> {
    keys.iter().filter(|key| key.alg == alg).map(StoredKey::dates).collect()
}

/// Every key with its state: by algorithm, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(app: &App, now: Timestamp) -> Result<Vec<Listed>, Error> {
    let keys = store::signing_keys::list(&mut app.db.read().await?).await?;
    let mut listed = Vec::with_capacity(keys.len());
    for alg in Algorithm::ALL {
        let of_alg = states(&dates(&keys, alg.name()), longest_life(&app.config), now);
        let own = keys.iter().filter(|key| key.alg == alg.name());
        listed.extend(own.zip(of_alg).map(|(key, state)| Listed { key: key.clone(), state }));
    }
    Ok(listed)
}

/// Announces a new key for each algorithm whose key has signed long enough. Any replica may call it: one key is made.
///
/// # Errors
/// When the database fails.
pub async fn rotate_due(act: &Act) -> Result<u64, Error> {
    let app = &act.app;
    let keys = store::signing_keys::list(&mut app.db.read().await?).await?;
    let every = Duration::from_secs(u64::from(app.config.keys.rotate_days) * 86_400);
    let mut made = 0;
    for alg in Algorithm::ALL {
        if is_due(&dates(&keys, alg.name()), every, announce(&app.config), act.now) {
            made += u64::from(add(act, &keys, alg, announce(&app.config)).await?.is_some());
        }
    }
    Ok(made)
}

/// What became of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// This key signs from then on.
    Yes(String, Timestamp),
    /// This one was announced before, and will sign from then on.
    Already(String, Timestamp),
    /// Another replica did it at this very moment.
    Elsewhere,
}

/// Announces a new key of an algorithm, or lets it sign at once.
///
/// # Errors
/// When the database fails.
pub async fn rotate(act: &Act, alg: Algorithm, at_once: bool) -> Result<Rotated, Error> {
    let keys = store::signing_keys::list(&mut act.app.db.read().await?).await?;
    let waiting =
        keys.iter().find(|key| key.alg == alg.name() && key.retired_at.is_none() && key.signs_from > act.now.0);
    match waiting {
        Some(key) if !at_once => Ok(Rotated::Already(key.kid.clone(), Timestamp(key.signs_from))),
        Some(key) => {
            let (kid, event) = (key.kid.clone(), act.event(Kind::SigningKeyRotated));
            let event = event.noting(format!("{} {kid} signs at once", alg.name()));
            let done = in_transaction!(act.app.db, act.deadline, [kid, event, act], |tx| {
                let done = store::signing_keys::sign_from(tx, &kid, act.now.before(CLOCKS)).await?;
                if done {
                    store::activity::record(tx, &event).await?;
                }
                Ok(done)
            })?;
            read(&act.app, act.now).await?;
            Ok(if done { Rotated::Yes(kid, act.now) } else { Rotated::Elsewhere })
        }
        None => {
            let ahead = if at_once { Duration::ZERO } else { announce(&act.app.config) };
            let made = add(act, &keys, alg, ahead).await?;
            Ok(made.map_or(Rotated::Elsewhere, |kid| Rotated::Yes(kid, act.now.after(ahead))))
        }
    }
}

/// Adds the next generation; `None` when another replica did.
async fn add(act: &Act, keys: &[StoredKey], alg: Algorithm, ahead: Duration) -> Result<Option<String>, Error> {
    let signs_from = if ahead.is_zero() { act.now.before(CLOCKS) } else { act.now.after(ahead) };
    let key = make(&act.app, alg, newest(keys, alg) + 1, signs_from, act.now).await?;
    let note = format!("{} {} signs from {}", alg.name(), key.kid, signs_from.rfc3339());
    let event = act.event(Kind::SigningKeyRotated).noting(note);
    let kid = key.kid.clone();
    let done = in_transaction!(act.app.db, act.deadline, [key, event], |tx| {
        let done = store::signing_keys::insert(tx, &key).await?;
        if done {
            store::activity::record(tx, &event).await?;
        }
        Ok(done)
    })?;
    read(&act.app, act.now).await?;
    Ok(done.then_some(kid))
}

/// What became of retiring a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retired {
    /// Nothing it signed is good any more; this key signs in its place, if it signed.
    Yes(Option<String>),
    /// It was retired before.
    Already,
    /// There is no such key.
    NotFound,
}

/// Retires a key at once, as one does when its private half may be known. What it signed is refused from now on.
///
/// # Errors
/// When the database fails.
pub async fn retire(act: &Act, kid: &str) -> Result<Retired, Error> {
    let listed = list(&act.app, act.now).await?;
    let Some(Listed { key, state }) = listed.iter().find(|listed| listed.key.kid == kid) else {
        return Ok(Retired::NotFound);
    };
    let event = act.event(Kind::SigningKeyRetired).noting(format!("{} {kid}", key.alg));
    let kid = kid.to_owned();
    let done = in_transaction!(act.app.db, act.deadline, [kid, event, act], |tx| {
        let done = store::signing_keys::retire(tx, &kid, act.now).await?;
        if done {
            store::activity::record(tx, &event).await?;
        }
        Ok(done)
    })?;
    if !done {
        return Ok(Retired::Already);
    }
    read(&act.app, act.now).await?;
    let alg: Algorithm = key.alg.parse().map_err(|()| Error::Damaged(key.alg.clone()))?;
    if *state != State::Signing {
        return Ok(Retired::Yes(None));
    }
    // Not the one before it, which was replaced for a reason: a new one, or the one that was announced.
    match rotate(act, alg, true).await? {
        Rotated::Yes(next, _) | Rotated::Already(next, _) => Ok(Retired::Yes(Some(next))),
        Rotated::Elsewhere => Ok(Retired::Yes(None)),
    }
}

/// Seals every private half anew under the newest key-encryption key; how many.
///
/// # Errors
/// When one cannot be opened: then nothing was changed.
pub async fn reseal(act: &Act) -> Result<u64, Error> {
    let mut sealed = Vec::new();
    for key in store::signing_keys::list(&mut act.app.db.read().await?).await? {
        if key.retired_at.is_some() {
            continue;
        }
        let opened = seal::open(&act.app.keys, PURPOSE, &key.sealed_jwk)
            .ok_or_else(|| Error::Damaged(format!("signing key {} cannot be opened", key.kid)))?;
        let anew = seal::seal(&act.app.keys, PURPOSE, &opened).map_err(|error| Error::Damaged(error.to_string()))?;
        sealed.push((key.kid, anew));
    }
    let event = act.event(Kind::SigningKeysResealed).noting(format!("{} keys", sealed.len()));
    in_transaction!(act.app.db, act.deadline, [sealed, event], |tx| {
        for (kid, anew) in &sealed {
            store::signing_keys::reseal(tx, kid, anew).await?;
        }
        store::activity::record(tx, &event).await
    })?;
    Ok(sealed.len() as u64)
}
