//! The settings in force, as `config show` prints them: no piece of a password among them.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::addresses::{HIDDEN, without_password};
use super::keys::{Source, flatten};
use super::redis_address;
use super::sections::Config;
use super::sources::{Loaded, SECRETS};

impl Loaded {
    /// Every key with its value as TOML and its source, secrets hidden, in the order of their names.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String, Source)> {
        let table = Table::try_from(&self.config).unwrap_or_default();
        let mut rows = Vec::new();
        flatten(&table, "", &mut |key, value| {
            let source = self.sources.get(key).cloned().unwrap_or(Source::Default);
            rows.push((key.to_owned(), shown(key, value), source));
        });
        rows
    }
}

/// The keys whose values differ, in the order of their names. What differs is not told: it may be a secret.
#[must_use]
pub fn changed(one: &Config, other: &Config) -> Vec<String> {
    let values = |config: &Config| {
        let mut values = BTreeMap::new();
        flatten(&Table::try_from(config).unwrap_or_default(), "", &mut |key, value| {
            values.insert(key.to_owned(), value.clone());
        });
        values
    };
    let (one, other) = (values(one), values(other));
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}

/// A value as TOML. A secret is hidden, but for what an address of one says beside it; so is what any other address has
/// of a password.
pub(super) fn shown(key: &str, value: &Value) -> String {
    let is_secret = SECRETS.contains(&key);
    if is_secret && key.rsplit('.').next() != Some("url") {
        return Value::String(HIDDEN.to_owned()).to_string();
    }
    match value {
        // Several hosts, which no ordinary address has.
        Value::String(text) if key == "redis.url" => Value::String(redis_address::without_password(text)).to_string(),
        Value::String(text) if is_secret || (text.contains("://") && text.contains('@')) => {
            Value::String(without_password(text)).to_string()
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| shown(key, item)).collect::<Vec<_>>().join(", "))
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    /// Whatever stands in a password, and wherever an address may hold one.
    #[test]
    fn no_piece_of_a_password_is_shown() {
        // What else stands in the addresses is in small letters.
        const SIGNS: &[u8] = b"ABCXYZ0123456789/?#@:[]\\%&=;, !\"'+$*|<>~^`{}";
        let random = Random::seeded(11);
        for round in 0..20_000_u32 {
            let drawn = random.bytes::<32>();
            let length = usize::from(drawn[0] % 12) + 1;
            let password: String =
                drawn[1..=length].iter().map(|byte| char::from(SIGNS[usize::from(*byte) % SIGNS.len()])).collect();
            let scheme = ["postgres", "postgresql", "redis", "rediss", "redis+sentinel", "smtp", "smtps", "sqlite"]
                [usize::from(drawn[20] % 8)];
            let address = match round % 5 {
                0 => format!("{scheme}://user:{password}@host/db"),
                1 => format!("{scheme}://:{password}@host"),
                2 => format!("{scheme}://user@host/db?password={password}"),
                3 => format!("{scheme}://user:{password}@host/main/db"),
                _ => format!("{scheme}://user:{password}@host-a,host-b/db?sslmode=require"),
            };
            for key in ["database.url", "outbound.proxy", "redis.url"] {
                let shown = shown(key, &Value::String(address.clone()));
                // What an address of Redis has unless it says otherwise.
                let shown = [":26379", ":6379", "/0"].iter().fold(shown, |shown, usual| shown.replace(usual, ""));
                let piece = shown.chars().find(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
                assert_eq!(piece, None, "{key}: {address} is shown as {shown}");
            }
        }
    }

    #[test]
    fn a_secret_that_is_no_address_is_hidden() {
        assert_eq!(shown("mail.password", &Value::String("SeCrEt".into())), "\"hidden\"");
        assert_eq!(shown("mail.password", &Value::String("a://SeCrEt".into())), "\"hidden\"");
    }
}
