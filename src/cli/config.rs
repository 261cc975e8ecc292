//! `config`: the settings in force and where each came from.

use anyhow::ensure;
use clap::Subcommand;

use super::command::Ended;
use super::console::{Console, Output, Row};
use crate::config::{Config, Loaded, NOT_WHOLE, Otlp, Site, is_whole};
use crate::crypto::tls;
use crate::store::Database;

/// What can be asked about the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Say whether the configuration is valid.
    #[command(after_help = "Example: connect-idp --config connect.toml config check")]
    Check,
    /// Print every setting, its value and where it came from; secrets are hidden.
    #[command(after_help = "Example: connect-idp --config connect.toml config show --output json")]
    Show(Output),
}

pub(super) fn run(verb: &Verb, loaded: &Loaded, console: &mut Console) -> anyhow::Result<Ended> {
    match verb {
        Verb::Check => {
            let database = &loaded.config.database.url;
            // `config show` shows what else there is; nothing starts with it.
            ensure!(loaded.config.on_sqlite() || is_whole(database), "database.url {NOT_WHOLE}");
            if let Some(files) = &loaded.config.tls {
                tls::acceptor(&files.certificate, &files.key)?;
            }
            console.say("The configuration is valid.")?;
            for warning in warnings(&loaded.config) {
                console.say(format_args!("Warning: {warning}"))?;
            }
            let places = [("listen", &loaded.config.listen), ("internal_listen", &loaded.config.internal_listen)];
            for (key, place) in places {
                if let Some(words) = place.obstacle() {
                    console.say(format_args!("Warning: {key} {place}: {words}"))?;
                }
            }
        }
        Verb::Show(output) => {
            let row = |(key, value, source): (String, String, crate::config::Source)| {
                Row::default().with("key", key).with("value", value).with("source", source.to_string())
            };
            let rows: Vec<Row> = loaded.rows().into_iter().map(row).collect();
            console.rows(output.format, &rows)?;
        }
    }
    Ok(Ended::Done)
}

/// What is allowed, and probably not meant.
pub(super) fn warnings(config: &Config) -> Vec<&'static str> {
    let proxied = config.is_https() && config.tls.is_none();
    let real = config.site == Site::Production && !config.on_loopback();
    let redis = config.redis.as_ref().and_then(|redis| redis.address().ok());
    let found = [
        (
            proxied && config.trusted_proxies.is_empty() && config.listen.socket().is_none(),
            "issuer is https and there is no [tls], so a proxy speaks TLS, but trusted_proxies is empty: every visitor will \
             seem to come from the proxy's address",
        ),
        (
            config.tls.is_some() && !config.is_https(),
            "there is a [tls] section but issuer begins with http://: write the https address that browsers use",
        ),
        (
            config.site == Site::Production && config.on_loopback(),
            "issuer is on loopback, so what is meant for testing is allowed: set issuer before real people use it",
        ),
        (
            config.internal_listen.is_everywhere(),
            "internal_listen serves health and metrics on every address: keep it behind a firewall",
        ),
        (
            real && config.keys.dir.is_relative(),
            "keys.dir is relative to the folder that the program is started in: write the whole path",
        ),
        (
            config.trusts_everybody(),
            "trusted_proxies is every address there is: everybody may say where they come from",
        ),
        (
            Database::is_unprotected(&config.database.url),
            "database.url names another machine without TLS, and all that goes there can be read on the way: add \
             ?sslmode=verify-full to it (and sslrootcert=FILE, for an authority of your own)",
        ),
        (
            redis.is_some_and(|address| !address.is_tls() && !address.is_loopback()),
            "redis.url names another machine without TLS, and its password can be read on the way: write rediss://, unless \
             nobody else is on that network",
        ),
        (
            config.otlp.as_ref().is_some_and(Otlp::is_unprotected),
            "otlp.endpoint names another machine without TLS, and otlp.headers can be read on the way: write https://",
        ),
        (!config.throttle.enabled, "the throttle is off: anybody may guess as fast as the machine allows"),
        (
            config.site == Site::Beta && !config.on_loopback(),
            "site is \"beta\": http to loopback hosts and test keys are allowed",
        ),
    ];
    found.into_iter().filter(|(so, _)| *so).map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_nobody_trusts_is_warned_of() {
        let config = Config { issuer: "https://connect.example.org".into(), ..Config::default() };
        assert!(warnings(&config).iter().any(|w| w.contains("trusted_proxies")));
        assert!(warnings(&Config::default()).iter().all(|w| w.contains("loopback")));
        let by_socket = Config { listen: "unix:/run/connect-idp/http.sock".parse().unwrap(), ..config };
        assert!(!warnings(&by_socket).iter().any(|w| w.contains("trusted_proxies")));
    }

    #[test]
    fn a_database_elsewhere_without_tls_is_warned_of() {
        let warned = |url: &str| {
            let mut config = Config::default();
            config.database.url = url.into();
            warnings(&config).iter().any(|w| w.contains("sslmode=verify-full"))
        };
        assert!(warned("postgres://idp@db.example.org/connect"));
        assert!(!warned("postgres://idp@db.example.org/connect?sslmode=verify-full"));
        assert!(!warned("postgres://idp@localhost/connect"));
    }
}
