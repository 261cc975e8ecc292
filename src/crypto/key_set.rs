//! One reader for the key sets of others (RFC 7517 §5): what is not a key that we can use is passed over and named
//! (G37); a set that is no set, is out of bounds, or gives a secret away is refused as a whole. What a key must have
//! beyond that is up to whose keys they are: an issuer's are here, a client's in [`super::client_keys`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::jws::{VerifyingKey, bounded, private_member};
use super::strict_json;

/// A set has no more keys than this.
pub const MOST_KEYS: usize = 50;
/// A set is not longer than this as JSON.
pub const MOST_BYTES: usize = 64 * 1024;

/// A key that can be used, under one algorithm or two.
pub(super) struct Usable {
    pub(super) number: usize,
    pub(super) kid: Option<String>,
    pub(super) keys: Vec<VerifyingKey>,
    /// What makes it this key and no other.
    material: Vec<Option<Value>>,
}

/// A set as it was read.
#[derive(Default)]
pub(super) struct KeySet {
    pub(super) usable: Vec<Usable>,
    /// Why keys were passed over, one sentence each without its full stop.
    pub(super) skipped: Vec<String>,
}

/// Reads a set; `check` makes verifying keys of a key's members, or says as the end of a sentence why it cannot.
///
/// # Errors
/// One sentence that says what to change.
pub(super) fn read(
    jwks: &str,
    check: impl Fn(Option<&str>, &Map<String, Value>) -> Result<Vec<VerifyingKey>, String>,
) -> Result<KeySet, String> {
    if jwks.len() > MOST_BYTES {
        return Err(format!("the JWK Set is longer than {MOST_BYTES} bytes"));
    }
    // Some servers write a byte order mark (RFC 8259 §8.1).
    let text = jwks.strip_prefix('\u{feff}').unwrap_or(jwks);
    let set =
        strict_json::parse_object(text.as_bytes()).map_err(|fault| format!("the JWK Set is not usable: {fault}"))?;
    let Some(Value::Array(keys)) = set.get("keys") else {
        let has_one = set.get("public").is_some_and(|inner| inner.get("keys").is_some());
        let hint = if has_one { ": give what its member \"public\" holds, alone" } else { "" };
        return Err(format!("the JWK Set has no array \"keys\"{hint}"));
    };
    if keys.len() > MOST_KEYS {
        return Err(format!("the JWK Set holds more than {MOST_KEYS} keys"));
    }
    let mut read = KeySet::default();
    for (index, key) in keys.iter().enumerate() {
        let number = index + 1;
        let Value::Object(members) = key else {
            read.skipped.push(format!("key number {number} is not an object"));
            continue;
        };
        // Whoever reads this can read the address too.
        if let Some(name) = private_member(members) {
            let named = called(number, members);
            return Err(format!("{named} has the private member \"{name}\": give the public key alone"));
        }
        let checked = kid(members).and_then(|kid| check(kid, members).map(|keys| (kid.map(str::to_owned), keys)));
        match checked {
            Ok((kid, keys)) => read.usable.push(Usable { number, kid, keys, material: material(members) }),
            Err(why) => read.skipped.push(format!("{} {why}", called(number, members))),
        }
    }
    Ok(read)
}

fn kid(members: &Map<String, Value>) -> Result<Option<&str>, String> {
    match members.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= 255 => Ok(Some(kid)),
        Some(_) => Err("has a \"kid\" that is not a text of at most 255 bytes".into()),
    }
}

fn called(number: usize, members: &Map<String, Value>) -> String {
    match members.get("kid").and_then(Value::as_str) {
        Some(kid) => format!("key number {number} ({:?})", bounded(kid)),
        None => format!("key number {number}"),
    }
}

fn material(members: &Map<String, Value>) -> Vec<Option<Value>> {
    ["kty", "crv", "x", "y", "n", "e", "alg"].into_iter().map(|name| members.get(name).cloned()).collect()
}

/// The signing keys of a trusted issuer, by `kid`.
#[derive(Debug, Default)]
pub struct VerifyingKeys {
    by_kid: BTreeMap<String, VerifyingKey>,
    skipped: Vec<String>,
}

impl VerifyingKeys {
    /// Reads an issuer's JWK Set. A key is chosen by its `kid` alone and is good for one algorithm, so that it needs a
    /// `kid`, an RSA key an `alg`, and two different keys of one `kid` are both passed over: nobody can tell which one
    /// is meant.
    ///
    /// # Errors
    /// One sentence that says what to change: also where no key is left.
    pub fn parse(jwks: &str) -> Result<Self, String> {
        let set = read(jwks, |kid, members| match kid {
            None | Some("") => Err("has no \"kid\", by which its assertions would name it".into()),
            Some(_) => VerifyingKey::of_one_algorithm(members).map(|key| vec![key]),
        })?;
        let mut read = Self { skipped: set.skipped, ..Self::default() };
        let mut named: BTreeMap<String, Vec<Usable>> = BTreeMap::new();
        for usable in set.usable {
            named.entry(usable.kid.clone().unwrap_or_default()).or_default().push(usable);
        }
        for (kid, mut same) in named {
            if same.iter().any(|other| other.material != same[0].material) {
                let numbers: Vec<String> = same.iter().map(|one| one.number.to_string()).collect();
                let why = "are different keys of one \"kid\"";
                read.skipped.push(format!("keys number {} ({:?}) {why}", numbers.join(" and "), bounded(&kid)));
                continue;
            }
            // The same key twice is one key.
            read.by_kid.extend(same[0].keys.pop().map(|key| (kid, key)));
        }
        match read.skipped.as_slice() {
            _ if !read.by_kid.is_empty() => Ok(read),
            [] => Err("the JWK Set holds no key".into()),
            [first @ .., last] if first.len() < 3 => {
                let all = first.iter().chain([last]).map(String::as_str).collect::<Vec<_>>().join("; ");
                Err(format!("the JWK Set holds no key that can be used: {all}"))
            }
            [first, ..] => Err(format!("the JWK Set holds no key that can be used: {first}; and so on")),
        }
    }

    /// The key with this `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.by_kid.get(kid)
    }

    /// Every key with its `kid`, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &VerifyingKey)> {
        self.by_kid.iter().map(|(kid, key)| (kid.as_str(), key))
    }

    /// Every `kid`, sorted, with its algorithm's name.
    #[must_use]
    pub fn names(&self) -> Vec<(String, &'static str)> {
        self.iter().map(|(kid, key)| (kid.to_owned(), key.algorithm().name())).collect()
    }

    /// Why keys were passed over, one sentence each without its full stop.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better without &")]
mod tests;
