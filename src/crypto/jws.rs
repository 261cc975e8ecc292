//! Compact JWS, read strictly, and the public keys that verify them (RFC 7515, RFC 7517, RFC 8725).
//!
//! This file knows form and signatures. What a header or claim must say is its reader's policy
//! (`handoff::assertion` for handoffs).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, JwsVerifier, PS256, RS256};
use serde_json::{Map, Value};

use super::strict_json;

/// The signature algorithms that are ever accepted (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Es256, Self::Ps256, Self::Rs256, Self::EdDsa];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl serde::Serialize for Algorithm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Algorithm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|()| serde::de::Error::custom("must be RS256, PS256, ES256 or EdDSA"))
    }
}

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|a| a.name() == name).ok_or(())
    }
}

/// What is wrong with the form of a JWS, before any key is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than the reader allows.
    TooLarge,
    /// Not three non-empty parts.
    NotCompact,
    /// A part is not unpadded base64url, or not its canonical spelling.
    NotCanonicalBase64Url,
    /// The header is not a JSON object.
    Header(strict_json::Fault),
}

/// A JWS whose form is right and whose signature nobody has looked at: good for choosing a key, nothing else.
pub struct Unverified<'a> {
    /// The protected header.
    pub header: Map<String, Value>,
    payload: Vec<u8>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact serialization apart (RFC 7515 §7.1).
    ///
    /// # Errors
    /// The first fault of form.
    pub fn parse(text: &'a str, max_bytes: usize) -> Result<Self, Malformed> {
        if text.len() > max_bytes {
            return Err(Malformed::TooLarge);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed::NotCompact);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Malformed::NotCompact);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::NotCanonicalBase64Url);
        let (header_json, payload, signature_bytes) = (decode(header)?, decode(payload)?, decode(signature)?);
        Ok(Self {
            header: strict_json::parse_object(&header_json).map_err(Malformed::Header)?,
            payload,
            signing_input: &text[..text.len() - signature.len() - 1],
            signature: signature_bytes,
        })
    }

    /// The claims as they stand, still unproven.
    ///
    /// # Errors
    /// When the payload is not one strict JSON object.
    pub fn claims(&self) -> Result<Map<String, Value>, strict_json::Fault> {
        strict_json::parse_object(&self.payload)
    }

    /// What is signed: header and payload, the same for every copy whatever its signature bytes.
    #[must_use]
    pub fn signing_input(&self) -> &str {
        self.signing_input
    }
}

/// One public key, parsed once, bound to one algorithm.
pub struct VerifyingKey {
    algorithm: Algorithm,
    verifier: Box<dyn JwsVerifier>,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.algorithm.name())
    }
}

impl VerifyingKey {
    /// The only algorithm this key verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Reads one public JWK of ours.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(jwk: &str) -> Result<Self, String> {
        let members = strict_json::parse_object(jwk.as_bytes()).map_err(|fault| format!("is not usable: {fault}"))?;
        verifying_key(&members)
    }

    /// Whether the signature is this key's.
    #[must_use]
    pub fn verify(&self, jws: &Unverified<'_>) -> bool {
        self.verifier.verify(jws.signing_input.as_bytes(), &jws.signature).is_ok()
    }
}

/// A set of public keys by `kid` (RFC 7517 §5).
#[derive(Debug, Default)]
pub struct VerifyingKeys {
    by_kid: HashMap<String, VerifyingKey>,
}

