//! What an operator does to a client: each one transaction with exactly one record, and none when nothing changed.
//! Functions that take a `Tx` are the same actions as parts of a larger one (`apply`).

pub mod access_token;
pub mod authenticate;
pub mod keys;
pub mod search;

use std::time::Duration;

use super::admin_context::{AdminContext, Edited, Switched, ValidationError, in_act};
use crate::app::App;
use crate::config::Config;
use crate::crypto::secret::Secret;
use crate::model::activity::Kind;
use crate::model::client::draft::Draft;
use crate::model::client::{Client, Metadata};
use crate::store::clients::{SecretsEnd, StoredSecret};
use crate::store::tokens::access;
use crate::store::{Error, Tx, activity, clients};

/// A secret that was typed is at least so long, where something real is at stake.
const SHORTEST: usize = 32;

/// How long a replaced secret may go on working at most.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(90 * 24);

/// The result of a change of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These keys have new values now, and that is recorded; when it is empty, nothing was new and nothing is recorded.
    Keys(Vec<&'static str>),
    /// The whole would not be accepted; nothing was written.
    Invalid(ValidationError),
    /// There is no such client.
    NotFound,
}

/// The result of giving a client a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// It works from now on.
    Done {
        /// How many before it end now or when the overlap is over.
        before: u64,
    },
    /// The newest secret is not the one that was seen any more.
    Before,
    /// The client's authentication method knows no secret.
    NoSecret,
    /// There is no such client.
    NotFound,
}

/// A new secret for a client, as it is shown once.
#[must_use]
pub fn make_secret(app: &App) -> String {
    Secret::random(&app.random).reveal()
}

/// Checks a secret that somebody typed. A form carries it as it stands (RFC 6749 Appendix A.2).
///
/// # Errors
/// What it must be.
pub fn check_secret(secret: &str, config: &Config) -> Result<(), ValidationError> {
    let legal = |b: u8| (0x20..=0x7e).contains(&b);
    let invalid = |why: String| Err(ValidationError::new("client_secret", why));
    if !(8..=255).contains(&secret.len()) || !secret.bytes().all(legal) {
        return invalid("must be 8 to 255 printable ASCII characters".into());
    }
    if secret.len() < SHORTEST && !config.may_weaken() {
        return invalid(format!(
            "must be at least {SHORTEST} characters on a production site: `connect-idp client rotate-secret` makes a good one"
        ));
    }
    Ok(())
}

/// What is stored of a secret: a keyed hash that fits this client alone.
#[must_use]
pub fn hash_secret(app: &App, client_id: &str, secret: &str) -> String {
    app.client_secret_key.keyed_hash(&[client_id, secret])
}

/// A client that is not stored yet. Its metadata were checked.
#[must_use]
pub fn build(act: &AdminContext, client_id: &str, metadata: Metadata, enabled: bool) -> Client {
    Client {
        id: act.app.random.id(act.now),
        client_id: client_id.to_owned(),
        metadata,
        enabled,
        epoch: 1,
        // A revision that was read of an earlier client of this name is none of this one's.
        revision: act.now.0,
        created_at: act.now.0,
    }
}

/// Makes a client, with a secret if it is to have one; `false` when its `client_id` is taken.
pub async fn create(act: &AdminContext, client: &Client, secret: Option<&str>) -> Result<bool, Error> {
    let hash = secret.map(|secret| hash_secret(&act.app, &client.client_id, secret));
    in_act!(act, [client, hash], |tx| add(tx, &act, &client, hash.as_deref()).await)
}

/// Adds a client and the hash of its secret; `false` when its `client_id` is taken.
pub async fn add(tx: &mut Tx, act: &AdminContext, client: &Client, secret_hash: Option<&str>) -> Result<bool, Error> {
    if !clients::insert(tx, client).await? {
        return Ok(false);
    }
    if let Some(hash) = secret_hash {
        clients::add_secret(tx, &act.app.random.id(act.now), &client.id, hash, act.now).await?;
    }
    activity::record(tx, &act.event(Kind::ClientCreated).noting(&client.client_id)).await?;
    Ok(true)
}

