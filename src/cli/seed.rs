//! The seed file of `apply`: what stands in it, and everything that can be judged from the file alone. Every error names
//! the table, its number and the key.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::crypto::secret::digest;
use crate::model::claims::Claims;
use crate::model::client_draft::Draft as Metadata;
use crate::model::client_rules::check_client_id;
use crate::model::login_name::LoginName;
use crate::model::provider::{ProviderCode, UnifiedLogin};
use crate::operations::act::Unfit;
use crate::operations::{clients, issuers, providers, users};

/// A seed file whose every value is judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Seed {
    pub(super) providers: Vec<SeedProvider>,
    pub(super) issuers: Vec<SeedIssuer>,
    pub(super) clients: Vec<SeedClient>,
    pub(super) users: Vec<SeedUser>,
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
    pub(super) active: Option<bool>,
    pub(super) locked: Locked,
    pub(super) tie: Option<Tie>,
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

/// `handoff_sub`, and `handoff_issuer` where it is named.
#[derive(Clone, Debug)]
pub(super) struct Tie {
    pub(super) sub: String,
    pub(super) issuer: Option<String>,
}

/// `locked`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Locked {
    #[default]
    No,
    Password,
    Admin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    code: String,
    name: Option<String>,
    active: Option<bool>,
    unified_login: Option<String>,
    time_zone: Option<String>,
    contact: Option<String>,
    idle_minutes: Option<u32>,
    absolute_hours: Option<u32>,
    reset_by_mail: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    provider: String,
    login_name: String,
    name: Option<String>,
    user_type: Option<String>,
    password: Option<String>,
    password_hash: Option<String>,
    temporary: Option<bool>,
    active: Option<bool>,
    #[serde(default)]
    locked: Locked,
    handoff_sub: Option<String>,
    handoff_issuer: Option<String>,
    claims: Option<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    issuer: String,
    display_name: Option<String>,
    origins: Option<Vec<String>>,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    client_id: Option<String>,
    acr: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawClient {
    client_id: String,
    client_secret: Option<String>,
    enabled: Option<bool>,
    #[serde(flatten)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

impl Seed {
    /// Reads and judges a seed file.
    ///
    /// # Errors
    /// One sentence that names table, number and key.
    pub(super) fn parse(text: &str, config: &Config) -> anyhow::Result<Self> {
        let mut file: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            anyhow::anyhow!("it is not TOML, line {line}: {}", error.message())
        })?;
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
        Ok(Self { providers, issuers, clients, users })
    }
}