impl VerifyingKeys {
    /// Reads a JWK Set of public signing keys. Every key needs a `kid`; RSA keys need an `alg`; private or
    /// symmetric keys, other curves and short RSA keys are refused.
    ///
    /// # Errors
    /// One sentence that names the key and what to change.
    pub fn parse(jwks: &str) -> Result<Self, String> {
        let set = strict_json::parse_object(jwks.as_bytes())
            .map_err(|fault| format!("the JWK Set is not usable: {fault}"))?;
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err("the JWK Set has no array \"keys\"".into());
        };
        let mut by_kid = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            let Value::Object(members) = key else {
                return Err(format!("key number {} is not an object", index + 1));
            };
            let kid = match members.get("kid") {
                Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= 255 => kid.clone(),
                _ => return Err(format!("key number {} needs a \"kid\" of 1 to 255 characters", index + 1)),
            };
            let key = verifying_key(members).map_err(|why| format!("key \"{kid}\" {why}"))?;
            if by_kid.insert(kid.clone(), key).is_some() {
                return Err(format!("two keys have the kid \"{kid}\""));
            }
        }
        if by_kid.is_empty() {
            return Err("the JWK Set holds no key".into());
        }
        Ok(Self { by_kid })
    }

    /// The key with this `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.by_kid.get(kid)
    }

    /// Every `kid`, sorted, with its algorithm's name.
    #[must_use]
    pub fn names(&self) -> Vec<(String, &'static str)> {
        let mut names: Vec<_> = self.by_kid.iter().map(|(kid, key)| (kid.clone(), key.algorithm.name())).collect();
        names.sort();
        names
    }
}

fn verifying_key(members: &Map<String, Value>) -> Result<VerifyingKey, String> {
    if let Some(name) = private_member(members) {
        return Err(format!("has the private member \"{name}\": give the public key alone"));
    }
    match algorithms(members)? {
        [algorithm] => build(members, *algorithm),
        _ => Err("is an RSA key and needs an \"alg\" (PS256 or RS256)".into()),
    }
}

/// The first member that belongs to a private or symmetric key alone.
pub(super) fn private_member(members: &Map<String, Value>) -> Option<&'static str> {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].into_iter().find(|name| members.contains_key(*name))
}

/// Which algorithms a public key may verify: one, or both of RSA's when it names none.
pub(super) fn algorithms(members: &Map<String, Value>) -> Result<&'static [Algorithm], String> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|u| u != "sig") {
        return Err("is not for signatures (\"use\" is not \"sig\")".into());
    }
    let fitting: &'static [Algorithm] = match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => &[Algorithm::Es256],
        (Some("OKP"), Some("Ed25519")) => &[Algorithm::EdDsa],
        (Some("RSA"), _) => &[Algorithm::Ps256, Algorithm::Rs256],
        (kty, crv) => {
            let named = [kty, crv].into_iter().flatten().collect::<Vec<_>>().join(" ");
            return Err(format!("is of a kind not accepted ({named}): use EC P-256, RSA or OKP Ed25519"));
        }
    };
    let Some(alg) = members.get("alg") else {
        return Ok(fitting);
    };
    let Some(named) = alg.as_str().and_then(|alg| alg.parse::<Algorithm>().ok()) else {
        return Err("has an \"alg\" that is not ES256, PS256, RS256 or EdDSA".into());
    };
    let position = fitting.iter().position(|algorithm| *algorithm == named);
    position.map(|at| &fitting[at..=at]).ok_or_else(|| "has an \"alg\" that does not fit its \"kty\"".into())
}

/// Parses a public key for one algorithm.
pub(super) fn build(members: &Map<String, Value>, algorithm: Algorithm) -> Result<VerifyingKey, String> {
    // `key_ops` and certificate members say nothing that this reader asks for, and josekit would refuse some spellings.
    let mut jwk = members.clone();
    for name in ["key_ops", "x5c", "x5u", "x5t", "x5t#S256"] {
        jwk.remove(name);
    }
    let unusable = |error: josekit::JoseError| format!("is not usable: {error}");
    let jwk = Jwk::from_map(jwk).map_err(unusable)?;
    let verifier: Box<dyn JwsVerifier> = match algorithm {
        Algorithm::Es256 => Box::new(ES256.verifier_from_jwk(&jwk).map_err(unusable)?),
        Algorithm::Ps256 => Box::new(PS256.verifier_from_jwk(&jwk).map_err(unusable)?),
        Algorithm::Rs256 => Box::new(RS256.verifier_from_jwk(&jwk).map_err(unusable)?),
        Algorithm::EdDsa => Box::new(EdDSA.verifier_from_jwk(&jwk).map_err(unusable)?),
    };
    Ok(VerifyingKey { algorithm, verifier })
}

