//! The strict verifier of handoff assertions (G11, docs/handoff.md): pure, in the order of the checks.
//!
//! Each step leaves a line on a [`Trail`], so that `handoff explain` says what this code does and nothing else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

pub use super::claims::Rules;
use super::claims::{self, Claims};
use super::hints;
pub use super::trail::{Outcome, Step, Trail};
use crate::cache::issuers::{Snapshot, Trusted};
use crate::crypto::jws::{Algorithm, Malformed, Unverified};
use crate::crypto::secret::digest;
pub use crate::model::refusal::MAX_BYTES;
use crate::model::refusal::Refusal;
use crate::time::Timestamp;

const TYP: &str = "therap-handoff+jwt";

/// The steps of the header, and those of issuer, key and signature, in their order.
const HEADER: [&str; 5] = ["header members", "header typ", "header alg", "header alg allowed", "header kid"];
const SIGNATURE: [&str; 5] = ["iss", "issuer switched on", "kid known", "alg of the key", "signature"];

/// An assertion whose every word is proven: from here on, facts.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Who signed it.
    pub trusted: Arc<Trusted>,
    /// The issuer's stable id for the user.
    pub sub: String,
    /// Whose agency.
    pub provider_code: String,
    /// Who.
    pub login_name: String,
    /// The moment of the click.
    pub iat: Timestamp,
    /// The end of its life.
    pub exp: Timestamp,
    /// Once per issuer.
    pub jti: String,
    /// When the user signed in over there.
    pub auth_time: Option<Timestamp>,
    /// How.
    pub amr: Option<Vec<String>>,
    /// How surely.
    pub acr: Option<String>,
    /// Where to land.
    pub target: Option<String>,
}

impl Assertion {
    fn of(trusted: Arc<Trusted>, claims: Claims) -> Option<Self> {
        Some(Self {
            trusted,
            sub: claims.sub?,
            provider_code: claims.provider_code?,
            login_name: claims.login_name?,
            iat: claims.iat?,
            exp: claims.exp?,
            jti: claims.jti?,
            auth_time: claims.auth_time,
            amr: claims.amr,
            acr: claims.acr,
            target: claims.target,
        })
    }

    /// When the answer is late: the timeout after the click or the arrival, whichever was first, or at `exp` (U7).
    #[must_use]
    pub fn deadline(&self, received: Timestamp, timeout: Duration) -> Timestamp {
        late_at(self.iat, self.exp, received, timeout)
    }
}

/// When the answer to a click is late (U7): `timeout` after it was minted or received, whichever was first, and no
/// later than `exp`. At that very instant it is late.
pub(super) fn late_at(iat: Timestamp, exp: Timestamp, received: Timestamp, timeout: Duration) -> Timestamp {
    iat.min(received).after(timeout).min(exp)
}

/// An assertion that is refused, and what may be said of it in the record.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Why.
    pub refusal: Refusal,
    /// Present from a trusted signature on.
    pub signed: Option<Box<Signed>>,
}

/// What a trusted signature vouches for although the assertion is refused.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Who signed it.
    pub trusted: Arc<Trusted>,
    /// Whose agency, if it says.
    pub provider_code: Option<String>,
    /// Who, if it says.
    pub login_name: Option<String>,
    /// Tells this assertion from every other.
    pub digest: String,
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, signed: None }
    }
}

/// What could be read of an assertion. Where the trail is kept this proves nothing: see [`Trail::first_wrong`].
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// Whom its `iss` names.
    pub trusted: Option<Arc<Trusted>>,
    /// What it says.
    pub claims: Claims,
}

