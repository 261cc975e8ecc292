//! The public keys of a client, read as the standards ask: what is not understood is skipped (RFC 7517 §5), a `kid` is
//! not needed (RFC 7591 §2). Stricter readers are in [`super::jws`].

use std::fmt;

use serde_json::{Map, Value};

use super::jws::{Algorithm, VerifyingKey, algorithms, build, private_member};
use super::strict_json;

/// A set has no more keys than this.
pub const MOST_KEYS: usize = 50;
/// A set is not longer than this as JSON.
pub const MOST_BYTES: usize = 64 * 1024;

/// A client's keys, parsed once.
#[derive(Default)]
pub struct ClientKeys {
    keys: Vec<(Option<String>, VerifyingKey)>,
    skipped: Vec<String>,
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKeys({})", self.keys.len())
    }
}

impl ClientKeys {
    /// Reads a JWK Set. Keys of other kinds, for other uses, or out of bounds are skipped; a private member makes the
    /// whole set unusable, because its owner has published a secret.
    ///
    /// # Errors
    /// One sentence that says what to change.
    pub fn parse(jwks: &str) -> Result<Self, String> {
        if jwks.len() > MOST_BYTES {
            return Err(format!("the JWK Set is longer than {MOST_BYTES} bytes"));
        }
        let set = strict_json::parse_object(jwks.as_bytes())
            .map_err(|fault| format!("the JWK Set is not usable: {fault}"))?;
        Self::from_members(&set)
    }

    /// The same from JSON that was read already.
    ///
    /// # Errors
    /// As [`ClientKeys::parse`].
    pub fn from_members(set: &Map<String, Value>) -> Result<Self, String> {
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err("the JWK Set has no array \"keys\"".into());
        };
        if keys.len() > MOST_KEYS {
            return Err(format!("the JWK Set holds more than {MOST_KEYS} keys"));
        }
        let mut read = Self::default();
        for (index, key) in keys.iter().enumerate() {
            let Value::Object(members) = key else {
                return Err(format!("key number {} is not an object", index + 1));
            };
            if let Some(name) = private_member(members) {
                return Err(format!(
                    "key number {} has the private member \"{name}\": give the public key alone",
                    index + 1
                ));
            }
            if let Err(why) = read.take(members) {
                read.skipped.push(format!("key number {} {why}", index + 1));
            }
        }
        Ok(read)
    }

    fn take(&mut self, members: &Map<String, Value>) -> Result<(), String> {
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= 255 => Some(kid.clone()),
            Some(_) => return Err("has a \"kid\" that is not a text of at most 255 characters".into()),
        };
        for algorithm in algorithms(members)? {
            self.keys.push((kid.clone(), build(members, *algorithm)?));
        }
        Ok(())
    }

    /// The keys that may have made a signature: with a `kid`, those of that name first and then the nameless ones;
    /// without one, every key of the algorithm.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &VerifyingKey> {
        let fits = move |(_, key): &&(Option<String>, VerifyingKey)| key.algorithm() == algorithm;
        let named = self.keys.iter().filter(fits).filter(move |(own, _)| kid.is_none() || own.as_deref() == kid);
        let nameless = self.keys.iter().filter(fits).filter(move |(own, _)| kid.is_some() && own.is_none());
        named.chain(nameless).map(|(_, key)| key)
    }

    /// Whether a key has this name.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|(own, _)| own.as_deref() == Some(kid))
    }

    /// Every `kid` there is.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|(kid, _)| kid.as_deref())
    }

    /// Whether no signature can be verified by it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Why keys were skipped, a sentence's end each.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use josekit::jwk::Jwk;
    use josekit::jwk::alg::ec::EcCurve;
    use serde_json::json;

    use super::*;

    fn members(key: &Jwk) -> Map<String, Value> {
        key.as_ref().clone()
    }

    fn set(keys: &[Map<String, Value>]) -> String {
        json!({ "keys": keys }).to_string()
    }

    fn count(keys: &ClientKeys, kid: Option<&str>, algorithm: Algorithm) -> usize {
        keys.candidates(kid, algorithm).count()
    }

    #[test]
    fn keys_without_kid_are_matched_by_kind() {
        let ec = members(&Jwk::generate_ec_key(EcCurve::P256).unwrap().to_public_key().unwrap());
        let mut named = ec.clone();
        named.insert("kid".into(), json!("b"));
        let rsa = members(&Jwk::generate_rsa_key(2048).unwrap().to_public_key().unwrap());
        let keys = ClientKeys::parse(&set(&[ec, named, rsa])).unwrap();
        assert_eq!(count(&keys, None, Algorithm::Es256), 2);
        assert_eq!(count(&keys, Some("b"), Algorithm::Es256), 2);
        assert_eq!(count(&keys, Some("a"), Algorithm::Es256), 1);
        // RFC 7517 §4.4: without "alg" an RSA key serves both of its algorithms.
        assert_eq!((count(&keys, None, Algorithm::Ps256), count(&keys, Some("x"), Algorithm::Rs256)), (1, 1));
        assert_eq!(count(&keys, None, Algorithm::EdDsa), 0);
        assert!(keys.knows("b") && !keys.knows("a"));
    }

    #[test]
    fn what_is_not_understood_is_skipped_and_secrets_are_refused() {
        let private = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        let public = members(&private.to_public_key().unwrap());
        let with = |name: &str, value: Value| {
            let mut key = public.clone();
            key.insert(name.into(), value);
            key
        };
        let p384 = members(&Jwk::generate_ec_key(EcCurve::P384).unwrap().to_public_key().unwrap());
        let short = members(&Jwk::generate_rsa_key(1024).unwrap().to_public_key().unwrap());
        let strange = [
            with("use", json!("enc")),
            with("alg", json!("ES512")),
            with("kty", json!("XYZ")),
            with("x", json!("AA")),
            p384,
            short,
        ];
        let keys = ClientKeys::parse(&set(&strange)).unwrap();
        assert!(keys.is_empty(), "{keys:?}");
        assert_eq!(keys.skipped().len(), 6);
        let mut all = strange.to_vec();
        all.push(public.clone());
        assert_eq!(count(&ClientKeys::parse(&set(&all)).unwrap(), None, Algorithm::Es256), 1);
        for (jwks, words) in [
            (set(&[members(&private)]), "private member \"d\""),
            (set(&[serde_json::from_value(json!({"kty": "oct", "k": "AAAA"})).unwrap()]), "private member \"k\""),
            ("{}".to_owned(), "no array"),
            ("[]".to_owned(), "not a JSON object"),
            (set(&vec![public; MOST_KEYS + 1]), "more than 50 keys"),
            (format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(MOST_BYTES)), "longer than"),
        ] {
            let why = ClientKeys::parse(&jwks).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}
