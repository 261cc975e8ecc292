//! Compact JWS, read strictly, and the public key that verifies one (RFC 7515, RFC 7517, RFC 8725). Sets of keys are
//! [`super::key_set`]'s.
//!
//! This file knows form and signatures. What a header or claim must say is its reader's policy
//! (`handoff::assertion` for handoffs).

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
        let (signing_input, _) = text.rsplit_once('.').ok_or(Malformed::NotCompact)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::NotCanonicalBase64Url);
        let (header_json, payload, signature_bytes) = (decode(header)?, decode(payload)?, decode(signature)?);
        Ok(Self {
            header: strict_json::parse_object(&header_json).map_err(Malformed::Header)?,
            payload,
            signing_input,
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

    /// The bytes of the signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
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
        Self::of_one_algorithm(&members)
    }

    /// Reads one public JWK that says for which algorithm it is good.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn of_one_algorithm(members: &Map<String, Value>) -> Result<Self, String> {
        if let Some(name) = private_member(members) {
            return Err(format!("has the private member \"{name}\": give the public key alone"));
        }
        match algorithms(members)? {
            [algorithm] => build(members, *algorithm),
            _ => Err("is an RSA key and needs an \"alg\" (PS256 or RS256)".into()),
        }
    }

    /// Whether the signature is this key's, over `BASE64URL(header).BASE64URL(payload)` as they came (RFC 7515 §5.2).
    /// Nothing of the header is looked at here: the caller has compared `alg` with [`VerifyingKey::algorithm`].
    #[must_use]
    pub fn verify(&self, jws: &Unverified<'_>) -> bool {
        self.verify_bytes(jws.signing_input.as_bytes(), &jws.signature)
    }

    /// Whether `signature` is this key's over `signed`, in the form of JWA: for ECDSA the 64 bytes `r || s` (RFC 7518
    /// §3.4), not DER.
    #[must_use]
    pub fn verify_bytes(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify(signed, signature).is_ok()
    }
}

/// RSA keys that are shorter can be broken; a longer one only costs time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The first member that belongs to a private or symmetric key alone; `priv` is that of ML-DSA and its like.
pub(super) fn private_member(members: &Map<String, Value>) -> Option<&'static str> {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].into_iter().find(|name| members.contains_key(*name))
}

/// Which algorithms a public key may verify: one, or both of RSA's when it names none.
pub(super) fn algorithms(members: &Map<String, Value>) -> Result<&'static [Algorithm], String> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if members.contains_key("use") && text("use") != Some("sig") {
        return Err("is not for signatures (\"use\" is not \"sig\")".into());
    }
    let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    if members.get("key_ops").is_some_and(|ops| !verifies(ops)) {
        return Err("is not for verifying (\"key_ops\" does not hold \"verify\")".into());
    }
    let fitting: &'static [Algorithm] = match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => &[Algorithm::Es256],
        (Some("OKP"), Some("Ed25519")) => &[Algorithm::EdDsa],
        (Some("RSA"), _) => &[Algorithm::Ps256, Algorithm::Rs256],
        (kty, crv) => {
            let named = [kty, crv].into_iter().flatten().map(bounded).collect::<Vec<_>>().join(" ");
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

/// What a stranger wrote, as much of it as is shown.
pub(super) fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Parses a public key for one algorithm. Nothing but the key itself is read: certificates and whatever else stands
/// beside it say nothing that anybody here asks for.
pub(super) fn build(members: &Map<String, Value>, algorithm: Algorithm) -> Result<VerifyingKey, String> {
    let mut jwk = Map::new();
    let mut take = |name: &'static str| -> Result<Vec<u8>, String> {
        let text = members.get(name).and_then(Value::as_str);
        let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| format!("has no \"{name}\" in base64url"))?;
        jwk.insert(name.into(), URL_SAFE_NO_PAD.encode(significant(&bytes, algorithm)).into());
        Ok(bytes)
    };
    match algorithm {
        Algorithm::Es256 => {
            let (x, y) = (take("x")?, take("y")?);
            if x.len() != 32 || y.len() != 32 {
                return Err("has coordinates that are not 32 bytes each".into());
            }
        }
        Algorithm::EdDsa => {
            if take("x")?.len() != 32 {
                return Err("has an \"x\" that is not 32 bytes".into());
            }
        }
        Algorithm::Ps256 | Algorithm::Rs256 => check_rsa(&take("n")?, &take("e")?)?,
    }
    for name in ["kty", "crv"] {
        members.get(name).map(|value| jwk.insert(name.into(), value.clone()));
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

/// A number without the zeros before it, which some libraries write; points and Ed25519 keys have their length.
fn significant(bytes: &[u8], algorithm: Algorithm) -> &[u8] {
    match algorithm {
        Algorithm::Es256 | Algorithm::EdDsa => bytes,
        Algorithm::Ps256 | Algorithm::Rs256 => {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            &bytes[zeros..]
        }
    }
}

/// With an exponent of 1 anything is a good signature; an even one belongs to no key.
fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), String> {
    let bits = |bytes: &[u8]| {
        let number = significant(bytes, Algorithm::Rs256);
        let first = number.first().map_or(0, |byte| byte.leading_zeros());
        (number.len() * 8).saturating_sub(usize::try_from(first).unwrap_or(0))
    };
    if !RSA_BITS.contains(&bits(modulus)) {
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(format!("is an RSA key of {} bits: from {least} to {most} are accepted", bits(modulus)));
    }
    let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    if !odd || !(2..=64).contains(&bits(exponent)) {
        return Err("is an RSA key with an exponent that is not safe: 65537 is usual".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
