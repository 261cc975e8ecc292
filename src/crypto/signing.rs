//! Our own signing keys: made, parsed once, and signed with (RFC 7515, RFC 7517, RFC 7638).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, JwsSigner, PS256, RS256};
use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::jws::Algorithm;
use super::secret::digest;

/// It could not be signed, or a key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SignError(String);

impl From<josekit::JoseError> for SignError {
    fn from(error: josekit::JoseError) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for SignError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// A key that was just made.
pub struct NewKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// JWK with `kid`, `alg` and `use`.
    pub public_jwk: String,
    /// The whole JWK: to be sealed at once.
    pub private_jwk: Zeroizing<String>,
}

/// Makes a key. RSA takes a tenth of a second or more: not for the async executor.
///
/// # Errors
/// When the cryptography fails.
pub fn generate(algorithm: Algorithm, rsa_bits: u32) -> Result<NewKey, SignError> {
    let mut key = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => Jwk::generate_rsa_key(rsa_bits)?,
        Algorithm::Es256 => Jwk::generate_ec_key(EcCurve::P256)?,
        Algorithm::EdDsa => Jwk::generate_ed_key(EdCurve::Ed25519)?,
    };
    let kid = thumbprint(&key)?;
    key.set_key_id(&kid);
    key.set_algorithm(algorithm.name());
    key.set_key_use("sig");
    let mut public = key.to_public_key()?;
    public.set_key_id(&kid);
    public.set_algorithm(algorithm.name());
    public.set_key_use("sig");
    Ok(NewKey { kid, public_jwk: public.to_string(), private_jwk: Zeroizing::new(key.to_string()) })
}

/// RFC 7638 §3: the digest of the required members, in order.
fn thumbprint(key: &Jwk) -> Result<String, SignError> {
    let members: &[&str] = match key.key_type() {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let mut parts = Vec::new();
    for name in members {
        let value = key.parameter(name).ok_or_else(|| SignError(format!("a new key has no member {name}")))?;
        parts.push(format!("\"{name}\":{value}"));
    }
    Ok(digest(format!("{{{}}}", parts.join(","))))
}

/// A private key, parsed once.
pub struct SigningKey {
    /// Its id in the JWK Set.
    pub kid: String,
    /// The one algorithm it signs with.
    pub algorithm: Algorithm,
    signer: Box<dyn JwsSigner>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm.name(), self.kid)
    }
}

impl SigningKey {
    /// Reads a private JWK of ours (RFC 7517, RFC 7518 §6), and makes a signer of it, which takes longer than to sign
    /// once.
    ///
    /// # Errors
    /// When it is no JWK, or one of another kind than the algorithm needs.
    pub fn parse(kid: &str, algorithm: Algorithm, private_jwk: &[u8]) -> Result<Self, SignError> {
        let jwk = Jwk::from_bytes(private_jwk)?;
        let signer: Box<dyn JwsSigner> = match algorithm {
            Algorithm::Rs256 => Box::new(RS256.signer_from_jwk(&jwk)?),
            Algorithm::Ps256 => Box::new(PS256.signer_from_jwk(&jwk)?),
            Algorithm::Es256 => Box::new(ES256.signer_from_jwk(&jwk)?),
            Algorithm::EdDsa => Box::new(EdDSA.signer_from_jwk(&jwk)?),
        };
        Ok(Self { kid: kid.to_owned(), algorithm, signer })
    }

    /// Signs claims: a compact JWS whose header is `typ`, `alg` and `kid`.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
        let json = |error: serde_json::Error| SignError(error.to_string());
        let header = serde_json::to_vec(&Header { alg: self.algorithm.name(), kid: &self.kid, typ }).map_err(json)?;
        let claims = serde_json::to_vec(claims).map_err(json)?;
        // Six bits a character, and room for the longest signature, of RSA.
        let mut jws = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 1400);
        URL_SAFE_NO_PAD.encode_string(header, &mut jws);
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut jws);
        let signature = self.signer.sign(jws.as_bytes())?;
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }
}

/// The header of what we sign.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// `at_hash` and `c_hash`: the left half of the hash that the algorithm uses (OpenID Connect Core §3.1.3.6).
#[must_use]
pub fn half_hash(algorithm: Algorithm, text: &str) -> String {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..16]),
        // Ed25519 hashes with SHA-512 (RFC 8032 §5.1).
        Algorithm::EdDsa => URL_SAFE_NO_PAD.encode(&Sha512::digest(text)[..32]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::crypto::jws::{Unverified, VerifyingKey};

    #[test]
    fn a_new_key_of_each_algorithm_signs_what_its_public_half_verifies() {
        for algorithm in Algorithm::ALL {
            let made = generate(algorithm, 2048).unwrap();
            let key = SigningKey::parse(&made.kid, algorithm, made.private_jwk.as_bytes()).unwrap();
            let text = key.sign("JWT", &json!({ "sub": "amina" })).unwrap();
            let jws = Unverified::parse(&text, 8192).unwrap();
            let header = Value::Object(jws.header.clone());
            assert_eq!(header, json!({ "typ": "JWT", "alg": algorithm.name(), "kid": made.kid }));
            let public = VerifyingKey::parse(&made.public_jwk).unwrap();
            assert!(public.algorithm() == algorithm && public.verify(&jws));
        }
    }

    /// A JWK Set tells public members alone, and what each key is for (RFC 7517 §4).
    #[test]
    fn the_public_half_says_kid_alg_and_use_and_nothing_private() {
        for (algorithm, wanted) in [
            (Algorithm::Rs256, vec!["alg", "e", "kid", "kty", "n", "use"]),
            (Algorithm::Es256, vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
            (Algorithm::EdDsa, vec!["alg", "crv", "kid", "kty", "use", "x"]),
        ] {
            let made = generate(algorithm, 2048).unwrap();
            let public: serde_json::Map<String, Value> = serde_json::from_str(&made.public_jwk).unwrap();
            let mut names: Vec<_> = public.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, wanted);
            assert_eq!(public["use"], "sig");
        }
    }

    /// The example of RFC 7638 §3.1.
    #[test]
    fn a_kid_is_the_thumbprint_of_its_key() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                 FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9\
                 c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1j\
                 F44-csFCur-kEgU8awapJzKnqDKgw";
        let members = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        let Value::Object(members) = members else { panic!("an object") };
        let key = Jwk::from_map(members).unwrap();
        assert_eq!(thumbprint(&key).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// The example of OpenID Connect Core Appendix A.3.
    #[test]
    fn a_half_hash_is_half_of_the_algorithms_own_hash() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_hash(Algorithm::Rs256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(half_hash(Algorithm::EdDsa, token).len(), 43);
    }
}
