//! The public keys of a client: a `kid` is not needed (RFC 7591 §2), nor an `alg`, since each key of the fitting kind
//! is tried. How a set is read is [`super::key_set`]'s.

use std::fmt;

use super::jws::{Algorithm, VerifyingKey, algorithms, build};
use super::key_set::read;

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
    /// Reads a JWK Set. One without a key that can be used is a set all the same: see [`ClientKeys::is_empty`].
    ///
    /// # Errors
    /// One sentence that says what to change.
    pub fn parse(jwks: &str) -> Result<Self, String> {
        let set =
            read(jwks, |_, members| algorithms(members)?.iter().map(|algorithm| build(members, *algorithm)).collect())?;
        let named = set.usable.into_iter().flat_map(|usable| {
            let kid = usable.kid;
            usable.keys.into_iter().map(move |key| (kid.clone(), key))
        });
        Ok(Self { keys: named.collect(), skipped: set.skipped })
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

    /// Why keys were passed over, one sentence each without its full stop.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use josekit::jwk::Jwk;
    use josekit::jwk::alg::ec::EcCurve;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::crypto::key_set::{MOST_BYTES, MOST_KEYS};

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
