//! A seed file of what there is: everything that people set on pages and by commands, as `apply` reads it. A page of
//! rows is in memory at a time.
//!
//! Every key is written, so that an old file takes back what was set since; what there is not is an empty value.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use toml::Table;
use toml::value::Datetime;

use crate::app::App;
use crate::model::claims::Claims;
use crate::model::client::Client;
use crate::model::client::draft::seed_members;
use crate::model::issuer::TrustedIssuer;
use crate::model::provider::Provider;
use crate::model::user::STRIKES;
use crate::store::users::seed_rows::{self, SeedUser};
use crate::store::{Error, clients, issuers, providers};
use crate::time::Timestamp;

/// How many rows are in memory at once.
const PAGE: i64 = 500;

/// The name of the file, where it is downloaded.
pub const NAME: &str = "connect-idp-seed.toml";

/// The first line of every export.
const FIRST_LINE: &str = "# A seed file of Therap Connect: what was set when `connect-idp export` wrote it.";
/// The last line of every export that was written to its end.
const LAST_LINE: &str = "# The end of this export.";

/// Whether a text is an export that broke off: what it does not name is not known to be unwanted.
#[must_use]
pub fn is_broken_off(text: &str) -> bool {
    text.starts_with(FIRST_LINE) && !text.trim_end().ends_with(LAST_LINE)
}

/// What a file says of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// Nothing.
    Without,
    /// Everything but their passwords.
    Named,
    /// Everything, the hashes of their passwords too.
    WithPasswordHashes,
}

/// How far a file has come.
#[derive(Clone, Debug)]
pub struct Place {
    stage: Stage,
    users: u64,
}

#[derive(Clone, Debug)]
enum Stage {
    Providers(Option<Box<Provider>>),
    Issuers(Arc<[Provider]>),
    Clients(Arc<[Provider]>, String),
    Users(Arc<[Provider]>, usize, String),
    Done,
}

impl Place {
    /// The beginning: of a file of everything, or of one provider and its users.
    #[must_use]
    pub const fn start(only: Option<Box<Provider>>) -> Self {
        Self { stage: Stage::Providers(only), users: 0 }
    }

    /// How many users were written.
    #[must_use]
    pub const fn users(&self) -> u64 {
        self.users
    }
}

#[derive(Serialize)]
struct ProviderTable<'a> {
    code: &'a str,
    name: &'a str,
    active: bool,
    unified_login: &'static str,
    time_zone: &'a str,
    contact: &'a str,
    idle_minutes: i64,
    absolute_hours: i64,
    reset_by_mail: bool,
}

#[derive(Serialize)]
struct IssuerTable<'a> {
    issuer: &'a str,
    display_name: &'a str,
    enabled: bool,
    origins: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<&'a str>,
    client_id: &'a str,
    acr: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ClientTable<'a> {
    client_id: &'a str,
    enabled: bool,
    #[serde(flatten)]
    metadata: Map<String, Value>,
}

#[derive(Serialize)]
struct UserTable<'a> {
    provider: &'a str,
    login_name: &'a str,
    external_id: &'a str,
    name: &'a str,
    user_type: &'static str,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash: Option<&'a str>,
    temporary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_until: Option<Datetime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handoff_sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handoff_issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    handoff_subs: BTreeMap<&'a str, &'a str>,
    claims: Table,
}

