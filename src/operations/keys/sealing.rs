//! The key-encryption keys that seal our signing keys: a new one while the old ones still open what they sealed, then
//! everything under the new one.

use anyhow::{Context as _, ensure};

use crate::crypto::key_ring::name_after;
use crate::crypto::seal;
use crate::model::activity::Kind;
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::keys::known::{open, purpose};
use crate::operations::keys::rotation::algorithm;
use crate::store::{Error, activity, keys, settings};

/// Adds a key-encryption key, which seals from now on wherever its file is, and says its name: one that this database
/// has never known.
///
/// # Errors
/// When its file cannot be made, or the record not be written.
pub async fn renew(act: &AdminContext) -> anyhow::Result<String> {
    let keys = &act.app.keys;
    let mut conn = act.app.db.read().await?;
    let (mut name, _) = keys.newest();
    loop {
        name = name_after(&name).context("the newest key-encryption key's number cannot be counted up")?;
        if settings::get(&mut conn, &settings::fingerprint_of(&name)).await?.is_none() {
            break;
        }
    }
    drop(conn);
    keys.add(&name, &act.app.random)?;
    let fingerprint = keys.fingerprints().into_iter().find(|(of, _)| *of == name);
    let (noted, fingerprint) = fingerprint.context("the key that was just made is gone")?;
    let known = in_act!(act, [noted, fingerprint], |tx| {
        let known = settings::insert(tx, &settings::fingerprint_of(&noted), &fingerprint).await?;
        activity::record(tx, &act.event(Kind::SealingKeyRenewed).noting(noted)).await?;
        Ok(known)
    })?;
    ensure!(known, "another replica made a {name} at the same moment: remove this one's file and take that one's");
    Ok(name)
}

/// Seals every private half under the current key-encryption key; says how many were under another.
///
/// # Errors
/// When one of them cannot be opened (then nothing changed), or the database fails.
pub async fn reseal(act: &AdminContext) -> Result<usize, Error> {
    let (current, _) = act.app.keys.newest();
    let rows = keys::list(&mut act.app.db.read().await?).await?;
    let mut seals = Vec::new();
    for row in rows.into_iter().filter(|row| !row.sealed_jwk.is_empty()) {
        if seal::sealed_under(&row.sealed_jwk).as_ref() == Some(&current) {
            continue;
        }
        open(&act.app, algorithm(&row)?, &row).map_err(Error::Damaged)?;
        let purpose = purpose(&row.kid);
        let private = seal::open(&act.app.keys, &purpose, &row.sealed_jwk);
        let private = private.ok_or_else(|| Error::Damaged(format!("signing key {} cannot be opened", row.kid)))?;
        let sealed =
            seal::seal(&act.app.keys, &purpose, &private).map_err(|error| Error::Damaged(error.to_string()))?;
        seals.push((row.kid, row.sealed_jwk, sealed));
    }
    if seals.is_empty() {
        return Ok(0);
    }
    in_act!(act, [seals, current], |tx| {
        let mut done = 0;
        for (kid, old, new) in &seals {
            done += usize::from(keys::reseal(tx, kid, old, new).await?);
        }
        let event = act.event(Kind::SigningKeysResealed);
        activity::record(tx, &event.noting(format!("{done} under {current}"))).await?;
        Ok(done)
    })
}