/// Verifies an assertion against the trusted issuers, in the order of the checks.
///
/// # Errors
/// The first step that does not hold. Whether it is late is checked by the caller, from [`Assertion::deadline`].
pub fn verify(
    text: &str,
    snapshot: &Snapshot,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Assertion, Rejected> {
    let Examined { trusted, claims } = examine(text, snapshot, rules, now, trail)?;
    if let Some(refusal) = trail.first_wrong() {
        return Err(refusal.into());
    }
    trusted.and_then(|trusted| Assertion::of(trusted, claims)).ok_or_else(|| Refusal::ClaimMissing.into())
}

/// Takes every step of the verifier.
///
/// # Errors
/// The first step that does not hold, unless the trail is kept: then there is none.
pub(super) fn examine(
    text: &str,
    snapshot: &Snapshot,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Examined, Rejected> {
    let mended;
    let (jws, header_is_known) = match Unverified::parse(text, MAX_BYTES) {
        Ok(jws) => {
            trail.check("form", true, Refusal::NotCompactJws, || hints::form(text))?;
            (jws, true)
        }
        Err(fault) => {
            trail.check("form", false, fault.into(), || hints::malformed_form(text, fault))?;
            mended = hints::mended(text);
            match Unverified::parse(&mended, usize::MAX) {
                Ok(jws) => (jws, !matches!(fault, Malformed::Header(_))),
                Err(_) => return Ok(unreadable(trail)),
            }
        }
    };
    let kid = if header_is_known {
        check_header(&jws.header, trail)?
    } else {
        trail.skip(&HEADER, "the header cannot be read");
        None
    };
    let claims = jws.claims().map_err(|fault| Refusal::of_json(fault, Refusal::ClaimsNotJson));
    trail.check("claims", claims.is_ok(), *claims.as_ref().err().unwrap_or(&Refusal::ClaimsNotJson), || {
        "one JSON object without repeated members, at most 8 levels deep".into()
    })?;
    let Ok(claims) = claims else {
        trail.skip(&SIGNATURE, "the claims cannot be read, so that nobody knows whose keys to take");
        trail.skip(&claims::STEPS, "the claims cannot be read");
        return Ok(Examined::default());
    };
    let trusted = check_signature(&jws, text, &claims, kid.as_deref(), snapshot, trail)?;
    let found = claims::check(&claims, rules, now, trail).map_err(|refusal| Rejected {
        refusal,
        signed: trusted.clone().map(|trusted| Box::new(signed(trusted, &claims, &jws))),
    })?;
    Ok(Examined { trusted, claims: found })
}

fn unreadable(trail: &mut Trail) -> Examined {
    trail.skip(&HEADER, "the form cannot be read");
    trail.skip(&["claims"], "the form cannot be read");
    trail.skip(&SIGNATURE, "the form cannot be read");
    trail.skip(&claims::STEPS, "the form cannot be read");
    Examined::default()
}

fn signed(trusted: Arc<Trusted>, claims: &Map<String, Value>, jws: &Unverified<'_>) -> Signed {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(shorten);
    Signed {
        trusted,
        provider_code: text("provider_code"),
        login_name: text("login_name"),
        digest: digest(jws.signing_input()),
    }
}

/// Names in a record are bounded, and PostgreSQL has no place for NUL.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(255).collect()
}

fn check_header(header: &Map<String, Value>, trail: &mut Trail) -> Result<Option<String>, Refusal> {
    let extra = || header.keys().filter(|name| !matches!(name.as_str(), "typ" | "alg" | "kid"));
    trail.check("header members", extra().next().is_none(), Refusal::HeaderMemberNotAllowed, || {
        let names: Vec<String> = extra().map(|name| hints::quoted(name)).collect();
        if names.is_empty() {
            "typ, alg and kid alone".into()
        } else {
            format!("{} must not be there", names.join(", "))
        }
    })?;
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let (typ, alg) = (header.get("typ"), header.get("alg"));
    trail.check("header typ", text("typ") == Some(TYP), Refusal::WrongTyp, || hints::found(typ, TYP, text("typ")))?;
    trail.check("header alg", alg.is_some(), Refusal::AlgMissing, || hints::shown(alg))?;
    let allowed = text("alg").is_some_and(|alg| alg.parse::<Algorithm>().is_ok());
    trail.check("header alg allowed", allowed, Refusal::AlgNotAllowed, || {
        let must = if allowed { "" } else { ", must be ES256, PS256, RS256 or EdDSA" };
        format!("{}{must}", hints::shown(alg))
    })?;
    let kid = text("kid").filter(|kid| !kid.is_empty());
    trail.check("header kid", kid.is_some(), Refusal::KidMissing, || {
        let must = if kid.is_some() { "" } else { ", must be the kid of the key that signs" };
        format!("{}{must}", hints::shown(header.get("kid")))
    })?;
    Ok(kid.map(str::to_owned))
}

fn check_signature(
    jws: &Unverified<'_>,
    text: &str,
    claims: &Map<String, Value>,
    kid: Option<&str>,
    snapshot: &Snapshot,
    trail: &mut Trail,
) -> Result<Option<Arc<Trusted>>, Refusal> {
    let trusted = claims.get("iss").and_then(Value::as_str).and_then(|iss| snapshot.issuer(iss));
    trail.check("iss", trusted.is_some(), Refusal::UnknownIssuer, || hints::iss(claims.get("iss"), snapshot))?;
    let Some(trusted) = trusted else {
        trail.skip(&SIGNATURE[1..], "nobody knows whose keys to take");
        return Ok(None);
    };
    let found = Some(Arc::clone(trusted));
    trail.check("issuer switched on", trusted.issuer.enabled, Refusal::IssuerDisabled, || {
        trusted.issuer.display_name.clone()
    })?;
    let Some(kid) = kid else {
        trail.skip(&SIGNATURE[2..], "the header names no key");
        return Ok(found);
    };
    let key = trusted.keys.get(kid);
    trail.check("kid known", key.is_some(), Refusal::UnknownKid, || hints::kid(kid, trusted))?;
    let Some(key) = key else {
        trail.skip(&SIGNATURE[3..4], "there is no such key");
        trail
            .skip(&SIGNATURE[4..], &hints::signer(jws, &trusted.keys).unwrap_or_else(|| "there is no such key".into()));
        return Ok(found);
    };
    let alg = jws.header.get("alg");
    let fits = alg.and_then(Value::as_str) == Some(key.algorithm().name());
    trail.check("alg of the key", fits, Refusal::AlgDoesNotFitKey, || {
        hints::found(alg, key.algorithm().name(), alg.and_then(Value::as_str))
    })?;
    if fits {
        let good = key.verify(jws);
        trail.check("signature", good, Refusal::BadSignature, || {
            if good {
                format!("by key {}", hints::quoted(kid))
            } else {
                hints::signature(jws, text, key, kid, &trusted.keys)
            }
        })?;
    } else {
        trail.skip(&SIGNATURE[4..], "the key is for another algorithm");
    }
    Ok(found)
}
