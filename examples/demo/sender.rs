//! The sending side of Unified Login, as docs/handoff.md asks for it; and, on demand, not as it asks.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::time::{Clock, Random};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::{ES256, JwsHeader, serialize_compact};
use serde_json::{Value, json};

use crate::place::Addresses;

/// The keys, made again at each start.
#[derive(Debug)]
pub struct Sender {
    /// `iss` of the stand-in for Therap Services.
    pub issuer: String,
    /// `iss` of another product, trusted as well.
    pub other_issuer: String,
    audience: String,
    own: Jwk,
    other: Jwk,
    forger: Jwk,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The stand-in for Therap Services.
    Own,
    /// The other product.
    Other,
    /// Somebody who has none of the keys.
    Forger,
    /// Nobody: `alg` is `none`.
    Nobody,
}

/// An assertion that is not signed yet.
#[derive(Clone, Debug)]
pub struct Draft {
    pub signer: Signer,
    pub typ: String,
    pub kid: String,
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub provider_code: String,
    pub login_name: String,
    /// Seconds from now.
    pub iat_offset: i64,
    /// Seconds from `iat`.
    pub lifetime: i64,
    pub target: Option<String>,
}

impl Sender {
    pub fn new(addresses: &Addresses) -> anyhow::Result<Self> {
        // A kid is never given to a second key, and a kept folder remembers.
        let kid = format!("demo-{}", Random::System.reference());
        Ok(Self {
            issuer: addresses.therap_services.clone(),
            other_issuer: format!("{}/other", addresses.therap_services),
            audience: addresses.issuer.clone(),
            own: key(&kid)?,
            other: key(&format!("{kid}-other"))?,
            forger: key(&kid)?,
        })
    }

    /// The public keys of the stand-in for Therap Services.
    pub fn jwks(&self) -> anyhow::Result<String> {
        jwks(&self.own)
    }

    /// The public keys of the other product.
    pub fn other_jwks(&self) -> anyhow::Result<String> {
        jwks(&self.other)
    }

    /// An assertion with nothing wrong about it: this user clicked now.
    pub fn draft(&self, provider_code: &str, login_name: &str) -> Draft {
        Draft {
            signer: Signer::Own,
            typ: "therap-handoff+jwt".into(),
            kid: name_of(&self.own),
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: crate::cast::sub(login_name),
            provider_code: provider_code.to_owned(),
            login_name: login_name.to_owned(),
            iat_offset: 0,
            lifetime: 30,
            target: None,
        }
    }

    /// Makes a draft the other product's.
    pub fn as_other(&self, draft: &mut Draft) {
        draft.signer = Signer::Other;
        draft.kid = name_of(&self.other);
        draft.iss.clone_from(&self.other_issuer);
    }

    /// Signs.
    pub fn sign(&self, draft: &Draft) -> anyhow::Result<String> {
        let iat = Clock::System.now().seconds() + draft.iat_offset;
        let mut claims = json!({
            "iss": draft.iss,
            "aud": draft.aud,
            "sub": draft.sub,
            "provider_code": draft.provider_code,
            "login_name": draft.login_name,
            "iat": iat,
            "exp": iat + draft.lifetime,
            "jti": URL_SAFE_NO_PAD.encode(Random::System.bytes::<16>()),
            "amr": ["pwd"],
        });
        if let Some(target) = &draft.target {
            claims["target"] = target.as_str().into();
        }
        let key = match draft.signer {
            Signer::Own => &self.own,
            Signer::Other => &self.other,
            Signer::Forger => &self.forger,
            Signer::Nobody => {
                let header = json!({ "typ": draft.typ, "alg": "none", "kid": draft.kid });
                return Ok(format!("{}.{}.", part(&header), part(&claims)));
            }
        };
        let mut header = JwsHeader::new();
        header.set_token_type(draft.typ.as_str());
        header.set_key_id(draft.kid.as_str());
        let mut signer = ES256.signer_from_jwk(key)?;
        // Else it would write its key's own name over the draft's.
        signer.remove_key_id();
        serialize_compact(claims.to_string().as_bytes(), &header, &signer).context("the assertion cannot be signed")
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn key(kid: &str) -> anyhow::Result<Jwk> {
    Ok(named(Jwk::generate_ec_key(EcCurve::P256)?, kid))
}

fn name_of(key: &Jwk) -> String {
    key.key_id().unwrap_or_default().to_owned()
}

fn named(mut key: Jwk, kid: &str) -> Jwk {
    key.set_key_id(kid);
    key.set_algorithm("ES256");
    key.set_key_use("sig");
    key
}

fn jwks(key: &Jwk) -> anyhow::Result<String> {
    // The public half comes without its name.
    let public = named(key.to_public_key()?, &name_of(key));
    Ok(json!({ "keys": [Value::Object(public.as_ref().clone())] }).to_string())
}
