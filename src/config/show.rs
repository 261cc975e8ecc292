//! The settings in force, as `config show` prints them: no piece of a password among them.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};
use url::Url;

use super::sources::{Loaded, SECRETS, Source};
use super::value::under;
use super::{Config, redis_address};

const HIDDEN: &str = "hidden";

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

/// Each value with its dotted key.
pub(super) fn flatten(table: &Table, prefix: &str, each: &mut impl FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = under(prefix, name);
        if let Value::Table(inner) = value {
            flatten(inner, &key, each);
        } else {
            each(&key, value);
        }
    }
}

/// A value as TOML. A secret is hidden, but for what an address of one says beside it; so is what any other address has of
/// a password.
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

/// Of an address that may hold a password, what is none: scheme, host, port and path. Where a password could be anywhere
/// else than between the scheme and its one `@`, nothing.
#[must_use]
pub fn without_password(text: &str) -> String {
    if text.starts_with("sqlite:") && !text.contains('@') {
        return text.split('?').next().unwrap_or_default().to_owned();
    }
    if !is_whole(text) {
        return HIDDEN.to_owned();
    }
    let Ok(url) = Url::parse(text) else { return HIDDEN.to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Whether an address has something that is or may be a password.
#[must_use]
pub fn has_password(text: &str) -> bool {
    let Some(url) = Url::parse(text).ok().filter(|_| is_whole(text)) else { return true };
    url.password().is_some() || url.query_pairs().any(|(name, _)| name.contains("password"))
}

/// Whether an address has no more than one `@`, and that before its path: a `/`, `?` or `#` in a password that is not
/// percent-encoded ends what programs take for the host.
#[must_use]
pub fn is_whole(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let count = |text: &str| text.matches('@').count();
    count(rest) == count(authority) && count(authority) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_password() {
        for (address, words) in [
            ("postgres://idp:12/SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:/SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:12?SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:12#SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:Se@CrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:SeCrEt@[127.0.0.1/db", HIDDEN),
            ("postgres://idp:SeCrEt@127.0.0.1:5433/db?password=SeCrEt", "postgres://127.0.0.1:5433/db"),
            ("redis://:SeCrEt@cache.example.org/2", "redis://cache.example.org/2"),
            ("sqlite://connect.db", "sqlite://connect.db"),
        ] {
            assert_eq!(without_password(address), words, "{address}");
        }
    }

    #[test]
    fn an_address_that_has_or_may_have_a_password_is_known() {
        for has in [
            "postgres://idp:pa55@db/connect",
            "postgres://idp@db/connect?password=pa55",
            "postgres://idp:p@55@db",
            "pa55",
        ] {
            assert!(has_password(has), "{has}");
        }
        for has_none in
            ["postgres://idp@db.example.org/connect?sslmode=verify-full", "postgres:///connect?host=/run/postgresql"]
        {
            assert!(!has_password(has_none), "{has_none}");
        }
    }

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
