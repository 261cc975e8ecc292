//! What the operator sets: a TOML file, then `CONNECT_IDP__SECTION__KEY` variables over it. Parsed and floored once,
//! at start; an unknown key, a zero or an absurd value stops the start with a sentence that names the key (G21).

mod mail;
mod redis_address;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use url::Url;

pub use self::mail::{Mail, MailTls};
pub use self::redis_address::{Address as RedisAddress, Kind as RedisKind, Redis};
use crate::crypto::password::{Cost, PoolLimits};
use crate::model::address::is_loopback;
use crate::model::client_rules::Rules;

const ENV_PREFIX: &str = "CONNECT_IDP__";

/// All settings. Every field has a default, so that an empty configuration runs on loopback with SQLite.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Our own address as browsers see it: an origin without trailing slash.
    pub issuer: String,
    /// Where HTTP (or HTTPS) is served.
    pub listen: SocketAddr,
    /// Where health and metrics are served; keep it private.
    pub internal_listen: SocketAddr,
    /// Production, or beta: a site for training and testing that says so on every page (L11).
    pub site: Site,
    /// Where the link "Therap Services" leads.
    pub therap_services_url: String,
    /// The Provider Code of the operator realm.
    pub operator_code: String,
    /// The proxies whose `X-Forwarded-For` is believed (G18).
    pub trusted_proxies: Vec<IpNet>,
    /// Where the truth is kept.
    pub database: Database,
    /// The Redis that replicas share; without it each counts tries by itself.
    pub redis: Option<Redis>,
    /// Where the key-encryption key lies, and how long signing keys last.
    pub keys: Keys,
    /// Our own certificate; without it a proxy in front speaks TLS.
    pub tls: Option<Tls>,
    /// Password hashing and temporary passwords.
    pub password: Password,
    /// How long sessions live.
    pub session: Session,
    /// The clocks of Unified Login.
    pub handoff: Handoff,
    /// What one address may try.
    pub throttle: Throttle,
    /// How long what apps are given lives.
    pub tokens: Tokens,
    /// What our own requests may reach.
    pub outbound: Outbound,
    /// Through which server mail is sent; without it none is.
    pub mail: Option<Mail>,
    /// What is written to standard error.
    pub log: Log,
}

/// Which of the two sites this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// Real people.
    Production,
    /// Training and testing.
    Beta,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://FILE` or `postgres://…`.
    pub url: String,
    /// Connections at most (PostgreSQL), readers at most (SQLite).
    pub connections: u32,
    /// What a pooler between us and PostgreSQL gives a connection of its own.
    pub pooling: Pooling,
}

/// What a pooler between us and PostgreSQL gives a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Each of our connections, for as long as it lasts; or there is no pooler.
    Session,
    /// Each transaction: nothing lasts longer on a connection.
    Transaction,
}

/// `[keys]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The folder of the key-encryption keys.
    pub dir: PathBuf,
    /// A signing key is replaced when it has signed this long.
    pub rotate_days: u32,
    /// A new signing key is published this long before it signs.
    pub announce_minutes: u32,
    /// The size of RSA signing keys: 2048 or 3072.
    pub rsa_bits: u32,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// `[password]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Password {
    /// Argon2id memory.
    pub memory_kib: u32,
    /// Argon2id passes.
    pub iterations: u32,
    /// Argon2id lanes.
    pub parallelism: u32,
    /// Hashes at once; 0 = one a core, within the memory budget.
    pub threads: usize,
    /// Memory that all hashes together may take.
    pub memory_budget_mib: u32,
    /// How many may wait for a thread.
    pub queue: usize,
    /// How long one may wait for a thread.
    pub patience_ms: u64,
    /// How long a temporary password works.
    pub temporary_days: u32,
}

/// `[session]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// A session unused this long is over.
    pub idle_minutes: u32,
    /// A session this old is over.
    pub absolute_hours: u32,
}

/// `[handoff]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Handoff {
    /// From the click to the answer (U7).
    pub timeout_seconds: u32,
    /// How far ahead of us the sender's clock may be (U14).
    pub future_skew_seconds: u32,
}

/// `[throttle]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// Off only where nothing real is at stake.
    pub enabled: bool,
    /// Sign-in tries a minute from one address (IPv6: one /64), with as many in reserve.
    pub address_per_minute: u32,
    /// Requests of the API a minute from one client, with as many in reserve.
    pub client_per_minute: u32,
}