/// Changes a client's metadata.
pub async fn set(act: &AdminContext, client_id: &str, draft: &Draft) -> Result<Changed, Error> {
    let client_id = client_id.to_owned();
    in_act!(act, holding clients(client_id), [client_id, draft], |tx| {
        match clients::lock_for_update(tx, &client_id).await? {
            Some(held) => change(tx, &act, &held, &draft).await,
            None => Ok(Changed::NotFound),
        }
    })
}

/// Writes an operator's form over a client's metadata, unless somebody else wrote since it was read.
pub async fn edit(act: &AdminContext, client_id: &str, revision: i64, draft: &Draft) -> Result<Edited<Changed>, Error> {
    let client_id = client_id.to_owned();
    in_act!(act, holding clients(client_id), [client_id, draft], |tx| {
        match clients::lock_for_update(tx, &client_id).await? {
            Some(held) if held.revision != revision => Ok(Edited::Stale),
            Some(held) => Ok(Edited::Changed(change(tx, &act, &held, &draft).await?)),
            None => Ok(Edited::Changed(Changed::NotFound)),
        }
    })
}

/// Changes the metadata of a client whose row is held. Where the client needs a secret no longer, it has none any more.
/// With its secret, or with a key that is not registered any more, the access tokens end that may have been bought by
/// it (G36).
pub async fn change(tx: &mut Tx, act: &AdminContext, held: &Client, draft: &Draft) -> Result<Changed, Error> {
    let (metadata, keys) = match draft.change(&held.metadata, act.app.config.client_rules()) {
        Ok(changed) => changed,
        Err(invalid) => return Ok(Changed::Invalid(invalid)),
    };
    if keys.is_empty() {
        return Ok(Changed::Keys(keys));
    }
    clients::update(tx, &held.id, &metadata).await?;
    if !metadata.has_secret() {
        clients::end_secrets(tx, &held.id, SecretsEnd::AtOnce, act.now).await?;
    }
    if held.metadata.loses_a_proof(&metadata) {
        access::revoke_of_client(tx, &held.id, act.now).await?;
    }
    let note = format!("{}: {}", held.client_id, keys.join(", "));
    activity::record(tx, &act.event(Kind::ClientChanged).noting(note)).await?;
    Ok(Changed::Keys(keys))
}

/// The newest secret of a client that is remembered, by which a page tells whether it was replaced since.
#[must_use]
pub fn newest(secrets: &[StoredSecret]) -> String {
    secrets.last().map(|secret| secret.id.clone()).unwrap_or_default()
}

/// Gives a client a new secret; those before it go on working for `overlap` (at most [`LONGEST_OVERLAP`]), or until
/// they would have ended anyway. Without an overlap, the access tokens bought with them end too (G36). On a page that
/// was shown once, only in place of the [`newest`] that was `seen`.
pub async fn rotate_secret(
    act: &AdminContext,
    client_id: &str,
    secret: &str,
    overlap: Duration,
    seen: Option<String>,
) -> Result<Rotated, Error> {
    let (client_id, secret) = (client_id.to_owned(), secret.to_owned());
    in_act!(act, holding clients(client_id), [client_id, secret, seen], |tx| {
        let held = clients::lock_for_update(tx, &client_id).await?;
        if let (Some(held), Some(seen)) = (&held, &seen)
            && newest(&clients::secrets(tx, &held.id).await?) != *seen
        {
            return Ok(Rotated::Before);
        }
        match held {
            Some(held) if act.is_stale(held.version()) => Ok(Rotated::Before),
            Some(held) => replace_secret(tx, &act, &held, &secret, overlap).await,
            None => Ok(Rotated::NotFound),
        }
    })
}

