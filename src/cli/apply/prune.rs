//! `apply --prune`: what the file does not name is switched off, in its transaction. Nothing is removed, so that a
//! wrong file loses nothing: providers and users are deactivated, trusted issuers and clients disabled.

use std::collections::{HashMap, HashSet};

use super::{Applying, Stop, with};
use crate::cli::seed::{Section, Seed};
use crate::model::provider::{Provider, ProviderKind};
use crate::operations::admin_context::Switched;
use crate::operations::{clients, issuers, providers, users};
use crate::store;

/// How many rows are read at once.
const PAGE: i64 = 1000;

/// The users whom the file names, by their provider's code: prepared names.
type Named<'a> = HashMap<&'a str, HashSet<&'a str>>;

impl Applying<'_> {
    /// Switches off what the file does not name, kind by kind, as far as the file speaks of the kind.
    pub(super) async fn prune(&mut self, seed: &Seed) -> Result<(), Stop> {
        let mut named = Named::new();
        for user in &seed.users {
            named.entry(user.provider.as_str()).or_default().insert(user.login_name.key());
        }
        if seed.may_prune(Section::Provider) {
            self.prune_providers(seed, &named).await?;
        }
        if seed.may_prune(Section::TrustedIssuer) {
            self.prune_issuers(seed).await?;
        }
        if seed.may_prune(Section::Client) {
            self.prune_clients(seed).await?;
        }
        if seed.may_prune(Section::User) {
            self.prune_users(&named).await?;
        }
        Ok(())
    }

    fn switched_off(&self, switched: Switched, what: &str) {
        if switched == Switched::Done {
            with(self.report, |report| report.lines.push(format!("- {what}")));
        }
    }

    /// A provider is named by its own table, or by a user's.
    async fn prune_providers(&mut self, seed: &Seed, named: &Named<'_>) -> Result<(), Stop> {
        let kept: HashSet<&str> = seed.providers.iter().map(|provider| provider.code.as_str()).collect();
        for listed in store::providers::list(self.tx).await? {
            let code = listed.code.as_str();
            if !listed.active
                || listed.kind == ProviderKind::Operator
                || kept.contains(code)
                || named.contains_key(code)
            {
                continue;
            }
            if let Some(held) = store::providers::lock_for_update(self.tx, &listed.id).await? {
                let switched = providers::switch_active(self.tx, self.act, &held, false).await?;
                self.switched_off(switched, &format!("provider {code}: deactivated"));
            }
        }
        Ok(())
    }

    async fn prune_issuers(&mut self, seed: &Seed) -> Result<(), Stop> {
        let kept: HashSet<&str> = seed.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
        for listed in store::issuers::list(self.tx).await? {
            if !listed.enabled || kept.contains(listed.issuer.as_str()) {
                continue;
            }
            if let Some(held) = store::issuers::lock_for_update(self.tx, &listed.issuer).await? {
                let switched = issuers::switch_enabled(self.tx, self.act, &held, false).await?;
                self.switched_off(switched, &format!("trusted_issuer {}: disabled", held.issuer));
            }
        }
        Ok(())
    }

    async fn prune_clients(&mut self, seed: &Seed) -> Result<(), Stop> {
        let kept: HashSet<&str> = seed.clients.iter().map(|client| client.client_id.as_str()).collect();
        let mut after = String::new();
        loop {
            let page = store::clients::list(self.tx, &after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after.clone_from(&last.client_id);
            for listed in page.iter().filter(|client| client.enabled && !kept.contains(client.client_id.as_str())) {
                if let Some(held) = store::clients::lock_for_update(self.tx, &listed.client_id).await? {
                    let switched = clients::switch_enabled(self.tx, self.act, &held, false).await?;
                    self.switched_off(switched, &format!("client {}: disabled", held.client_id));
                }
            }
        }
    }

    async fn prune_users(&mut self, named: &Named<'_>) -> Result<(), Stop> {
        for provider in store::providers::list(self.tx).await? {
            let Some(kept) = named.get(provider.code.as_str()) else {
                continue;
            };
            let switched_off = self.prune_users_of(&provider, kept).await?;
            if provider.kind == ProviderKind::Operator && switched_off && !self.has_usable_user(&provider).await? {
                return Err(nobody_left(&provider.code));
            }
        }
        Ok(())
    }

    /// Deactivates the users of a provider whom the file does not name; whether there were any.
    async fn prune_users_of(&mut self, provider: &Provider, kept: &HashSet<&str>) -> Result<bool, Stop> {
        let (mut after, mut any) = (String::new(), false);
        loop {
            let page = store::users::list(self.tx, &provider.id, &after, PAGE).await?;
            let Some((last, _)) = page.last() else {
                return Ok(any);
            };
            after.clone_from(last);
            for (_, listed) in page.iter().filter(|(key, user)| user.active && !kept.contains(key.as_str())) {
                if let Some(held) = store::users::lock_for_update(self.tx, &provider.id, &listed.id).await? {
                    let switched = users::switch_active(self.tx, self.act, &held, false).await?;
                    if switched == Switched::LastAdmin {
                        return Err(nobody_left(&provider.code));
                    }
                    any |= switched == Switched::Done;
                    self.switched_off(switched, &format!("user {}/{}: deactivated", provider.code, held.login_name));
                }
            }
        }
    }

    async fn has_usable_user(&mut self, provider: &Provider) -> Result<bool, Stop> {
        let mut after = String::new();
        loop {
            let page = store::users::list(self.tx, &provider.id, &after, PAGE).await?;
            match page.last() {
                _ if page.iter().any(|(_, user)| user.active && user.lock().is_none()) => return Ok(true),
                Some((last, _)) => after.clone_from(last),
                None => return Ok(false),
            }
        }
    }
}

fn nobody_left(code: &str) -> Stop {
    Stop::Refused(format!(
        "--prune would leave no Therap Admin who can sign in: let the file name one of {code} who is active and not locked"
    ))
}
