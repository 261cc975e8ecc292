//! The strict verifier of handoff assertions (G11, surface.md *Handoff, on the wire*): pure, in the order of judging.
//!
//! Each step leaves a line on a [`Trail`], so that `handoff explain` says what this code does and nothing else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::cache::issuers::{Snapshot, Trusted};
use crate::crypto::jws::{Algorithm, Unverified};
use crate::crypto::secret::digest;
use crate::time::Timestamp;

/// The largest assertion.
pub const MAX_BYTES: usize = 8 * 1024;
const TYP: &str = "therap-handoff+jwt";
const MAX_LIFETIME_SECONDS: i64 = 60;
const NBF_SKEW_SECONDS: i64 = 5;
/// The largest instant that every JSON reader agrees on.
const MAX_SECONDS: i64 = (1 << 53) - 1;

/// What the verifier must know of us.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Our issuer identifier: the only audience.
    pub audience: &'a str,
    /// How far ahead of us the sender's clock may be (U14).
    pub future_skew: Duration,
}

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
    /// When the answer is late: the timeout after the click or the arrival, whichever was first, or at `exp` (U7).
    #[must_use]
    pub fn deadline(&self, received: Timestamp, timeout: Duration) -> Timestamp {
        self.iat.min(received).after(timeout).min(self.exp)
    }
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

/// One step of the verifier, for people.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was looked at.
    pub name: &'static str,
    /// How it stood; `None` when nothing was there to look at.
    pub passed: Option<bool>,
    /// What was found.
    pub detail: String,
}

/// Collects steps, or nothing at all.
#[derive(Debug, Default)]
pub struct Trail(Option<Vec<Step>>);

impl Trail {
    /// A trail that collects.
    #[must_use]
    pub const fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// The steps so far.
    #[must_use]
    pub fn into_steps(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }

    /// A step that must hold.
    ///
    /// # Errors
    /// The refusal, when it does not.
    pub fn check(
        &mut self,
        name: &'static str,
        holds: bool,
        refusal: Refusal,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if let Some(steps) = &mut self.0 {
            let detail = if holds { detail() } else { format!("{refusal}: {}: {}", refusal.label(), detail()) };
            steps.push(Step { name, passed: Some(holds), detail });
        }
        if holds { Ok(()) } else { Err(refusal) }
    }
}

/// Verifies an assertion against the trusted issuers, in the order of judging.
///
/// # Errors
/// The first step that does not hold. Whether it is late is judged by the caller, from [`Assertion::deadline`].
pub fn verify(
    text: &str,
    snapshot: &Snapshot,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Assertion, Rejected> {
    let jws = read_form(text, trail)?;
    let kid = check_header(&jws.header, trail)?;
    let claims = jws.claims().map_err(|fault| Refusal::of_json(fault, Refusal::ClaimsNotJson));
    trail.check("claims", claims.is_ok(), *claims.as_ref().err().unwrap_or(&Refusal::ClaimsNotJson), || {
        "one JSON object without repeated members".into()
    })?;
    let claims = claims?;
    let trusted = check_signature(&jws, &claims, &kid, snapshot, trail)?;
    check_claims(&claims, &trusted, rules, now, trail).map_err(|refusal| {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(shorten);
        Rejected {
            refusal,
            signed: Some(Box::new(Signed {
                trusted: Arc::clone(&trusted),
                provider_code: text("provider_code"),
                login_name: text("login_name"),
                digest: digest(jws.signing_input()),
            })),
        }
    })
}

/// Names in a record are bounded, and PostgreSQL has no place for NUL.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(255).collect()
}

fn read_form<'a>(text: &'a str, trail: &mut Trail) -> Result<Unverified<'a>, Refusal> {
    let parsed = Unverified::parse(text, MAX_BYTES).map_err(Refusal::from);
    let refusal = parsed.as_ref().err().copied().unwrap_or(Refusal::NotCompactJws);
    trail.check("form", parsed.is_ok(), refusal, || {
        format!("{} bytes in {} parts, at most {MAX_BYTES} in 3", text.len(), text.split('.').count())
    })?;
    parsed
}

fn check_header(header: &Map<String, Value>, trail: &mut Trail) -> Result<String, Refusal> {
    let extra = header.keys().find(|name| !matches!(name.as_str(), "typ" | "alg" | "kid"));
    trail.check("header members", extra.is_none(), Refusal::HeaderMemberNotAllowed, || {
        extra.map_or_else(|| "typ, alg and kid alone".into(), |name| format!("\"{name}\" is not allowed"))
    })?;
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    trail.check("header typ", text("typ") == Some(TYP), Refusal::WrongTyp, || {
        format!("{}, must be {TYP:?}", shown(header.get("typ")))
    })?;
    trail.check("header alg", header.contains_key("alg"), Refusal::AlgMissing, || shown(header.get("alg")))?;
    let allowed = text("alg").is_some_and(|alg| alg.parse::<Algorithm>().is_ok());
    trail.check("header alg allowed", allowed, Refusal::AlgNotAllowed, || {
        format!("{}, of ES256, PS256, RS256, EdDSA", shown(header.get("alg")))
    })?;
    let kid = text("kid").filter(|kid| !kid.is_empty());
    trail.check("header kid", kid.is_some(), Refusal::KidMissing, || shown(header.get("kid")))?;
    Ok(kid.unwrap_or_default().to_owned())
}