#[cfg(test)]
mod tests {
    use josekit::jwk::alg::ec::EcCurve;
    use josekit::jwk::alg::ed::EdCurve;
    use josekit::jws::JwsSigner;

    use super::*;

    fn set(keys: &[Jwk]) -> String {
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    fn named(mut key: Jwk, kid: &str, alg: Option<&str>) -> Jwk {
        key.set_key_id(kid);
        if let Some(alg) = alg {
            key.set_algorithm(alg);
        }
        key
    }

    fn compact(signer: &dyn JwsSigner, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = signer.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn each_algorithm_verifies_its_own_signature_and_no_other() {
        let ec = named(Jwk::generate_ec_key(EcCurve::P256).unwrap(), "ec", None);
        let rs = named(Jwk::generate_rsa_key(2048).unwrap(), "rs", Some("RS256"));
        let ps = named(Jwk::generate_rsa_key(2048).unwrap(), "ps", Some("PS256"));
        let ed = named(Jwk::generate_ed_key(EdCurve::Ed25519).unwrap(), "ed", None);
        let public = |key: &Jwk| named(key.to_public_key().unwrap(), key.key_id().unwrap(), key.algorithm());
        let publics = [&ec, &rs, &ps, &ed].map(public);
        let keys = VerifyingKeys::parse(&set(&publics)).unwrap();
        let signers: [(&str, Box<dyn JwsSigner>); 4] = [
            ("ec", Box::new(ES256.signer_from_jwk(&ec).unwrap())),
            ("rs", Box::new(RS256.signer_from_jwk(&rs).unwrap())),
            ("ps", Box::new(PS256.signer_from_jwk(&ps).unwrap())),
            ("ed", Box::new(EdDSA.signer_from_jwk(&ed).unwrap())),
        ];
        for (signed_by, signer) in &signers {
            let text = compact(signer.as_ref(), "{}", "{}");
            let jws = Unverified::parse(&text, 8192).unwrap();
            for asked in ["ec", "rs", "ps", "ed"] {
                assert_eq!(keys.get(asked).unwrap().verify(&jws), asked == *signed_by, "{signed_by} by {asked}");
            }
        }
    }

    #[test]
    fn private_short_ambiguous_and_nameless_keys_are_refused() {
        let ec = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        let rsa = Jwk::generate_rsa_key(2048).unwrap().to_public_key().unwrap();
        let public = ec.to_public_key().unwrap();
        let refused = |keys: &[Jwk], words: &str| {
            let why = VerifyingKeys::parse(&set(keys)).unwrap_err();
            assert!(why.contains(words), "{why}");
        };
        refused(&[named(ec.clone(), "a", None)], "private member");
        refused(std::slice::from_ref(&public), "needs a \"kid\"");
        refused(&[named(rsa.clone(), "a", None)], "needs an \"alg\"");
        refused(&[named(rsa, "a", Some("ES256"))], "does not fit");
        refused(&[named(public.clone(), "a", Some("HS256"))], "not ES256");
        refused(&[named(public.clone(), "a", None), named(public, "a", None)], "two keys");
        refused(&[], "no key");
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        for (text, fault) in [
            ("e30.e30", Malformed::NotCompact),
            ("e30..AA", Malformed::NotCompact),
            ("e30.e30.AA.AA", Malformed::NotCompact),
            ("e30=.e30.AA", Malformed::NotCanonicalBase64Url),
            ("e30.e30.AB", Malformed::NotCanonicalBase64Url),
            ("e30.e30.A A", Malformed::NotCanonicalBase64Url),
            ("W10.e30.AA", Malformed::Header(strict_json::Fault::NotAnObject)),
        ] {
            assert_eq!(Unverified::parse(text, 100).err(), Some(fault), "{text}");
        }
        assert_eq!(Unverified::parse("e30.e30.AA", 9).err(), Some(Malformed::TooLarge));
        assert!(Unverified::parse("e30.e30.AA", 10).is_ok());
    }
}
