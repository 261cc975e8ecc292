//! Secrets that keep quiet, their digests, and the server's own secrets derived from the key-encryption key (G13).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::time::Random;

/// How many bytes of a recognizable secret are chance; 160 bits are beyond guessing (RFC 6749 §10.10).
const UNPREDICTABLE: usize = 20;

/// 32 bytes nobody may see: no `Display`, no `Serialize`, equality in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Secret {}

impl Secret {
    /// A new secret: 32 bytes that nobody can predict.
    #[must_use]
    pub fn random(random: &Random) -> Self {
        Self(Zeroizing::new(random.bytes()))
    }

    /// A new secret that whoever has `key` knows again without having kept it: its last 12 bytes are an HMAC-SHA256 of
    /// its first 20, which are unpredictable, and of what it is for.
    #[must_use]
    pub fn recognizable(random: &Random, key: &Self, purpose: &str) -> Self {
        let mut bytes = random.bytes();
        let mark = key.mark(purpose, &bytes[..UNPREDICTABLE]);
        bytes[UNPREDICTABLE..].copy_from_slice(&mark);
        Self::from_bytes(bytes)
    }

    /// Whether [`Secret::recognizable`] made this with the same key for the same purpose.
    #[must_use]
    pub fn is_of(&self, key: &Self, purpose: &str) -> bool {
        let (unpredictable, mark) = self.0.split_at(UNPREDICTABLE);
        key.mark(purpose, unpredictable).ct_eq(mark).into()
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length; the signature is of a family that is not all so"
    )]
    fn hmac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&*self.0).expect("HMAC takes keys of any length")
    }

    fn mark(&self, purpose: &str, unpredictable: &[u8]) -> [u8; 32 - UNPREDICTABLE] {
        let mut mac = self.hmac();
        mac.update(unpredictable);
        mac.update(purpose.as_bytes());
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|index| whole[index])
    }

    /// A secret from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads what [`Secret::reveal`] wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self::from_bytes(bytes.try_into().ok()?))
    }

    /// Unpadded base64url, 43 characters: for the one cookie or token that carries it, never for a log.
    #[must_use]
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(*self.0)
    }

    /// The bytes, for the cryptography beside this file.
    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// SHA-256 of the 32 bytes as unpadded base64url, 43 characters: all that the database ever sees.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(*self.0)
    }

    /// Another secret for one purpose (HKDF-SHA256, RFC 5869): the same again from the same secret, and no way back.
    ///
    /// # Panics
    /// Never: 32 bytes are within HKDF-SHA256's limit.
    #[must_use]
    #[expect(clippy::expect_used, reason = "32 bytes are within HKDF-SHA256's limit, which is 255 times 32")]
    pub fn derive(&self, purpose: &str) -> Self {
        let mut bytes = [0; 32];
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(purpose.as_bytes(), &mut bytes)
            .expect("32 bytes are within HKDF-SHA256's limit");
        Self::from_bytes(bytes)
    }

    /// HMAC-SHA256 of bytes under this secret (RFC 2104) as unpadded base64url, 43 characters.
    #[must_use]
    pub fn mac(&self, bytes: &[u8]) -> String {
        let mut mac = self.hmac();
        mac.update(bytes);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// HMAC-SHA256 of several texts under this secret as base64url. Lengths are hashed too, so parts cannot shift.
    #[must_use]
    pub fn keyed_hash(&self, parts: &[&str]) -> String {
        let mut mac = self.hmac();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

/// SHA-256 as unpadded base64url, 43 characters.
#[must_use]
pub fn digest(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// What came by, whatever its order: how many texts, and a sum of their digests. Two are equal when the same texts came
/// by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    count: u64,
    sum: [u64; 4],
}

impl Tally {
    /// One text more.
    pub fn add(&mut self, text: &[u8]) {
        self.count += 1;
        let digest = Sha256::digest(text);
        for (sum, part) in self.sum.iter_mut().zip(digest.chunks_exact(8)) {
            *sum = part.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)).wrapping_add(*sum);
        }
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_cookie_and_prints_nothing() {
        let secret = Secret::random(&Random::seeded(1));
        assert_eq!(Secret::parse(&secret.reveal()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(Secret::parse("short"), None);
        assert_eq!(Secret::parse(&format!("{}=", secret.reveal())), None);
    }

    #[test]
    fn a_recognizable_secret_is_known_by_its_key_and_purpose_alone() {
        let (random, key) = (Random::seeded(1), Secret::from_bytes([7; 32]));
        let secret = Secret::recognizable(&random, &key, "a");
        assert!(secret.is_of(&key, "a"));
        assert!(!secret.is_of(&key, "b"));
        assert!(!secret.is_of(&Secret::from_bytes([8; 32]), "a"));
        assert!(!Secret::random(&random).is_of(&key, "a"));
        assert_ne!(secret, Secret::recognizable(&random, &key, "a"));
    }

    #[test]
    fn derived_secrets_differ_by_purpose_and_hashes_by_parts() {
        let secret = Secret::from_bytes([7; 32]);
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert_eq!(secret.derive("a"), secret.derive("a"));
        assert_ne!(secret.keyed_hash(&["ab", "c"]), secret.keyed_hash(&["a", "bc"]));
    }
}
