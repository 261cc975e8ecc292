//! What must be the same at every replica, so that nobody meets another service when another one answers.

use std::collections::BTreeMap;

use toml::Table;

use super::keys::flatten;
use super::sections::Config;
use super::show::shown;
use crate::crypto::secret::Secret;

/// What each replica may have of its own: where it lies, how much it can do, what it writes down. All else must agree.
const OWN: &[&str] = &[
    "database.connections",
    "database.pooling",
    "database.url",
    "drain_seconds",
    "internal_listen",
    "keys.dir",
    "listen",
    "log.assets",
    "log.format",
    "log.health",
    "log.level",
    "mail.password",
    "otlp.endpoint",
    "otlp.headers",
    "outbound.ca_files",
    "password.memory_budget_mib",
    "password.patience_ms",
    "password.queue",
    "password.threads",
    "tls.certificate",
    "tls.key",
];

impl Config {
    /// What every replica's settings are known by: a digest of each value that must agree, under a key that none of
    /// them tells. Secrets are not in it, not even so.
    #[must_use]
    pub fn agreement(&self, key: &Secret) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        flatten(&Table::try_from(self).unwrap_or_default(), "", &mut |name, value| {
            if !OWN.contains(&name) {
                let digest = key.keyed_hash(&[name, &shown(name, value)]);
                digests.insert(name.to_owned(), digest.chars().take(22).collect());
            }
        });
        digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listen;
    use crate::time::Random;

    #[test]
    fn what_must_agree_is_told_apart_and_nothing_else() {
        let key = Secret::random(&Random::seeded(1));
        let every: Config = toml::from_str(include_str!("every_key.toml")).unwrap();
        let mut table = Vec::new();
        flatten(&Table::try_from(&every).unwrap(), "", &mut |name, _| table.push(name.to_owned()));
        assert!(OWN.iter().all(|own| table.iter().any(|name| name == own)), "a key of its own is none");
        let known = every.agreement(&key);
        assert_eq!(known.len(), table.len() - OWN.len());

        let mut other = every.clone();
        other.session.idle_minutes += 1;
        other.listen = Listen::Tcp(([127, 0, 0, 1], 1).into());
        let differing: Vec<_> = other.agreement(&key).into_iter().filter(|(name, is)| known[name] != *is).collect();
        assert_eq!(differing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["session.idle_minutes"]);

        // Another password of the same Redis is no other Redis; and whoever has another key compares nothing.
        let mut renewed = every.clone();
        renewed.redis.as_mut().unwrap().url = "rediss://connect:OTHER@redis.example.org:6379".into();
        assert_eq!(renewed.agreement(&key), known);
        assert_ne!(every.agreement(&Secret::random(&Random::seeded(2)))["issuer"], known["issuer"]);
    }
}
