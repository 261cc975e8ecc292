//! A `[[client]]` of the seed file on its way into the database.

use std::time::Duration;

use super::{Applying, Stop, refuse, with};
use crate::cli::seed::SeedClient;
use crate::model::client::Client;
use crate::operations::admin_context::{Switched, ValidationError};
use crate::operations::clients;
use crate::store::{self, Error};

impl Applying<'_> {
    pub(super) async fn client(&mut self, seed: &SeedClient) -> Result<(), Stop> {
        let what = format!("client {}", seed.client_id);
        let invalid = |invalid: ValidationError| refuse(&seed.place, invalid.key, invalid.why);
        let no_secret = || {
            let why = "stands there, but token_endpoint_auth_method is one without a secret: take one of the two out";
            refuse(&seed.place, "client_secret", why)
        };
        let Some(held) = store::clients::lock_for_update(self.tx, &seed.client_id).await? else {
            let metadata = seed.metadata.new_metadata(self.act.app.config.client_rules()).map_err(invalid)?;
            let needs_secret = metadata.has_secret();
            if seed.secret.is_some() && !needs_secret {
                return Err(no_secret());
            }
            let new = clients::build(self.act, &seed.client_id, metadata, seed.enabled.unwrap_or(true));
            let hash = seed.secret.as_ref().map(|s| clients::hash_secret(&self.act.app, &seed.client_id, &s.0));
            clients::add(self.tx, self.act, &new, hash.as_deref()).await?;
            let missing = needs_secret && hash.is_none();
            let hint = if missing { " (no secret: `client rotate-secret` gives one)" } else { "" };
            self.made(&format!("{what}{hint}"));
            return Ok(());
        };
        let mut keys = match clients::change(self.tx, self.act, &held, &seed.metadata).await? {
            clients::Changed::Keys(keys) => keys,
            clients::Changed::Invalid(why) => return Err(invalid(why)),
            clients::Changed::NotFound => return Err(Error::Damaged(what).into()),
        };
        if let Some(secret) = &seed.secret {
            // Read again: the method may have changed just now.
            let Some(held) = store::clients::lock_for_update(self.tx, &seed.client_id).await? else {
                return Err(Error::Damaged(what).into());
            };
            match self.client_secret(&held, &secret.0).await? {
                Secrets::Same => {}
                Secrets::Replaced => keys.push("client_secret"),
                Secrets::Ended => with(self.report, |report| {
                    let why = "client_secret is one that was replaced: write the new one, or take the key out";
                    report.lines.push(format!("! {what}: {why}"));
                }),
                Secrets::NotNeeded => return Err(no_secret()),
            }
        }
        if let Some(enabled) = seed.enabled
            && clients::switch_enabled(self.tx, self.act, &held, enabled).await? == Switched::Done
        {
            keys.push("enabled");
        }
        self.changed(&what, &keys);
        Ok(())
    }

    /// Lets the file's secret be the client's only one, if it is new. One that was replaced since stays dead.
    async fn client_secret(&mut self, held: &Client, secret: &str) -> Result<Secrets, Stop> {
        let hash = clients::hash_secret(&self.act.app, &held.client_id, secret);
        let known = store::clients::secrets(self.tx, &held.id).await?;
        if !held.metadata.has_secret() {
            return Ok(Secrets::NotNeeded);
        }
        let same: Vec<_> = known.iter().filter(|known| known.hash == hash).collect();
        if same.iter().any(|known| known.expires_at.is_none_or(|at| at > self.act.now.0)) {
            return Ok(Secrets::Same);
        }
        if !same.is_empty() {
            return Ok(Secrets::Ended);
        }
        match clients::replace_secret(self.tx, self.act, held, secret, Duration::ZERO).await? {
            clients::Rotated::Done { .. } => Ok(Secrets::Replaced),
            clients::Rotated::Before | clients::Rotated::NoSecret | clients::Rotated::NotFound => {
                Ok(Secrets::NotNeeded)
            }
        }
    }
}

/// What was done with a client's secret in the file.
enum Secrets {
    /// It works already.
    Same,
    /// It is the client's only one now.
    Replaced,
    /// It worked once and was replaced.
    Ended,
    /// The client's method has none.
    NotNeeded,
}
