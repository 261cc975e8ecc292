//! The sister product: signs assertions, rightly or in any wrong way a test asks for.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::time::{Clock, Random};
use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, JwsSigner, PS256, RS256};
use serde_json::{Map, Value, json};

use super::{Idp, User};

/// The issuer that every [`Idp`] trusts.
pub const ISSUER: &str = "https://secure.example.net";

/// The published test keys, private halves included.
static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/senders/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
});

/// The private JWK of one of the published test keys, under a `kid` that does not say so: a site of production takes
/// no key that is called a test key.
pub fn private_jwk(kid: &str) -> Value {
    let keys = VECTORS["signing"]["keys"].as_array().unwrap();
    let published = format!("TEST-ONLY-{kid}");
    let mut key = keys.iter().find(|key| key["kid"] == published).unwrap_or_else(|| panic!("no key {kid}")).clone();
    key["kid"] = kid.into();
    key
}

/// The public JWK Set with these keys of the published ones.
pub fn public_jwks(kids: &[&str]) -> String {
    let public = |kid: &&str| {
        let mut key = private_jwk(kid);
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(member);
        }
        key
    };
    json!({ "keys": kids.iter().map(public).collect::<Vec<_>>() }).to_string()
}

/// One issuer's signing side.
#[derive(Clone)]
pub struct TherapServices {
    pub issuer: String,
    pub kid: String,
    audience: String,
    clock: Clock,
}

impl TherapServices {
    pub fn new(idp: &Idp) -> Self {
        Self {
            issuer: ISSUER.into(),
            kid: "es256".into(),
            audience: idp.app.config.issuer.clone(),
            clock: idp.app.clock.clone(),
        }
    }

    /// The same product under another issuer name and key.
    pub fn under(mut self, issuer: &str, kid: &str) -> Self {
        self.issuer = issuer.into();
        self.kid = kid.into();
        self
    }

    /// An assertion for a user, minted now, whose `sub` is the user's own.
    pub fn assertion(&self, user: &User) -> Assertion {
        let now = self.clock.now().seconds();
        let claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user.sub(),
            "provider_code": user.provider_code,
            "login_name": user.login_name,
            "iat": now,
            "exp": now + 30,
            "jti": URL_SAFE_NO_PAD.encode(Random::System.bytes::<16>()),
        });
        let alg = private_jwk(&self.kid)["alg"].clone();
        let header = json!({ "typ": "therap-handoff+jwt", "alg": alg, "kid": self.kid });
        Assertion { header: object(header), claims: object(claims), raw: [None, None], kid: self.kid.clone() }
    }

    /// The right assertion, signed.
    pub fn sign(&self, user: &User) -> String {
        self.assertion(user).sign()
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { unreachable!("written as an object above") };
    members
}

/// An assertion before it is signed.
#[derive(Clone)]
pub struct Assertion {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    raw: [Option<String>; 2],
    kid: String,
}

impl Assertion {
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// These very claims, JSON or not.
    pub fn raw_claims(mut self, text: impl Into<String>) -> Self {
        self.raw[1] = Some(text.into());
        self
    }

    /// Signed with this key, whatever the header says.
    pub fn signed_by(mut self, kid: &str) -> Self {
        self.kid = kid.into();
        self
    }

    /// Minted at another moment: `iat` and `exp` move together.
    pub fn minted(self, seconds_from_now: i64) -> Self {
        let iat = self.claims["iat"].as_i64().unwrap() + seconds_from_now;
        self.claim("iat", iat).claim("exp", iat + 30)
    }

    pub fn sign(&self) -> String {
        let part = |raw: &Option<String>, members: &Map<String, Value>| {
            URL_SAFE_NO_PAD.encode(raw.clone().unwrap_or_else(|| Value::from(members.clone()).to_string()))
        };
        let input = format!("{}.{}", part(&self.raw[0], &self.header), part(&self.raw[1], &self.claims));
        let signature = signer(&self.kid).sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn signer(kid: &str) -> Box<dyn JwsSigner> {
    let key = private_jwk(kid);
    let alg = key["alg"].as_str().unwrap().to_owned();
    let jwk = Jwk::from_map(object(key)).unwrap();
    match alg.as_str() {
        "ES256" => Box::new(ES256.signer_from_jwk(&jwk).unwrap()),
        "PS256" => Box::new(PS256.signer_from_jwk(&jwk).unwrap()),
        "RS256" => Box::new(RS256.signer_from_jwk(&jwk).unwrap()),
        "EdDSA" => Box::new(EdDSA.signer_from_jwk(&jwk).unwrap()),
        other => panic!("no signer for {other}"),
    }
}