/// Reads every table of one name.
fn tables<R: DeserializeOwned, T>(
    file: &mut Table,
    name: &str,
    label: impl Fn(&Table) -> String,
    judge: impl Fn(String, R) -> anyhow::Result<T>,
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
        judge(place.clone(), raw).context(place)
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

fn word<T: FromStr<Err: Display>>(key: &'static str, text: Option<&str>) -> Result<Option<T>, Unfit> {
    text.map(str::parse::<T>).transpose().map_err(|error| Unfit::new(key, error.to_string()))
}

fn code(key: &'static str, text: &str) -> Result<ProviderCode, Unfit> {
    ProviderCode::parse(text).ok_or_else(|| Unfit::new(key, "a Provider Code has 1 to 32 letters, digits and hyphens"))
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
    Ok(SeedIssuer { place, issuer: raw.issuer, draft })
}

fn client(place: String, raw: RawClient, config: &Config) -> anyhow::Result<SeedClient> {
    check_client_id(&raw.client_id)?;
    if let Some(secret) = &raw.client_secret {
        clients::check_secret(secret, config)?;
    }
    Ok(SeedClient {
        place,
        client_id: raw.client_id,
        metadata: Metadata::parse(raw.metadata).map_err(anyhow::Error::msg)?,
        secret: raw.client_secret.map(|secret| Typed(Zeroizing::new(secret))),
        enabled: raw.enabled,
    })
}

fn user(place: String, raw: RawUser) -> anyhow::Result<SeedUser> {
    if let Some(name) = &raw.name {
        users::check_name(name)?;
    }
    let password = match (&raw.password, raw.password_hash) {
        (Some(_), Some(_)) => bail!(Unfit::new("password_hash", "stands beside password: give one of the two")),
        (Some(text), None) => Password::Given(users::check_password(text)?),
        (None, Some(phc)) => {
            users::check_hash(&phc)?;
            Password::Hash(phc)
        }
        (None, None) => Password::None,
    };
    let tie = match (raw.handoff_sub, raw.handoff_issuer) {
        (Some(sub), issuer) => {
            issuers::check_sub(&sub).map_err(|why| Unfit::new("handoff_sub", why))?;
            Some(Tie { sub, issuer })
        }
        (None, Some(_)) => bail!(Unfit::new("handoff_issuer", "stands without handoff_sub: give both")),
        (None, None) => None,
    };
    Ok(SeedUser {
        place,
        provider: code("provider", &raw.provider)?,
        login_name: users::parse_login_name(&raw.login_name)?,
        draft: users::Draft {
            name: raw.name,
            user_type: word("user_type", raw.user_type.as_deref())?,
            claims: raw.claims.map(claims).transpose()?,
        },
        password,
        temporary: raw.temporary.unwrap_or(true),
        active: raw.active,
        locked: raw.locked,
        tie,
    })
}

fn claims(table: Table) -> Result<Claims, Unfit> {
    let json = serde_json::to_value(table).map_err(|error| Unfit::new("claims", error.to_string()))?;
    let members = json.as_object().cloned().unwrap_or_default();
    Claims::parse(members).map_err(|why| Unfit::new("claims", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Seed> {
        Seed::parse(text, &Config::default())
    }

    fn refused(text: &str, words: &str) {
        let why = format!("{:#}", parse(text).unwrap_err());
        assert!(why.contains(words), "{why}");
        assert!(!why.contains('\n'), "{why}");
    }

    fn refused_user(rest: &str, words: &str) {
        refused(&format!("[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"amina\"\n{rest}"), words);
    }

    #[test]
    fn each_error_names_table_number_and_key() {
        refused("x = 1", "x: there is no such table");
        refused("[[provider]\n", "not TOML, line 1");
        refused("[provider]\ncode = \"A\"", "[[provider]]");
        refused("[[provider]]\ncode = \"A\"\n[[provider]]\nname = \"B\"", "provider number 2: missing field `code`");
        refused("[[provider]]\ncode = \"A B\"", "provider number 1 (A B): code: a Provider Code has");
        refused("[[provider]]\ncode = \"A\"\nnmae = \"x\"", "provider number 1 (A): unknown field `nmae`");
        refused("[[provider]]\ncode = \"A\"\nactive = \"yes\"", "provider number 1 (A): active: invalid type");
        refused("[[provider]]\ncode = \"A\"\nunified_login = \"maybe\"", "unified_login: \"maybe\" is none of");
        refused("[[provider]]\ncode = \"A\"\nidle_minutes = 31", "idle_minutes: must not be more");
        refused(
            "[[provider]]\ncode = \"A\"\n[[provider]]\ncode = \"a\"",
            "provider number 2 (a): it stands in the file already",
        );
        refused(
            "[[trusted_issuer]]\nissuer = \"https://a\"\norigins = [\"https://a/\"]",
            "trusted issuer number 1 (https://a): origins",
        );
    }

    #[test]
    fn each_value_of_a_client_is_judged() {
        let refused_client =
            |rest: &str, words: &str| refused(&format!("[[client]]\nclient_id = \"portal\"\n{rest}"), words);
        refused("[[client]]\nclient_name = \"x\"", "client number 1: missing field `client_id`");
        refused("[[client]]\nclient_id = \"a/b\"", "client number 1 (a/b): client_id: must be 1 to 255");
        refused_client(
            "redirect_uri = \"x\"",
            "client number 1 (portal): redirect_uri: there is no such key: use client_name",
        );
        refused_client("redirect_uris = \"x\"", "client number 1 (portal): redirect_uris: invalid type");
        refused_client("grant_types = [\"password\"]", "(portal): grant_types: \"password\" is none of");
        refused_client("id_token_signed_response_alg = \"none\"", "id_token_signed_response_alg: must be RS256");
        refused_client("client_secret = \"short\"", "client_secret: must be 8 to 255");
        refused_client("client_secret = 5", "(portal): client_secret: invalid type");
        refused_client("enabled = \"yes\"", "(portal): enabled: invalid type");
        refused_client("jwks = \"{\"", "(portal): jwks: it is not a JSON object");
        refused_client("[[client]]\nclient_id = \"portal\"", "client number 2 (portal): it stands in the file already");
        let seed = parse("[[client]]\nclient_id = \"portal\"\nclient_secret = \"a-good-secret\"").unwrap();
        assert!(!format!("{seed:?}").contains("a-good-secret"));
    }

    #[test]
    fn each_value_of_a_user_is_judged() {
        refused_user(
            "password = \"short\"",
            "user number 1 (SUNRISE-IL/amina): password: The password must be 8 to 64",
        );
        refused_user("password = \"Correct-Horse-9\"\npassword_hash = \"x\"", "password_hash: stands beside");
        refused_user("password_hash = \"$2b$x\"", "password_hash: must be a PHC string");
        refused_user("user_type = \"King\"", "user_type: \"King\" is none of");
        refused_user("locked = \"yes\"", "locked: unknown variant");
        refused_user(
            "claims = { email_verified = \"yes\" }",
            "claims: the claim \"email_verified\" must be true or false",
        );
        refused_user("claims = { birthdate = 19900101 }", "claims: the claim \"birthdate\" must be");
        refused_user("handoff_issuer = \"https://a\"", "handoff_issuer: stands without");
        refused_user("handoff_sub = \"\"", "handoff_sub: must be 1 to 255");
        refused_user(
            "[[user]]\nprovider = \"SUNRISE-IL\"\nlogin_name = \"AMINA\"",
            "user number 2 (SUNRISE-IL/AMINA): it stands",
        );
        refused("[[user]]\nprovider = \"A\"\nlogin_name = \"a b\"", "user number 1 (A/a b): login_name");
    }

    #[test]
    fn defaults_are_those_of_the_surface() {
        let seed = parse("[[user]]\nprovider = \"A\"\nlogin_name = \"amina\"\npassword = \"Correct-Horse-9\"").unwrap();
        let user = &seed.users[0];
        assert!(user.temporary && user.active.is_none() && user.locked == Locked::No && user.tie.is_none());
        assert_eq!(format!("{:?}", user.password), "Given(…)");
        assert!(parse("").unwrap().providers.is_empty());
    }
}
