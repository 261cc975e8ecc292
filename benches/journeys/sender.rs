//! Signs assertions as a trusted sender does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::crypto::jws::Algorithm;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, JwsSigner, PS256, RS256};

pub const SENDER: &str = "https://secure.example.net";
/// The agency of all users.
pub const PROVIDER: &str = "BENCH";

pub struct Sender {
    algorithm: Algorithm,
    key: Jwk,
    signer: Box<dyn JwsSigner>,
}

impl Sender {
    pub fn new(algorithm: Algorithm) -> Self {
        let mut key = match algorithm {
            Algorithm::Es256 => Jwk::generate_ec_key(EcCurve::P256),
            Algorithm::EdDsa => Jwk::generate_ed_key(EdCurve::Ed25519),
            Algorithm::Rs256 | Algorithm::Ps256 => Jwk::generate_rsa_key(2048),
        }
        .unwrap();
        key.set_key_id("bench");
        key.set_algorithm(algorithm.name());
        let signer: Box<dyn JwsSigner> = match algorithm {
            Algorithm::Es256 => Box::new(ES256.signer_from_jwk(&key).unwrap()),
            Algorithm::EdDsa => Box::new(EdDSA.signer_from_jwk(&key).unwrap()),
            Algorithm::Rs256 => Box::new(RS256.signer_from_jwk(&key).unwrap()),
            Algorithm::Ps256 => Box::new(PS256.signer_from_jwk(&key).unwrap()),
        };
        Self { algorithm, key, signer }
    }

    pub fn jwks(&self) -> String {
        let mut public = self.key.to_public_key().unwrap();
        public.set_key_id("bench");
        public.set_algorithm(self.algorithm.name());
        format!("{{\"keys\":[{public}]}}")
    }

    /// One that was never used.
    pub fn assertion(&self, audience: &str, login_name: &str) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let iat = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = serde_json::json!({
            "iss": SENDER, "aud": audience, "sub": format!("sub-{login_name}"), "provider_code": PROVIDER,
            "login_name": login_name, "iat": iat, "exp": iat + 60,
            "jti": format!("bench-{iat:012}-{:012}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        });
        let header = format!(r#"{{"typ":"therap-handoff+jwt","alg":"{}","kid":"bench"}}"#, self.algorithm.name());
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signer.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
