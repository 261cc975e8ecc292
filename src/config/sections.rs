//! The sections of the configuration, their defaults, and the bounds that each value is checked by.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use super::addresses::{is_contact, without_password};
use super::fault::{Fault, must, range};
use super::listen::Listen;
use super::mail::Mail;
use super::otlp::Otlp;
use super::proxies;
use super::redis_address::Redis;
use crate::crypto::password::{Cost, PoolLimits};
use crate::model::address::is_loopback;
use crate::model::client::rules::Rules;

/// All settings. Every field has a default, so that an empty configuration runs on loopback with SQLite.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Our own address as browsers see it: an origin without trailing slash.
    pub issuer: String,
    /// Where HTTP (or HTTPS) is served.
    pub listen: Listen,
    /// Where health and metrics are served; keep it private.
    pub internal_listen: Listen,
    /// Production, or beta: a site for training and testing that says so on every page (L11).
    pub site: Site,
    /// Where the link "Therap Services" leads.
    pub therap_services_url: String,
    /// The Provider Code of the operator realm.
    pub operator_code: String,
    /// Whom to tell of a weakness: an address for `/.well-known/security.txt`, which is not there without it.
    pub security_contact: Option<String>,
    /// The proxies whose `X-Forwarded-For` is believed (G18).
    #[serde(deserialize_with = "proxies::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How long a replica that was told to stop still answers, so that those in front see that it is not ready any
    /// more.
    pub drain_seconds: u64,
    /// Where the truth is kept.
    pub database: Database,
    /// The Redis that replicas share; without it each counts tries on its own.
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
    /// The collector that traces are sent to; without it none are.
    pub otlp: Option<Otlp>,
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
    /// Whether requests for our style, script and pictures have a line.
    pub assets: bool,
    /// Whether requests for health and metrics have a line.
    pub health: bool,
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
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)).into(),
            internal_listen: SocketAddr::from(([127, 0, 0, 1], 9000)).into(),
            site: Site::Production,
            therap_services_url: "https://secure.therapservices.net/".into(),
            operator_code: "THERAP".into(),
            security_contact: None,
            trusted_proxies: Vec::new(),
            drain_seconds: 5,
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
            otlp: None,
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
        Self { format: LogFormat::Text, level: "info".into(), assets: true, health: false }
    }
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

/// The keys that a running service takes over on SIGHUP; the others count at its start.
pub const LIVE: [&str; 5] =
    ["log.level", "throttle.address_per_minute", "throttle.client_per_minute", "throttle.enabled", "trusted_proxies"];

impl Config {
    /// This configuration with another's values of the keys that may change meanwhile ([`LIVE`]).
    #[must_use]
    pub fn with_live_of(&self, other: &Self) -> Self {
        Self {
            trusted_proxies: other.trusted_proxies.clone(),
            throttle: other.throttle.clone(),
            log: Log { level: other.log.level.clone(), ..self.log.clone() },
            ..self.clone()
        }
    }