/// `[tokens]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// An authorization code.
    pub code_seconds: u32,
    /// An access token.
    pub access_minutes: u32,
    /// An ID token.
    pub id_token_minutes: u32,
    /// A refresh token that outlives its session (`offline_access`).
    pub offline_days: u32,
}

/// `[outbound]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// PEM files of further certificate authorities.
    pub ca_files: Vec<PathBuf>,
    /// Names of internal hosts that may be reached although their addresses are private.
    pub internal_hosts: Vec<String>,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,connect_idp=debug`.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: "http://localhost:8080".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            internal_listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
            site: Site::Production,
            therap_services_url: "https://secure.therapservices.net/".into(),
            operator_code: "THERAP".into(),
            trusted_proxies: Vec::new(),
            database: Database::default(),
            redis: None,
            keys: Keys::default(),
            tls: None,
            password: Password::default(),
            session: Session::default(),
            handoff: Handoff::default(),
            throttle: Throttle::default(),
            tokens: Tokens::default(),
            outbound: Outbound::default(),
            mail: None,
            log: Log::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite://connect-idp.db".into(), connections: 10, pooling: Pooling::Session }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { dir: "keys".into(), rotate_days: 90, announce_minutes: 24 * 60, rsa_bits: 2048 }
    }
}

impl Default for Password {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            threads: 0,
            memory_budget_mib: 256,
            queue: 256,
            patience_ms: 1000,
            temporary_days: 7,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self { idle_minutes: 30, absolute_hours: 12 }
    }
}

impl Default for Handoff {
    fn default() -> Self {
        Self { timeout_seconds: 30, future_skew_seconds: 5 }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self { enabled: true, address_per_minute: 120, client_per_minute: 1200 }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self { code_seconds: 60, access_minutes: 15, id_token_minutes: 60, offline_days: 30 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A configuration and the origin of each of its values, by dotted key.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings in force.
    pub config: Config,
    sources: BTreeMap<String, Source>,
}

/// The keys whose values are never shown, and which can be read from a file named by `…_FILE`.
const SECRETS: [&str; 2] = ["database.url", "mail.password"];

impl Loaded {
    /// Reads the file, then the variables, and checks the whole.
    ///
    /// # Errors
    /// One sentence that names the key and what to do.
    pub fn read(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut sources = BTreeMap::new();
        let mut table = Table::new();
        if let Some(path) = file {
            let shown = path.display();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("the configuration file {shown} cannot be read"))?;
            table = text.parse().map_err(|error: toml::de::Error| {
                let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
                anyhow::anyhow!("the configuration file {shown} is not TOML: line {line}: {}", error.message())
            })?;
            note_sources(&table, "", &Source::File(path.to_owned()), &mut sources);
        }
        for (name, value) in variables {
            if let Some(path) = name.strip_prefix(ENV_PREFIX) {
                set_from_variable(&mut table, &mut sources, &name, path, value)?;
            }
        }
        let config: Config = serde_path_to_error::deserialize(table).map_err(|error| {
            let path = error.path().to_string();
            let source = sources.get(&path).map_or_else(String::new, |s| format!(" (set in {s})"));
            let message = error.into_inner().to_string();
            let message = message.trim().replace('\n', " ");
            if path == "." {
                anyhow::anyhow!("the configuration is not valid: {message}")
            } else {
                anyhow::anyhow!("the configuration key {path}{source} is not valid: {message}")
            }
        })?;
        config.check()?;
        Ok(Self { config, sources })
    }

    /// Every key with its value as TOML and its source, secrets hidden, in the order of their names.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String, Source)> {
        let table = Table::try_from(&self.config).unwrap_or_default();
        let mut rows = Vec::new();
        flatten(&table, "", &mut |key, value| {
            let source = self.sources.get(key).cloned().unwrap_or(Source::Default);
            let shown = match key {
                "database.url" => hide_password(value),
                "redis.url" => {
                    Value::String(redis_address::without_password(value.as_str().unwrap_or_default())).to_string()
                }
                secret if SECRETS.contains(&secret) => "\"hidden\"".to_owned(),
                _ => value.to_string(),
            };
            rows.push((key.to_owned(), shown, source));
        });
        rows
    }
}

fn note_sources(table: &Table, prefix: &str, source: &Source, sources: &mut BTreeMap<String, Source>) {
    flatten(table, prefix, &mut |key, _| {
        sources.insert(key.to_owned(), source.clone());
    });
}

fn flatten(table: &Table, prefix: &str, each: &mut impl FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if let Value::Table(inner) = value {
            flatten(inner, &key, each);
        } else {
            each(&key, value);
        }
    }
}

fn set_from_variable(
    table: &mut Table,
    sources: &mut BTreeMap<String, Source>,
    variable: &str,
    path: &str,
    value: String,
) -> anyhow::Result<()> {
    let mut key = path.to_ascii_lowercase().replace("__", ".");
    let mut value = value;
    if let Some(secret) = key.strip_suffix("_file").filter(|k| SECRETS.contains(k)) {
        let text = std::fs::read_to_string(&value);
        let text = text.with_context(|| format!("the file {value} named by {variable} cannot be read"))?;
        value = text.trim_end().into();
        key = secret.into();
    }
    // A password is text, also when it looks like a number.
    let value = if key == "mail.password" { Value::String(value) } else { typed(&value) };
    match key.split_once('.') {
        None => {
            table.insert(key.clone(), value);
        }
        Some((section, name)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(section) = section else {
                bail!("{variable} sets a key inside something that is not a section");
            };
            section.insert(name.to_owned(), value);
        }
    }
    sources.insert(key, Source::Variable(variable.to_owned()));
    Ok(())
}

/// Numbers, booleans and arrays are read as TOML writes them; everything else is text as it stands.
fn typed(text: &str) -> Value {
    let toml_like = matches!(text, "true" | "false")
        || text.starts_with(['[', '{', '"'])
        || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let parsed = toml_like.then(|| format!("v = {text}").parse::<Table>().ok()).flatten();
    parsed.and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Of an address that may hold a password, what is none: scheme, host and path.
fn hide_password(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let shown = if text.starts_with("sqlite:") {
        text.to_owned()
    } else {
        Url::parse(text).map_or_else(
            |_| "hidden".to_owned(),
            |url| format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
        )
    };
    Value::String(shown).to_string()
}

impl Keys {
    /// How long a signing key signs.
    #[must_use]
    pub const fn lasts(&self) -> Duration {
        Duration::from_secs(self.rotate_days as u64 * 24 * 60 * 60)
    }

    /// How long a signing key is published before it signs.
    #[must_use]
    pub const fn announce(&self) -> Duration {
        Duration::from_secs(self.announce_minutes as u64 * 60)
    }
}

impl Config {
    /// Refuses what is unsafe or absurd.
    ///
    /// # Errors
    /// One sentence that names the key and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        self.check_issuer()?;
        let code_is_good = crate::model::provider::ProviderCode::parse(&self.operator_code).is_some();
        ensure!(code_is_good, "operator_code must be 1 to 32 letters, digits or hyphens");
        let link = Url::parse(&self.therap_services_url).ok().filter(|u| matches!(u.scheme(), "https" | "http"));
        ensure!(link.is_some(), "therap_services_url must be an https address");
        ensure!(
            ["sqlite://", "postgres://", "postgresql://"].iter().any(|p| self.database.url.starts_with(p)),
            "database.url must begin with sqlite:// or postgres://"
        );
        let range = |key: &str, value: u64, low: u64, high: u64| {
            ensure!((low..=high).contains(&value), "{key} is {value}: it must be between {low} and {high}");
            Ok(())
        };
        range("database.connections", self.database.connections.into(), 1, 1000)?;
        let testing = self.may_weaken();
        let memory_floor = if testing { 8 } else { 7168 };
        range("password.memory_kib", self.password.memory_kib.into(), memory_floor, 1 << 20)?;
        range("password.iterations", self.password.iterations.into(), 1, 64)?;
        range("password.parallelism", self.password.parallelism.into(), 1, 16)?;
        range("password.threads", self.password.threads as u64, 0, 256)?;
        range("password.memory_budget_mib", self.password.memory_budget_mib.into(), 1, 1 << 20)?;
        range("password.queue", self.password.queue as u64, 1, 100_000)?;
        range("password.patience_ms", self.password.patience_ms, 50, 10_000)?;
        range("password.temporary_days", self.password.temporary_days.into(), 1, 90)?;
        range("session.idle_minutes", self.session.idle_minutes.into(), 1, 24 * 60)?;
        range("session.absolute_hours", self.session.absolute_hours.into(), 1, 7 * 24)?;
        range("handoff.timeout_seconds", self.handoff.timeout_seconds.into(), 1, 30)?;
        range("handoff.future_skew_seconds", self.handoff.future_skew_seconds.into(), 0, 60)?;
        range("throttle.address_per_minute", self.throttle.address_per_minute.into(), 1, 1_000_000)?;
        range("throttle.client_per_minute", self.throttle.client_per_minute.into(), 1, 1_000_000)?;
        range("keys.rotate_days", self.keys.rotate_days.into(), 1, 3650)?;
        range("keys.announce_minutes", self.keys.announce_minutes.into(), if testing { 0 } else { 60 }, 30 * 24 * 60)?;
        ensure!(
            u64::from(self.keys.announce_minutes) < u64::from(self.keys.rotate_days) * 24 * 60,
            "keys.announce_minutes must be less than keys.rotate_days: a key cannot be announced before the last one signs"
        );
        ensure!(
            matches!(self.keys.rsa_bits, 2048 | 3072),
            "keys.rsa_bits is {}: it must be 2048 or 3072",
            self.keys.rsa_bits
        );
        range("tokens.code_seconds", self.tokens.code_seconds.into(), 10, 300)?;
        range("tokens.access_minutes", self.tokens.access_minutes.into(), 1, 24 * 60)?;
        range("tokens.id_token_minutes", self.tokens.id_token_minutes.into(), 1, 24 * 60)?;
        range("tokens.offline_days", self.tokens.offline_days.into(), 1, 365)?;
        ensure!(
            self.throttle.enabled || testing,
            "throttle.enabled = false is for beta sites and loopback only: remove it, or set site = \"beta\""
        );
        ensure!(
            self.outbound.ca_files.is_empty() || testing,
            "outbound.ca_files is for beta sites and loopback only: remove it, or set site = \"beta\""
        );
        if let Some(redis) = &self.redis {
            redis.address()?;
        }
        if let Some(mail) = &self.mail {
            mail.check(testing)?;
        }
        // A filter takes any bare word for a module's name, and would fall silent.
        let known =
            |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok() || word.contains(['=', ':']);
        ensure!(
            self.log.level.split(',').all(|word| known(word.trim()))
                && tracing_subscriber::EnvFilter::try_new(&self.log.level).is_ok(),
            "log.level {:?} is not a level: use error, warn, info, debug or trace, or directives such as info,connect_idp=debug",
            self.log.level
        );
        Ok(())
    }

    fn check_issuer(&self) -> anyhow::Result<()> {
        let url = Url::parse(&self.issuer).with_context(|| format!("issuer {:?} is not an address", self.issuer))?;
        ensure!(matches!(url.scheme(), "https" | "http"), "issuer must begin with https://");
        ensure!(
            url.origin().ascii_serialization() == self.issuer,
            "issuer {:?} must be scheme, host and port alone, in lower case, without path or trailing slash: write {:?}",
            self.issuer,
            url.origin().ascii_serialization()
        );
        ensure!(
            url.scheme() == "https" || is_loopback(&url),
            "issuer {:?} must be https: http is for loopback hosts only",
            self.issuer
        );
        Ok(())
    }

    /// Whether testing comforts are allowed: on a beta site, or where the issuer is on loopback.
    #[must_use]
    pub fn may_weaken(&self) -> bool {
        self.site == Site::Beta || self.on_loopback()
    }

    /// Whether http to loopback hosts is allowed (surface.md, *Configuration*).
    #[must_use]
    pub fn allows_loopback_http(&self) -> bool {
        self.may_weaken()
    }

    /// What clients' metadata are judged by.
    #[must_use]
    pub fn client_rules(&self) -> Rules {
        Rules { loopback_http: self.allows_loopback_http(), test_keys: self.may_weaken() }
    }

    /// Whether our issuer's host is a loopback one.
    #[must_use]
    pub fn on_loopback(&self) -> bool {
        Url::parse(&self.issuer).is_ok_and(|url| is_loopback(&url))
    }

    /// Whether browsers reach us by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }

    /// Whether the database is SQLite.
    #[must_use]
    pub fn on_sqlite(&self) -> bool {
        self.database.url.starts_with("sqlite:")
    }

    /// Argon2id's cost.
    #[must_use]
    pub const fn password_cost(&self) -> Cost {
        let p = &self.password;
        Cost { memory_kib: p.memory_kib, iterations: p.iterations, parallelism: p.parallelism }
    }

    /// The hash pool's bounds.
    #[must_use]
    pub fn pool_limits(&self) -> PoolLimits {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let by_memory = u64::from(self.password.memory_budget_mib) * 1024 / u64::from(self.password.memory_kib);
        let automatic = cores.min(usize::try_from(by_memory).unwrap_or(cores)).max(1);
        let threads = if self.password.threads == 0 { automatic } else { self.password.threads };
        PoolLimits { threads, queue: self.password.queue, patience: Duration::from_millis(self.password.patience_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str, variables: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.toml");
        std::fs::write(&file, toml).unwrap();
        Loaded::read(Some(&file), variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    fn refused(toml: &str, words: &str) {
        let why = format!("{:#}", read(toml, &[]).unwrap_err());
        assert!(why.contains(words), "{why}");
        assert!(!why.contains('\n'), "{why}");
    }

    #[test]
    fn nothing_at_all_runs_on_loopback_with_sqlite() {
        let config = Loaded::read(None, std::iter::empty()).unwrap().config;
        assert!(config.on_loopback() && config.on_sqlite());
    }

    #[test]
    fn each_unsafe_or_absurd_value_is_named() {
        refused("lissen = \"x\"", "lissen");
        refused("[session]\nidle = 3", "idle");
        refused("[session]\nidle_minutes = 0", "session.idle_minutes");
        refused("[session]\nidle_minutes = \"x\"", "session.idle_minutes");
        refused("issuer = \"http://connect.example.org\"", "must be https");
        refused("issuer = \"https://connect.example.org/\"", "trailing slash");
        refused("issuer = \"https://Connect.example.org\"", "lower case");
        refused("issuer = \"https://connect.example.org\"\n[throttle]\nenabled = false", "throttle.enabled");
        refused("issuer = \"https://connect.example.org\"\n[password]\nmemory_kib = 64", "password.memory_kib");
        refused("[handoff]\ntimeout_seconds = 31", "handoff.timeout_seconds");
        refused("[keys]\nrsa_bits = 1024", "keys.rsa_bits");
        refused("[database]\npooling = \"statement\"", "database.pooling");
        refused("[keys]\nrotate_days = 1\nannounce_minutes = 1441", "keys.announce_minutes");
        refused("issuer = \"https://connect.example.org\"\n[keys]\nannounce_minutes = 59", "keys.announce_minutes");
        refused("[mail]\nhost = \"mail.example.org\"", "from");
        refused("[mail]\nhost = \"\"\nfrom = \"a@b.org\"", "mail.host");
        refused("[mail]\nhost = \"m\"\nfrom = \"nobody\"", "mail.from");
        refused("[mail]\nhost = \"m\"\nfrom = \"a@b.org\"\nport = 0", "mail.port");
        refused("[mail]\nhost = \"m\"\nfrom = \"a@b.org\"\nusername = \"u\"", "mail.username and mail.password");
        let plain = "[mail]\nhost = \"m\"\nfrom = \"a@b.org\"\ntls = \"none\"";
        refused(&format!("issuer = \"https://connect.example.org\"\n{plain}"), "mail.tls");
        refused("[log]\nlevel = \"a=b=c\"", "log.level");
        refused("[log]\nlevel = \"loud\"", "log.level");
        refused("issuer =", "not TOML");
    }

    #[test]
    fn variables_win_over_the_file_and_secrets_can_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("url");
        std::fs::write(&secret, "postgres://idp:pa55@db/connect\n").unwrap();
        let digits = dir.path().join("password");
        std::fs::write(&digits, "123456\n").unwrap();
        let variables = [
            ("CONNECT_IDP__SESSION__IDLE_MINUTES", "7"),
            ("CONNECT_IDP__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("CONNECT_IDP__DATABASE__URL_FILE", secret.to_str().unwrap()),
            ("CONNECT_IDP__MAIL__HOST", "mail.example.org"),
            ("CONNECT_IDP__MAIL__FROM", "Therap Connect <no-reply@example.org>"),
            ("CONNECT_IDP__MAIL__USERNAME", "connect"),
            ("CONNECT_IDP__MAIL__PASSWORD_FILE", digits.to_str().unwrap()),
            ("CONNECT_IDP_CONFIG", "ignored here"),
        ];
        let loaded = read("[session]\nidle_minutes = 5\nabsolute_hours = 2", &variables).unwrap();
        assert_eq!((loaded.config.session.idle_minutes, loaded.config.session.absolute_hours), (7, 2));
        assert_eq!(loaded.config.trusted_proxies.len(), 1);
        let rows = loaded.rows();
        let row = |key: &str| rows.iter().find(|(k, ..)| k == key).unwrap().clone();
        assert!(!row("database.url").1.contains("pa55"));
        assert_eq!(loaded.config.mail.as_ref().unwrap().password.as_deref(), Some("123456"));
        assert_eq!(row("mail.password").1, "\"hidden\"");
        assert_eq!(row("session.idle_minutes").2, Source::Variable("CONNECT_IDP__SESSION__IDLE_MINUTES".into()));
        assert_eq!(row("listen").2, Source::Default);
    }
}
