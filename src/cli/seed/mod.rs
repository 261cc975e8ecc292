//! The seed file of `apply`: what stands in it, and everything that can be checked from the file alone. Every error
//! names the table, its number and the key.

mod tables;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::value::Datetime;
use toml::{Table, Value};
use zeroize::Zeroizing;

pub(super) use self::tables::Locked;
use self::tables::{RawClient, RawIssuer, RawProvider, RawUser};
use crate::config::Config;
use crate::crypto::secret::digest;
use crate::model::claims::Claims;
use crate::model::client::draft::Draft as Metadata;
use crate::model::client::rules::check_client_id;
use crate::model::login_name::LoginName;
use crate::model::provider::{ProviderCode, UnifiedLogin};
use crate::model::text::line_at;
use crate::operations::admin_context::ValidationError;
use crate::operations::{clients, issuers, providers, users};
use crate::time::Timestamp;

/// A seed file whose every value is checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Seed {
    pub(super) providers: Vec<SeedProvider>,
    pub(super) issuers: Vec<SeedIssuer>,
    pub(super) clients: Vec<SeedClient>,
    pub(super) users: Vec<SeedUser>,
    prune: Option<Vec<Section>>,
}

/// One kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Section {
    Provider,
    TrustedIssuer,
    Client,
    User,
}

/// `[[provider]]`
#[derive(Clone, Debug)]
pub(super) struct SeedProvider {
    pub(super) place: String,
    pub(super) code: ProviderCode,
    pub(super) draft: providers::Draft,
    pub(super) active: Option<bool>,
    pub(super) unified_login: Option<UnifiedLogin>,
}

/// `[[trusted_issuer]]`
#[derive(Clone, Debug)]
pub(super) struct SeedIssuer {
    pub(super) place: String,
    pub(super) issuer: String,
    pub(super) draft: issuers::Draft,
    pub(super) enabled: Option<bool>,
}

/// `[[client]]`
#[derive(Clone, Debug)]
pub(super) struct SeedClient {
    pub(super) place: String,
    pub(super) client_id: String,
    pub(super) metadata: Metadata,
    pub(super) secret: Option<Typed>,
    pub(super) enabled: Option<bool>,
}

/// A secret that stands in the file.
#[derive(Clone)]
pub(super) struct Typed(pub(super) Zeroizing<String>);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(…)")
    }
}

/// `[[user]]`
#[derive(Clone, Debug)]
pub(super) struct SeedUser {
    pub(super) place: String,
    pub(super) provider: ProviderCode,
    pub(super) login_name: LoginName,
    pub(super) draft: users::Draft,
    pub(super) password: Password,
    pub(super) temporary: bool,
    pub(super) temporary_until: Option<Timestamp>,
    pub(super) active: Option<bool>,
    pub(super) locked: Locked,
    pub(super) ties: Vec<Tie>,
}

/// What a new user signs in with.
#[derive(Clone)]
pub(super) enum Password {
    /// Prepared, still to be hashed.
    Given(Zeroizing<String>),
    /// Hashed elsewhere.
    Hash(String),
    /// Nothing: until an admin's reset only a handoff lets the user in.
    None,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(…)",
            Self::Hash(_) => "Hash(…)",
            Self::None => "None",
        })
    }
}

/// `handoff_sub`, and `handoff_issuer` where it is named; or one of `handoff_subs`.
#[derive(Clone, Debug)]
pub(super) struct Tie {
    pub(super) sub: String,
    pub(super) issuer: Option<String>,
}

