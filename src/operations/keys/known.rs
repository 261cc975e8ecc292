//! Our signing keys as the database has them, read again every moment; their private halves opened.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::app::App;
use crate::cache::signing_keys::{Key, Snapshot};
use crate::crypto::jws::{Algorithm, Unverified, VerifyingKey};
use crate::crypto::seal;
use crate::crypto::signing::SigningKey;
use crate::model::signing_key::{State, max_age, states};
use crate::store::Error;
use crate::store::keys::{self, StoredKey};
use crate::time::Timestamp;

/// No token of ours lives longer: `config` floors every life at 24 hours, and replicas may go on signing with the key
/// before for as long as they trust a snapshot.
pub const LONGEST_LIFE: Duration = Duration::from_hours(25);
/// How long a snapshot is used before the database is asked again.
const FRESH: Duration = Duration::from_millis(500);
/// How long a database that does not answer is waited for, where there are keys to go on with.
const PATIENCE: Duration = Duration::from_secs(2);
/// A hint may have been signed by a key that is retired for this long (OpenID Connect RP-Initiated Logout §2: however
/// old).
const HINTS: Duration = Duration::from_hours(400 * 24);

/// The keys as they were a moment ago.
pub(super) async fn snapshot(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
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
pub(super) fn is_older(at: Timestamp, span: Duration, now: Timestamp) -> bool {
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

/// The keys as they are now, or as somebody else read them meanwhile: a thousand unknown `kid`s at once are one
/// question.
pub(super) async fn read_unless_newer(
    app: &App,
    known: Option<&Arc<Snapshot>>,
    now: Timestamp,
) -> Result<Arc<Snapshot>, Error> {
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
pub(super) fn purpose(kid: &str) -> String {
    format!("signing key {kid}")
}
