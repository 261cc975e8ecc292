//! Our signing keys in use: the one that signs now, the public set, and whether a signature is ours (G20). How keys come
//! and go is in [`crate::operations::key_rotation`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

pub use crate::cache::signing_keys::PublicSet;

use crate::app::App;
use crate::cache::signing_keys::{Key, Snapshot};
use crate::crypto::jws::{Algorithm, Unverified, VerifyingKey};
use crate::crypto::seal;
use crate::crypto::signing::SigningKey;
use crate::model::signing_key::{State, max_age, states};
use crate::operations::keys::rotation;
use crate::store::keys;
use crate::store::keys::StoredKey;
use crate::store::{self, Error};
use crate::time::Timestamp;

/// No token of ours lives longer: `config` floors every life at 24 hours, and replicas may go on signing with the key
/// before for as long as they trust a snapshot.
pub const LONGEST_LIFE: Duration = Duration::from_hours(25);
/// How long a snapshot is used before the database is asked again.
const FRESH: Duration = Duration::from_millis(500);
/// No older snapshot proves a signature: a second after a key was taken back anywhere, it opens nothing here (G1).
const PROVES: Duration = Duration::from_millis(900);
/// How long a database that does not answer is waited for, where there are keys to go on with.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long a key that signed is taken to sign.
const PROVEN: Duration = Duration::from_secs(10);
/// A hint may have been signed by a key that is retired for this long (OpenID Connect RP-Initiated Logout §2: however old).
const HINTS: Duration = Duration::from_hours(400 * 24);
/// What every JWK Set of ours holds. A key of a type that some libraries do not know comes in when a client asks for it.
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

/// Proves that this replica signs with every algorithm of which a key is published (G33): a signature is made, and checked
/// by the public half. Of a key that signed a moment ago it is known.
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
///
/// # Errors
/// When the database fails.
pub async fn verify_own(app: &App, jws: &Unverified<'_>, now: Timestamp) -> Result<bool, Error> {
    verify(app, jws, now, State::is_published).await
}

/// Whether a key of ours made a signature, also one that was retired by its age since: for hints, which may be old. One
/// that somebody took back proves nothing.
///
/// # Errors
/// When the database fails.
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

/// The keys as they were a moment ago.
async fn snapshot(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    let Some(known) = app.signing_keys.get() else {
        return read_unless_newer(app, None, now).await;
    };
    // Whoever finds it old reads it again; the others go on with what there is.
    if !is_older(known.at, FRESH, now) {
        return Ok(known);
    }
    let Ok(_one) = app.signing_keys.reading().try_lock() else {
        return Ok(known);
    };
    read(app, now).await
}

/// Whether an instant is further away than this; a clock may have been put back.
fn is_older(at: Timestamp, span: Duration, now: Timestamp) -> bool {
    u128::from(at.0.abs_diff(now.0)) >= span.as_millis()
}

/// The keys as they are now.
///
/// # Errors
/// When the database fails and nothing was read before.
pub async fn read_again(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    let _one = app.signing_keys.reading().lock().await;
    read(app, now).await
}

/// The keys as they are now, or as somebody else read them meanwhile: a thousand unknown `kid`s at once are one question.
async fn read_unless_newer(app: &App, known: Option<&Arc<Snapshot>>, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    let _one = app.signing_keys.reading().lock().await;
    match app.signing_keys.get() {
        Some(newer) if known.is_none_or(|known| !Arc::ptr_eq(&newer, known)) => Ok(newer),
        _ => read(app, now).await,
    }
}

/// Reads the keys. An empty or broken set never replaces a good one.
async fn read(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    let before = app.signing_keys.get();
    let reading = try_read(app, before.as_deref(), now);
    let read = match &before {
        Some(before) if !before.is_empty() => timeout(PATIENCE, reading).await.unwrap_or(Err(Error::Silent)),
        Some(_) | None => reading.await,
    };
    let snapshot = match (read, before) {
        (Ok(snapshot), Some(before)) if snapshot.is_empty() && !before.is_empty() => {
            tracing::error!("the database holds no signing key any more: those read before stay in use");
            before.again(now)
        }
        (Ok(snapshot), _) => snapshot,
        (Err(error), Some(before)) if !before.is_empty() => {
            tracing::warn!("the signing keys could not be read, those read before stay in use: {error}");
            // A database that answers, and whose keys are broken, is not one that may have been told meanwhile.
            if matches!(error, Error::Damaged(_) | Error::Unexpected(_)) {
                before.again(now)
            } else {
                before.unread(now)
            }
        }
        (Err(error), _) => return Err(error),
    };
    let snapshot = Arc::new(snapshot);
    app.signing_keys.put(Arc::clone(&snapshot));
    Ok(snapshot)
}