impl Seed {
    /// Reads and checks a seed file.
    ///
    /// # Errors
    /// One sentence that names table, number and key.
    pub(super) fn parse(text: &str, config: &Config) -> anyhow::Result<Self> {
        let mut file: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| line_at(text, span.start));
            anyhow::anyhow!("it is not TOML, line {line}: {}", error.message())
        })?;
        let prune = file.remove("prune").map(sections).transpose()?;
        let providers =
            tables(&mut file, "provider", |table| label(table, &["code"]), |place, raw| provider(place, raw, config))?;
        let issuers = tables(
            &mut file,
            "trusted_issuer",
            |table| label(table, &["issuer"]),
            |place, raw| issuer(place, raw, config),
        )?;
        let clients =
            tables(&mut file, "client", |table| label(table, &["client_id"]), |place, raw| client(place, raw, config))?;
        let users = tables(&mut file, "user", |table| label(table, &["provider", "login_name"]), user)?;
        if let Some(other) = file.keys().next() {
            bail!("{other}: there is no such table: use [[provider]], [[user]], [[client]] and [[trusted_issuer]]");
        }
        once(providers.iter().map(|p| (p.code.folded(), p.place.as_str())))?;
        once(issuers.iter().map(|i| (i.issuer.clone(), i.place.as_str())))?;
        once(clients.iter().map(|c| (c.client_id.clone(), c.place.as_str())))?;
        once(
            users
                .iter()
                .map(|u| (digest(format!("{}\0{}", u.provider.as_str(), u.login_name.key())), u.place.as_str())),
        )?;
        Ok(Self { providers, issuers, clients, users, prune })
    }

    /// Whether `--prune` may conclude anything from what the file does not say of a kind of table: it has some, and
    /// `prune` names the kind where it stands in the file.
    pub(super) fn may_prune(&self, section: Section) -> bool {
        let there = match section {
            Section::Provider => !self.providers.is_empty(),
            Section::TrustedIssuer => !self.issuers.is_empty(),
            Section::Client => !self.clients.is_empty(),
            Section::User => !self.users.is_empty(),
        };
        there && self.prune.as_ref().is_none_or(|named| named.contains(&section))
    }
}

fn sections(value: Value) -> anyhow::Result<Vec<Section>> {
    const WHY: &str = "must be a list of those of provider, trusted_issuer, client and user that --prune covers";
    Ok(value.try_into().map_err(|_| ValidationError::new("prune", WHY))?)
}

/// Reads every table of one name.
fn tables<R: DeserializeOwned, T>(
    file: &mut Table,
    name: &str,
    label: impl Fn(&Table) -> String,
    check: impl Fn(String, R) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let Some(found) = file.remove(name) else {
        return Ok(Vec::new());
    };
    let Value::Array(found) = found else {
        bail!("{name}: write it as [[{name}]], in double brackets");
    };
    let read = |(index, value): (usize, Value)| {
        let Value::Table(table) = value else {
            bail!("{name} number {}: write it as [[{name}]], in double brackets", index + 1);
        };
        let place = format!("{} number {}{}", name.replace('_', " "), index + 1, label(&table));
        let raw = serde_path_to_error::deserialize(table).map_err(|error| {
            let path = error.path().to_string();
            let why = error.into_inner().message().trim().replace('\n', " ");
            if path == "." || why.contains(&format!("`{path}`")) {
                anyhow::anyhow!("{place}: {why}")
            } else {
                anyhow::anyhow!("{place}: {path}: {why}")
            }
        })?;
        check(place.clone(), raw).context(place)
    };
    found.into_iter().enumerate().map(read).collect()
}

/// ` (SUNRISE-IL/amina)`, as far as the table says.
fn label(table: &Table, keys: &[&str]) -> String {
    let parts: Vec<&str> = keys.iter().filter_map(|key| table.get(*key).and_then(Value::as_str)).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("/")) }
}

fn once<'a>(keys: impl Iterator<Item = (String, &'a str)>) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for (key, place) in keys {
        if !seen.insert(key) {
            bail!("{place}: it stands in the file already: keep one of the two");
        }
    }
    Ok(())
}

fn word<T: FromStr<Err: Display>>(key: &'static str, text: Option<&str>) -> Result<Option<T>, ValidationError> {
    text.map(str::parse::<T>).transpose().map_err(|error| ValidationError::new(key, error.to_string()))
}

fn code(key: &'static str, text: &str) -> Result<ProviderCode, ValidationError> {
    ProviderCode::parse(text)
        .ok_or_else(|| ValidationError::new(key, "a Provider Code has 1 to 32 letters, digits and hyphens"))
}

fn provider(place: String, raw: RawProvider, config: &Config) -> anyhow::Result<SeedProvider> {
    let draft = providers::Draft {
        name: raw.name,
        time_zone: raw.time_zone,
        contact: raw.contact,
        idle_minutes: raw.idle_minutes,
        absolute_hours: raw.absolute_hours,
        reset_by_mail: raw.reset_by_mail,
    };
    draft.check(config)?;
    Ok(SeedProvider {
        code: code("code", &raw.code)?,
        place,
        draft,
        active: raw.active,
        unified_login: word("unified_login", raw.unified_login.as_deref())?,
    })
}

