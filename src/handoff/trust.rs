//! The trusted issuers as the verifier needs them: keys parsed once, fetched where they are published, the last good
//! ones kept (U13).

use std::sync::Arc;

use crate::app::App;
use crate::cache::issuers::{Fetch, Snapshot, Trusted};
use crate::config::Config;
use crate::crypto::key_set::VerifyingKeys;
use crate::model::issuer::TrustedIssuer;
use crate::operations::issuers::read_keys;
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

/// A refusal is checked again on a snapshot not older than this.
const FRESH_MS: i64 = 1000;
/// An unknown `kid` makes us ask the issuer's address this often at most.
const ASK_EVERY_MS: i64 = 60_000;

/// The issuers as last read; read now when never read.
///
/// # Errors
/// When the database cannot be asked.
pub async fn snapshot(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, store::Error> {
    match app.issuers.get() {
        Some(snapshot) => Ok(snapshot),
        None => reload(app, now).await,
    }
}

/// The issuers read again, unless that happened within the last second; `None` then.
///
/// # Errors
/// When the database cannot be asked.
pub async fn fresher(app: &App, than: &Snapshot, now: Timestamp) -> Result<Option<Arc<Snapshot>>, store::Error> {
    if let Some(snapshot) = app.issuers.get().filter(|snapshot| snapshot.at > than.at) {
        return Ok(Some(snapshot));
    }
    if now.0 - than.at.0 < FRESH_MS {
        return Ok(None);
    }
    reload(app, now).await.map(Some)
}

/// Reads the issuers; keys are parsed again only where they changed.
///
/// # Errors
/// When the database cannot be asked.
pub async fn reload(app: &App, now: Timestamp) -> Result<Arc<Snapshot>, store::Error> {
    let rows = store::issuers::list(&mut app.db.read().await?).await?;
    let before = app.issuers.get();
    let same = |row: &TrustedIssuer| {
        let old = before.as_ref()?.issuer(&row.issuer)?;
        (old.issuer.revision == row.revision
            && old.issuer.epoch == row.epoch
            && old.issuer.last_good_jwks == row.last_good_jwks)
            .then(|| Arc::clone(old))
    };
    let issuers = rows.into_iter().map(|row| same(&row).unwrap_or_else(|| Arc::new(parse(row, &app.config)))).collect();
    let snapshot = Arc::new(Snapshot { at: now, issuers });
    app.issuers.put(Arc::clone(&snapshot));
    Ok(snapshot)
}

fn parse(issuer: TrustedIssuer, config: &Config) -> Trusted {
    let keys = match issuer.jwks.as_deref().or(issuer.last_good_jwks.as_deref()) {
        Some(jwks) => read_keys(jwks, config).unwrap_or_else(|why| {
            tracing::error!(issuer = %issuer.issuer, "the stored keys of {} are not usable: {why}", issuer.issuer);
            VerifyingKeys::default()
        }),
        None => VerifyingKeys::default(),
    };
    Trusted { issuer, keys }
}

/// Asks an issuer's `jwks_uri` for its keys, at most once a minute. A set that is empty or broken replaces nothing.
/// `true` when the keys changed.
///
/// # Errors
/// When the database fails.
pub async fn refetch(app: &App, issuer: &TrustedIssuer, now: Timestamp) -> Result<bool, store::Error> {
    let Some(jwks_uri) = &issuer.jwks_uri else {
        return Ok(false);
    };
    // Whoever waits here finds the keys that the one before has fetched.
    let _turn = app.issuers.fetching().await;
    if !app.issuers.may_ask(jwks_uri, now, ASK_EVERY_MS) {
        return Ok(app
            .issuers
            .get()
            .and_then(|s| s.issuer(&issuer.issuer).cloned())
            .is_some_and(|t| t.issuer.last_good_jwks != issuer.last_good_jwks));
    }
    let fetched = app.outbound.get(jwks_uri).await.map_err(|error| format!("{error:#}"));
    let read = fetched.and_then(|text| read_keys(&text, &app.config).map(|keys| (text, keys)));
    let outcome = read.as_ref().map(|(_, keys)| keys.skipped().to_vec()).map_err(Clone::clone);
    app.issuers.note_fetch(jwks_uri, Fetch { at: now, outcome });
    let (jwks, keys) = match read {
        Ok(read) => read,
        Err(why) => {
            tracing::warn!(issuer = %issuer.issuer, "the keys at {jwks_uri} could not be fetched, the last good ones stay: {why}");
            return Ok(false);
        }
    };
    if issuer.last_good_jwks.as_deref() == Some(&jwks) {
        return Ok(false);
    }
    let (db, id, uri) = (&app.db, issuer.id.clone(), jwks_uri.clone());
    in_transaction!(db, app.ordinary_deadline(now), [id, uri, jwks], |tx| {
        store::issuers::keep_fetched(tx, &id, &uri, &jwks).await
    })?;
    tracing::info!(issuer = %issuer.issuer, "the keys at {jwks_uri} changed");
    if !keys.skipped().is_empty() {
        let skipped = keys.skipped().join("; ");
        tracing::warn!(issuer = %issuer.issuer, "not all keys at {jwks_uri} are used: {skipped}");
    }
    reload(app, now).await?;
    Ok(true)
}