async fn try_read(app: &App, before: Option<&Snapshot>, now: Timestamp) -> Result<Snapshot, Error> {
    let rows = keys::known_since(&mut app.db.read().await?, now.before(HINTS)).await?;
    let mut algorithms: Vec<(Algorithm, Vec<Key>)> = Vec::new();
    for alg in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa] {
        let rows: Vec<_> = rows.iter().filter(|row| row.alg == alg.name()).collect();
        let states = states(&rows.iter().map(|row| row.dates()).collect::<Vec<_>>(), now);
        let keys = rows.into_iter().zip(states).map(|(row, state)| parse(app, alg, row, state, before, now));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if !keys.is_empty() {
            algorithms.push((alg, keys));
        }
    }
    Ok(Snapshot::new(algorithms, max_age(app.config.keys.announce()), now))
}

/// A row as a key; what was parsed before is not parsed again.
fn parse(
    app: &App,
    alg: Algorithm,
    row: &StoredKey,
    state: State,
    before: Option<&Snapshot>,
    now: Timestamp,
) -> Result<Key, Error> {
    let known = before.and_then(|before| before.key(&row.kid, now)).map(|(key, _)| key);
    let damaged = |why: String| Error::Damaged(format!("signing key {}: {why}", row.kid));
    let (public, verifier) = if let Some(known) = known {
        (known.public.clone(), Arc::clone(&known.verifier))
    } else {
        let public = serde_json::from_str(&row.public_jwk).map_err(|error| damaged(error.to_string()))?;
        (public, Arc::new(VerifyingKey::parse(&row.public_jwk).map_err(damaged)?))
    };
    let open = || match known.and_then(|known| known.signer.clone()) {
        Some(Ok(signer)) => Ok(signer),
        Some(Err(_)) | None => open(app, alg, row),
    };
    let signer = state.may_sign().then(open);
    if let Some(Err(why)) = &signer
        && !known.is_some_and(|known| matches!(&known.signer, Some(Err(_))))
    {
        tracing::error!(key.kid = %row.kid, "{why}");
    }
    Ok(Key { kid: row.kid.clone(), algorithm: alg, dates: row.dates(), public, verifier, signer })
}

/// Opens a private half.
///
/// # Errors
/// Why it cannot be had, and what to do.
pub fn open(app: &App, alg: Algorithm, row: &StoredKey) -> Result<Arc<SigningKey>, String> {
    let kid = &row.kid;
    let Some(kek) = seal::sealed_under(&row.sealed_jwk) else {
        return Err(format!("signing key {kid} has no private half: run `connect-idp key retire {kid}`"));
    };
    if app.keys.named(&kek).is_none() {
        return Err(format!(
            "signing key {kid} cannot be opened: it is sealed under {kek}, which is not in the keys folder: restore that file"
        ));
    }
    let private = seal::open(&app.keys, &purpose(kid), &row.sealed_jwk).ok_or_else(|| {
        format!("signing key {kid} cannot be opened: the {kek} in the keys folder is not the one that sealed it")
    })?;
    let key = SigningKey::parse(kid, alg, &private);
    key.map(Arc::new).map_err(|error| format!("signing key {kid} cannot be used: {error}"))
}

/// Proves that a stored key signs, and that what it signs is proven by the half that is published of it.
///
/// # Errors
/// Why not, and what to do.
pub fn prove_key(app: &App, alg: Algorithm, row: &StoredKey) -> Result<(), String> {
    let kid = &row.kid;
    let signer = open(app, alg, row)?;
    let again = format!("run `connect-idp key rotate --alg {} --at-once`", alg.name());
    let verifier = VerifyingKey::parse(&row.public_jwk);
    let verifier = verifier.map_err(|why| format!("the public half of {kid} cannot be used ({why}): {again}"))?;
    let proof = signer.sign("proof", &json!({ "iat": app.clock.now().seconds() }));
    let proof = proof.map_err(|error| format!("{kid} does not sign ({error}): {again}"))?;
    if !Unverified::parse(&proof, proof.len()).is_ok_and(|proof| verifier.verify(&proof)) {
        return Err(format!("what {kid} signs does not fit its public half: {again}"));
    }
    Ok(())
}

/// What a private half is sealed for: this one row.
pub(in crate::operations) fn purpose(kid: &str) -> String {
    format!("signing key {kid}")
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
///
/// # Errors
/// When the database fails.
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