fn issuer(place: String, raw: RawIssuer, config: &Config) -> anyhow::Result<SeedIssuer> {
    let draft = issuers::Draft {
        display_name: raw.display_name,
        origins: raw.origins,
        jwks: raw.jwks,
        jwks_uri: raw.jwks_uri,
        client_id: raw.client_id,
        acr: raw.acr,
    };
    draft.check(config)?;
    Ok(SeedIssuer { place, issuer: raw.issuer, draft, enabled: raw.enabled })
}

fn client(place: String, raw: RawClient, config: &Config) -> anyhow::Result<SeedClient> {
    check_client_id(&raw.client_id)?;
    if let Some(secret) = &raw.client_secret {
        clients::check_secret(secret, config)?;
    }
    Ok(SeedClient {
        place,
        client_id: raw.client_id,
        metadata: Metadata::from_seed(raw.metadata).map_err(anyhow::Error::msg)?,
        secret: raw.client_secret.map(|secret| Typed(Zeroizing::new(secret))),
        enabled: raw.enabled,
    })
}

fn user(place: String, raw: RawUser) -> anyhow::Result<SeedUser> {
    if let Some(name) = &raw.name {
        users::check_name(name)?;
    }
    if let Some(external_id) = raw.external_id.as_deref().filter(|id| !id.is_empty()) {
        users::check_external_id(external_id)?;
    }
    let password = match (&raw.password, raw.password_hash) {
        (Some(_), Some(_)) => {
            bail!(ValidationError::new("password_hash", "stands beside password: give one of the two"))
        }
        (Some(text), None) => Password::Given(users::check_password(text)?),
        (None, Some(phc)) => {
            users::check_hash(&phc)?;
            Password::Hash(phc)
        }
        (None, None) => Password::None,
    };
    if raw.temporary == Some(false) && raw.temporary_until.is_some() {
        bail!(ValidationError::new("temporary_until", "stands beside temporary = false: give one of the two"));
    }
    let temporary_until = raw.temporary_until.map(moment).transpose()?;
    let ties = ties(raw.handoff_sub, raw.handoff_issuer, raw.handoff_subs)?;
    Ok(SeedUser {
        place,
        provider: code("provider", &raw.provider)?,
        login_name: users::parse_login_name(&raw.login_name)?,
        draft: users::Draft {
            // A user is known by it here; `user rename` gives another one.
            login_name: None,
            external_id: raw.external_id,
            name: raw.name,
            user_type: word("user_type", raw.user_type.as_deref())?,
            claims: raw.claims.map(claims).transpose()?,
        },
        password,
        temporary: raw.temporary.unwrap_or(true),
        temporary_until,
        active: raw.active,
        locked: raw.locked,
        ties,
    })
}

fn ties(
    sub: Option<String>,
    issuer: Option<String>,
    subs: BTreeMap<String, String>,
) -> Result<Vec<Tie>, ValidationError> {
    let (key, ties) = match (sub, issuer) {
        (Some(_), _) if !subs.is_empty() => {
            return Err(ValidationError::new("handoff_subs", "stands beside handoff_sub: give one of the two"));
        }
        (Some(sub), issuer) => ("handoff_sub", vec![Tie { sub, issuer }]),
        (None, Some(_)) => return Err(ValidationError::new("handoff_issuer", "stands without handoff_sub: give both")),
        (None, None) => {
            let tie = |(issuer, sub)| Tie { sub, issuer: Some(issuer) };
            ("handoff_subs", subs.into_iter().map(tie).collect())
        }
    };
    ties.iter().try_for_each(|tie| issuers::check_sub(&tie.sub)).map_err(|why| ValidationError::new(key, why))?;
    Ok(ties)
}

fn moment(written: Datetime) -> Result<Timestamp, ValidationError> {
    const WHY: &str = "must be a moment such as 2026-01-31T08:15:00Z";
    let moment: Option<jiff::Timestamp> = written.to_string().parse().ok();
    moment.map(|at| Timestamp(at.as_millisecond())).ok_or_else(|| ValidationError::new("temporary_until", WHY))
}

fn claims(table: Table) -> Result<Claims, ValidationError> {
    let json = serde_json::to_value(table).map_err(|error| ValidationError::new("claims", error.to_string()))?;
    let members = json.as_object().cloned().unwrap_or_default();
    Claims::parse(members).map_err(|why| ValidationError::new("claims", why))
}

#[cfg(test)]
mod tests;