fn check_signature(
    jws: &Unverified<'_>,
    claims: &Map<String, Value>,
    kid: &str,
    snapshot: &Snapshot,
    trail: &mut Trail,
) -> Result<Arc<Trusted>, Refusal> {
    let trusted = claims.get("iss").and_then(Value::as_str).and_then(|iss| snapshot.issuer(iss));
    trail.check("iss", trusted.is_some(), Refusal::UnknownIssuer, || {
        format!("{}, a trusted issuer", shown(claims.get("iss")))
    })?;
    let trusted = trusted.ok_or(Refusal::UnknownIssuer)?;
    trail.check("issuer switched on", trusted.issuer.enabled, Refusal::IssuerDisabled, || {
        trusted.issuer.display_name.clone()
    })?;
    let key = trusted.keys.get(kid);
    trail.check("kid known", key.is_some(), Refusal::UnknownKid, || {
        let names: Vec<String> = trusted.keys.names().into_iter().map(|(kid, alg)| format!("{kid} ({alg})")).collect();
        format!("{kid:?}, of {}", names.join(", "))
    })?;
    let key = key.ok_or(Refusal::UnknownKid)?;
    let fits = jws.header.get("alg").and_then(Value::as_str) == Some(key.algorithm().name());
    trail.check("alg of the key", fits, Refusal::AlgDoesNotFitKey, || key.algorithm().name().into())?;
    trail.check("signature", key.verify(jws), Refusal::BadSignature, || format!("by key {kid:?}"))?;
    Ok(Arc::clone(trusted))
}

fn check_claims(
    claims: &Map<String, Value>,
    trusted: &Arc<Trusted>,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Assertion, Refusal> {
    let for_us = match claims.get("aud") {
        Some(Value::String(aud)) => aud == rules.audience,
        Some(Value::Array(auds)) => matches!(auds.as_slice(), [Value::String(aud)] if aud == rules.audience),
        _ => false,
    };
    trail.check("aud", for_us, Refusal::WrongAud, || {
        format!("{}, must be {:?}", shown(claims.get("aud")), rules.audience)
    })?;
    let mut read = Reader { claims, trail };
    let (iat, exp) = (read.required("iat", seconds)?, read.required("exp", seconds)?);
    let assertion = Assertion {
        trusted: Arc::clone(trusted),
        sub: read.text("sub", |sub| (1..=255).contains(&sub.chars().count()))?,
        provider_code: read.text("provider_code", |code| !code.is_empty())?,
        login_name: read.text("login_name", |name| !name.is_empty())?,
        jti: read.text("jti", |jti| {
            (22..=128).contains(&jti.len())
                && jti.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })?,
        iat,
        exp,
        // Nobody signed in over there after the click; a later time would outlive every max_age.
        auth_time: read.optional("auth_time", seconds)?.map(|auth_time| auth_time.min(iat)),
        amr: read.optional("amr", texts)?,
        acr: read.optional("acr", |value| value.as_str().filter(|acr| !acr.is_empty()).map(str::to_owned))?,
        target: read.optional("target", |value| value.as_str().map(str::to_owned))?,
    };
    let nbf = read.optional("nbf", seconds)?;
    check_times(&assertion, nbf, rules, now, trail)?;
    Ok(assertion)
}

fn check_times(
    assertion: &Assertion,
    nbf: Option<Timestamp>,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    let life = assertion.exp.seconds() - assertion.iat.seconds();
    trail.check("exp after iat", life > 0, Refusal::ExpBeforeIat, || format!("{life} seconds"))?;
    trail.check("lifetime", life <= MAX_LIFETIME_SECONDS, Refusal::LifetimeTooLong, || {
        format!("{life} seconds, at most {MAX_LIFETIME_SECONDS}")
    })?;
    let ahead = assertion.iat.0 - now.0;
    let skew = i64::try_from(rules.future_skew.as_millis()).unwrap_or(0);
    trail.check("iat not in the future", ahead <= skew, Refusal::IssuedInFuture, || {
        format!("{:.1} seconds ahead of our clock, at most {}", ahead_seconds(ahead), skew / 1000)
    })?;
    let early = nbf.map_or(0, |nbf| nbf.0 - now.0);
    trail.check("nbf", early <= NBF_SKEW_SECONDS * 1000, Refusal::NotYetValid, || {
        nbf.map_or_else(|| "absent, which is fine".into(), Timestamp::rfc3339)
    })
}

#[expect(clippy::cast_precision_loss, reason = "shown to people with one digit")]
fn ahead_seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn seconds(value: &Value) -> Option<Timestamp> {
    // as_i64 refuses every number written with a point or an exponent.
    value.as_i64().filter(|s| (0..=MAX_SECONDS).contains(s)).map(Timestamp::from_seconds)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array()?;
    items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".into(), |value| value.to_string().chars().take(120).collect())
}

struct Reader<'a> {
    claims: &'a Map<String, Value>,
    trail: &'a mut Trail,
}

impl Reader<'_> {
    fn required<T>(&mut self, name: &'static str, read: impl Fn(&Value) -> Option<T>) -> Result<T, Refusal> {
        match self.optional(name, read)? {
            Some(value) => Ok(value),
            None => Err(self
                .trail
                .check(name, false, Refusal::ClaimMissing, || shown(None))
                .err()
                .unwrap_or(Refusal::ClaimMissing)),
        }
    }

    fn optional<T>(&mut self, name: &'static str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Refusal> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let found = read(value);
        self.trail.check(name, found.is_some(), Refusal::ClaimMalformed, || shown(Some(value)))?;
        Ok(found)
    }

    /// Text without NUL, which no name contains and PostgreSQL cannot store.
    fn text(&mut self, name: &'static str, good: impl Fn(&str) -> bool) -> Result<String, Refusal> {
        self.required(name, |value| value.as_str().filter(|t| good(t) && !t.contains('\0')).map(str::to_owned))
    }
}