/// Gives a client whose row is held a new secret, as [`rotate_secret`] does.
pub async fn replace_secret(
    tx: &mut Tx,
    act: &AdminContext,
    held: &Client,
    secret: &str,
    overlap: Duration,
) -> Result<Rotated, Error> {
    if !held.metadata.has_secret() {
        return Ok(Rotated::NoSecret);
    }
    let end = match overlap.min(LONGEST_OVERLAP) {
        Duration::ZERO => SecretsEnd::AtOnce,
        overlap => SecretsEnd::At(act.now.after(overlap)),
    };
    let before = clients::end_secrets(tx, &held.id, end, act.now).await?;
    let hash = hash_secret(&act.app, &held.client_id, secret);
    if end == SecretsEnd::AtOnce {
        access::revoke_of_client(tx, &held.id, act.now).await?;
    }
    clients::add_secret(tx, &act.app.random.id(act.now), &held.id, &hash, act.now).await?;
    activity::record(tx, &act.event(Kind::ClientSecretRotated).noting(&held.client_id)).await?;
    Ok(Rotated::Done { before })
}

/// Switches a client on or off. Off, everything that it was given is dead at once.
pub async fn set_enabled(act: &AdminContext, client_id: &str, enabled: bool) -> Result<Switched, Error> {
    let client_id = client_id.to_owned();
    in_act!(act, holding clients(client_id), [client_id], |tx| {
        match clients::lock_for_update(tx, &client_id).await? {
            Some(held) if act.is_stale(held.version()) => Ok(Switched::Stale),
            Some(held) => switch_enabled(tx, &act, &held, enabled).await,
            None => Ok(Switched::NotFound),
        }
    })
}

/// Switches a client whose row is held.
pub async fn switch_enabled(tx: &mut Tx, act: &AdminContext, held: &Client, enabled: bool) -> Result<Switched, Error> {
    if !clients::set_enabled(tx, &held.id, enabled).await? {
        return Ok(Switched::Already);
    }
    let kind = if enabled { Kind::ClientEnabled } else { Kind::ClientDisabled };
    activity::record(tx, &act.event(kind).noting(&held.client_id)).await?;
    Ok(Switched::Done)
}

/// The result of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, and that is recorded.
    Done,
    /// There is no such client.
    NotFound,
    /// Somebody else changed the client since it was read; it stays.
    Stale,
}

/// Removes a client and everything that is its: secrets, consents, codes, tokens; unless somebody else changed it since
/// it was read in the revision `revision`, where one is given.
pub async fn delete(act: &AdminContext, client_id: &str, revision: Option<i64>) -> Result<Deleted, Error> {
    let client_id = client_id.to_owned();
    in_act!(act, holding clients(client_id), [client_id], |tx| {
        let Some(held) = clients::lock_for_update(tx, &client_id).await? else {
            return Ok(Deleted::NotFound);
        };
        if revision.is_some_and(|read| read != held.revision) || act.is_stale(held.version()) {
            return Ok(Deleted::Stale);
        }
        clients::delete(tx, &held.id).await?;
        activity::record(tx, &act.event(Kind::ClientDeleted).noting(held.client_id)).await?;
        Ok(Deleted::Done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_secret_is_long_enough_for_where_it_is_used() {
        let production = Config { issuer: "https://connect.example.org".into(), ..Config::default() };
        let beta = Config { site: crate::config::Site::Beta, ..production.clone() };
        for (secret, good_on_beta, good_in_production) in [
            ("short", false, false),
            ("eight-ch", true, false),
            ("a".repeat(31).as_str(), true, false),
            ("a".repeat(32).as_str(), true, true),
            ("p+c s%c:r&t=\"s\\ecret+secret+secret", true, true),
            ("a".repeat(256).as_str(), false, false),
            ("s\u{e9}cret-secret-secret-secret-secret", false, false),
            ("secret-secret-secret-secret\nsecret", false, false),
        ] {
            assert_eq!(check_secret(secret, &beta).is_ok(), good_on_beta, "{secret}");
            assert_eq!(check_secret(secret, &production).is_ok(), good_in_production, "{secret}");
        }
    }
}