/// What the file begins with: what it is, and what `--prune` may conclude from it.
#[must_use]
pub fn head(place: &Place, users: Users) -> Vec<u8> {
    const HEAD: &str = "
# `connect-idp apply FILE` sets it again, and changes nothing where nothing was changed since. An empty value says that there
# is none.
# `connect-idp apply FILE --prune --dry-run` says what else there is by now.
";
    const SECRETS: &str = "\
#
# Client secrets are not in this file: only keyed hashes of them are stored. A client that is made from it is given one by
# `connect-idp client rotate-secret`.
";
    const ONE: &str = "\
#
# It holds one provider. --prune leaves everything but its users alone.
prune = [\"user\"]
";
    let of_users = match users {
        Users::Without => "#\n# Users are not in this file.\n",
        Users::Named => {
            "#\n# Passwords are not in this file: a user who is made from it comes in by a handoff, or after\n\
             # `connect-idp user reset-password`.\n"
        }
        Users::WithPasswordHashes => "#\n# It holds the hashes of passwords: keep it as secret as the database.\n",
    };
    let one = matches!(place.stage, Stage::Providers(Some(_)));
    let rest = if one { ["", of_users, ONE] } else { [SECRETS, of_users, ""] };
    [FIRST_LINE, HEAD, rest[0], rest[1], rest[2]].concat().into_bytes()
}

/// The next piece of the file and the place after it, until there is none.
///
/// # Errors
/// When the database cannot be asked, or what it holds cannot stand in a file.
pub async fn next(app: &App, users: Users, place: Place) -> Result<Option<(Vec<u8>, Place)>, Error> {
    let mut conn = app.db.read_much().await?;
    let count = place.users;
    let to = |stage| Place { stage, users: count };
    match place.stage {
        Stage::Providers(Some(only)) => {
            let text = tables("provider", [provider_table(&only)])?;
            Ok(Some((text, to(Stage::Users([*only].into(), 0, String::new())))))
        }
        Stage::Providers(None) => {
            let mut list = providers::list(&mut conn).await?;
            list.sort_by(|a, b| a.code.cmp(&b.code));
            Ok(Some((tables("provider", list.iter().map(provider_table))?, to(Stage::Issuers(list.into())))))
        }
        Stage::Issuers(of) => {
            let mut list = issuers::list(&mut conn).await?;
            list.sort_by(|a, b| a.issuer.cmp(&b.issuer));
            let text = tables("trusted_issuer", list.iter().map(issuer_table))?;
            Ok(Some((text, to(Stage::Clients(of, String::new())))))
        }
        Stage::Clients(of, after) => {
            let page = clients::list(&mut conn, &after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(Some((Vec::new(), to(Stage::Users(of, 0, String::new())))));
            };
            let after = last.client_id.clone();
            Ok(Some((tables("client", page.iter().map(client_table))?, to(Stage::Clients(of, after)))))
        }
        Stage::Users(of, at, after) => {
            let Some(provider) = of.get(at).filter(|_| users != Users::Without) else {
                return Ok(Some((format!("\n{LAST_LINE}\n").into_bytes(), to(Stage::Done))));
            };
            let page = seed_rows::users(&mut conn, &provider.id, &after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(Some((Vec::new(), to(Stage::Users(of, at + 1, String::new())))));
            };
            let mut ties: HashMap<String, BTreeMap<String, String>> = HashMap::new();
            for tie in seed_rows::ties(&mut conn, &provider.id, &after, &last.login_name_key).await? {
                ties.entry(tie.user_id).or_default().insert(tie.issuer, tie.sub);
            }
            let mut text = Vec::new();
            for user in &page {
                text.extend(user_tables(&provider.code, user, ties.get(&user.id), users)?);
            }
            let (written, after) = (page.len() as u64, last.login_name_key.clone());
            Ok(Some((text, Place { stage: Stage::Users(of, at, after), users: count + written })))
        }
        Stage::Done => Ok(None),
    }
}

/// Tables of one name, each after an empty line.
fn tables<T: Serialize>(name: &'static str, tables: impl IntoIterator<Item = T>) -> Result<Vec<u8>, Error> {
    let mut text = String::new();
    for table in tables {
        let written = toml::to_string(&BTreeMap::from([(name, [table])]));
        text.push('\n');
        text.push_str(
            &written.map_err(|error| Error::Damaged(format!("{name} cannot stand in a seed file: {error}")))?,
        );
    }
    Ok(text.into_bytes())
}

fn provider_table(provider: &Provider) -> ProviderTable<'_> {
    ProviderTable {
        code: &provider.code,
        name: &provider.name,
        active: provider.active,
        unified_login: provider.unified_login.as_str(),
        time_zone: &provider.time_zone,
        contact: provider.contact.as_deref().unwrap_or_default(),
        idle_minutes: provider.idle_minutes.unwrap_or_default(),
        absolute_hours: provider.absolute_hours.unwrap_or_default(),
        reset_by_mail: provider.reset_by_mail,
    }
}

fn issuer_table(issuer: &TrustedIssuer) -> IssuerTable<'_> {
    IssuerTable {
        issuer: &issuer.issuer,
        display_name: &issuer.display_name,
        enabled: issuer.enabled,
        origins: &issuer.origins,
        jwks: issuer.jwks.as_deref(),
        jwks_uri: issuer.jwks_uri.as_deref(),
        client_id: issuer.client_id.as_deref().unwrap_or_default(),
        acr: &issuer.acr,
    }
}

fn client_table(client: &Client) -> ClientTable<'_> {
    ClientTable { client_id: &client.client_id, enabled: client.enabled, metadata: seed_members(&client.metadata) }
}

fn user_tables(
    code: &str,
    user: &SeedUser,
    ties: Option<&BTreeMap<String, String>>,
    users: Users,
) -> Result<Vec<u8>, Error> {
    let damaged = |why: &dyn Display| Error::Damaged(format!("{code}/{} in a seed file: {why}", user.login_name));
    let claims = Claims::from_json(&user.claims).map_err(|why| damaged(&why))?;
    let mut handoff_subs: BTreeMap<&str, &str> =
        ties.into_iter().flatten().map(|(issuer, sub)| (issuer.as_str(), sub.as_str())).collect();
    let only = if handoff_subs.len() == 1 { handoff_subs.pop_first() } else { None };
    let with_hashes = users == Users::WithPasswordHashes;
    let until = user.temporary_until.filter(|_| with_hashes);
    let until = until.map(|at| Timestamp(at).rfc3339().parse()).transpose();
    let table = UserTable {
        provider: code,
        login_name: &user.login_name,
        external_id: user.external_id.as_deref().unwrap_or_default(),
        name: &user.name,
        user_type: user.user_type.as_str(),
        active: user.active,
        locked: match (user.failures >= STRIKES, user.admin_locked) {
            (false, false) => None,
            (true, false) => Some("password"),
            (false, true) => Some("admin"),
            (true, true) => Some("both"),
        },
        password_hash: with_hashes.then_some(user.password_hash.as_str()),
        temporary: user.temporary_until.is_some(),
        temporary_until: until.map_err(|why| damaged(&why))?,
        handoff_sub: only.map(|(_, sub)| sub),
        handoff_issuer: only.map(|(issuer, _)| issuer),
        handoff_subs,
        claims: Table::try_from(claims.members()).map_err(|why| damaged(&why))?,
    };
    tables("user", [table])
}