    /// Refuses what is unsafe or absurd.
    ///
    /// # Errors
    /// One sentence that names the key and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        self.check_issuer()?;
        let code_is_good = crate::model::provider::ProviderCode::parse(&self.operator_code).is_some();
        must(code_is_good, "operator_code", "must be 1 to 32 letters, digits or hyphens")?;
        let link = Url::parse(&self.therap_services_url).ok().filter(|u| matches!(u.scheme(), "https" | "http"));
        must(link.is_some(), "therap_services_url", "must be an https address")?;
        must(
            self.security_contact.as_deref().is_none_or(is_contact),
            "security_contact",
            "must be an address that begins with mailto:, https: or tel:",
        )?;
        let is_known = ["sqlite://", "postgres://", "postgresql://"].iter().any(|p| self.database.url.starts_with(p));
        must(is_known, "database.url", "must begin with sqlite:// or postgres://")?;
        must(
            self.tls.is_none() || self.listen.socket().is_none(),
            "listen",
            "is a Unix socket and there is a [tls] section: a proxy on this machine speaks TLS there, so remove [tls], or \
             listen on an address",
        )?;
        self.check_ranges()?;
        self.check_keys()?;
        self.check_comforts()?;
        if let Some(redis) = &self.redis {
            redis.check()?;
        }
        if let Some(otlp) = &self.otlp {
            otlp.check()?;
        }
        if let Some(mail) = &self.mail {
            mail.check(self.may_weaken())?;
        }
        // A filter takes any bare word for a module's name, and would fall silent.
        let known =
            |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok() || word.contains(['=', ':']);
        must(
            self.log.level.split(',').all(|word| known(word.trim()))
                && tracing_subscriber::EnvFilter::try_new(&self.log.level).is_ok(),
            "log.level",
            format!(
                "{:?} is not a level: use error, warn, info, debug or trace, or directives such as info,connect_idp=debug",
                self.log.level
            ),
        )
    }

    fn check_ranges(&self) -> anyhow::Result<()> {
        range("drain_seconds", self.drain_seconds, 0, 300)?;
        range("database.connections", self.database.connections.into(), 1, 1000)?;
        let memory_floor = if self.may_weaken() { 8 } else { 7168 };
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
        range("tokens.code_seconds", self.tokens.code_seconds.into(), 10, 300)?;
        range("tokens.access_minutes", self.tokens.access_minutes.into(), 1, 24 * 60)?;
        range("tokens.id_token_minutes", self.tokens.id_token_minutes.into(), 1, 24 * 60)?;
        range("tokens.offline_days", self.tokens.offline_days.into(), 1, 365)
    }

    fn check_keys(&self) -> anyhow::Result<()> {
        let Keys { rotate_days, announce_minutes, rsa_bits, .. } = self.keys;
        range("keys.rotate_days", rotate_days.into(), 1, 3650)?;
        range("keys.announce_minutes", announce_minutes.into(), if self.may_weaken() { 0 } else { 60 }, 30 * 24 * 60)?;
        must(
            u64::from(announce_minutes) < u64::from(rotate_days) * 24 * 60,
            "keys.announce_minutes",
            "must be less than keys.rotate_days: a key cannot be announced before the last one signs",
        )?;
        let is_size = matches!(rsa_bits, 2048 | 3072);
        must(is_size, "keys.rsa_bits", format!("is {rsa_bits}: it must be 2048 or 3072"))
    }

    /// What only testing may have.
    fn check_comforts(&self) -> anyhow::Result<()> {
        let testing = self.may_weaken();
        must(
            self.throttle.enabled || testing,
            "throttle.enabled",
            "= false is for beta sites and loopback only: remove it, or set site = \"beta\"",
        )?;
        must(
            self.outbound.ca_files.is_empty() || testing,
            "outbound.ca_files",
            "is for beta sites and loopback only: remove it, or set site = \"beta\"",
        )?;
        must(
            testing || !self.trusts_everybody(),
            "trusted_proxies",
            "is every address there is, so that everybody could say where they come from: name your proxies' own networks",
        )
    }

    fn check_issuer(&self) -> anyhow::Result<()> {
        let shown = without_password(&self.issuer);
        let url = Url::parse(&self.issuer);
        let url = url.map_err(|_| Fault { key: "issuer", words: "is not an address".into() })?;
        must(matches!(url.scheme(), "https" | "http"), "issuer", "must begin with https://")?;
        let origin = url.origin().ascii_serialization();
        must(
            origin == self.issuer,
            "issuer",
            format!(
                "{shown:?} must be scheme, host and port alone, in lower case, without path or trailing slash: write {origin:?}"
            ),
        )?;
        must(
            url.scheme() == "https" || is_loopback(&url),
            "issuer",
            format!("{shown:?} must be https: http is for loopback hosts only"),
        )
    }

    /// Whether testing comforts are allowed: on a beta site, or where the issuer is on loopback.
    #[must_use]
    pub fn may_weaken(&self) -> bool {
        self.site == Site::Beta || self.on_loopback()
    }

    /// Whether everybody may say where they come from.
    #[must_use]
    pub fn trusts_everybody(&self) -> bool {
        proxies::are_everybody(&self.trusted_proxies)
    }

    /// The port that the issuer names.
    #[must_use]
    pub fn issuer_port(&self) -> Option<&str> {
        let (_, port) = self.issuer.rsplit_once(':')?;
        (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(port)
    }

    /// Whether http to loopback hosts is allowed (docs/configuration.md).
    #[must_use]
    pub fn allows_loopback_http(&self) -> bool {
        self.may_weaken()
    }

    /// What clients' metadata are checked by.
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
    use crate::config::{Loaded, show};

    fn refused(toml: &str, words: &str) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.toml");
        std::fs::write(&file, toml).unwrap();
        let why = format!("{:#}", Loaded::read(Some(&file), std::iter::empty()).unwrap_err());
        assert!(why.contains(words), "{why}");
        assert!(!why.contains('\n'), "{why}");
    }

    #[test]
    fn nothing_at_all_runs_on_loopback_with_sqlite() {
        let config = Loaded::read(None, std::iter::empty()).unwrap().config;
        assert!(config.on_loopback() && config.on_sqlite());
    }

    #[test]
    fn the_live_keys_are_those_that_are_taken_over() {
        let mut other = Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() };
        other.session.idle_minutes = 7;
        other.throttle = Throttle { enabled: false, address_per_minute: 1, client_per_minute: 1 };
        other.log = Log { format: LogFormat::Json, level: "debug".into(), ..Log::default() };
        let taken = Config::default().with_live_of(&other);
        assert_eq!(show::changed(&Config::default(), &taken), LIVE);
        assert_eq!(show::changed(&taken, &other), ["log.format", "session.idle_minutes"]);
    }

    #[test]
    fn the_port_is_what_the_issuer_names() {
        for (issuer, port) in [
            ("https://connect.example.org", None),
            ("https://connect.example.org:8443", Some("8443")),
            ("http://[::1]", None),
            ("http://[::1]:8080", Some("8080")),
        ] {
            assert_eq!(Config { issuer: issuer.into(), ..Config::default() }.issuer_port(), port, "{issuer}");
        }
    }

    #[test]
    fn each_unsafe_or_absurd_value_is_named() {
        refused("lissen = \"x\"", "lissen");
        refused("security_contact = \"security@example.org\"", "security_contact");
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
        refused("[mail]\nhost = \"m\"\nfrom = \"a@b.org\"\nusername = \"u\"", "mail.username needs mail.password");
        let plain = "[mail]\nhost = \"m\"\nfrom = \"a@b.org\"\ntls = \"none\"";
        refused(&format!("issuer = \"https://connect.example.org\"\n{plain}"), "mail.tls");
        refused("[log]\nlevel = \"a=b=c\"", "log.level");
        refused("[log]\nlevel = \"loud\"", "log.level");
        refused("issuer =", "not TOML");
        refused("listen = \"localhost:8080\"", "listen is not valid");
        refused("listen = \"unix:http.sock\"", "whole path");
        refused(&format!("internal_listen = \"unix:/{}\"", "x".repeat(200)), "201 bytes");
        let tls = "[tls]\ncertificate = \"c\"\nkey = \"k\"";
        refused(&format!("listen = \"unix:/run/connect-idp/http.sock\"\n{tls}"), "remove [tls]");
        for everybody in ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "0.0.0.0/1\", \"128.0.0.0/1"] {
            let real = format!("issuer = \"https://connect.example.org\"\ntrusted_proxies = [\"{everybody}\"]");
            refused(&real, "trusted_proxies");
        }
    }
}
