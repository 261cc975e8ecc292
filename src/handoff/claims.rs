//! The claims of an assertion, each by its rule (docs/handoff.md). What libraries in Java, C# and PHP
//! write is read as it is meant: `null` for a claim that is not set, a whole number as a double.

use std::time::Duration;

use serde_json::{Map, Value};

use super::hints;
use super::trail::Trail;
use crate::model::refusal::Refusal;
use crate::time::Timestamp;

const MAX_LIFETIME_SECONDS: i64 = 60;
const NBF_SKEW_SECONDS: i64 = 5;
/// The largest instant that every JSON reader agrees on.
const MAX_SECONDS: i64 = (1 << 53) - 1;
/// The steps here, in their order.
pub(super) const STEPS: [&str; 16] = [
    "aud",
    "iat",
    "exp",
    "sub",
    "provider_code",
    "login_name",
    "jti",
    "auth_time",
    "amr",
    "acr",
    "target",
    "nbf",
    "exp after iat",
    "lifetime",
    "iat not in the future",
    "nbf not in the future",
];

const SECONDS: &str = "whole seconds since 1970 as a number, such as 1800000000";
const TEXT: &str = "a text of at least one character, without NUL";

/// What the verifier must know of us.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Our issuer identifier: the only audience.
    pub audience: &'a str,
    /// How far ahead of us the sender's clock may be (U14).
    pub future_skew: Duration,
}

/// What the claims say, as far as they are as they must be.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The issuer's stable id for the user.
    pub sub: Option<String>,
    /// Whose agency.
    pub provider_code: Option<String>,
    /// Who.
    pub login_name: Option<String>,
    /// The moment of the click.
    pub iat: Option<Timestamp>,
    /// The end of its life.
    pub exp: Option<Timestamp>,
    /// Once per issuer.
    pub jti: Option<String>,
    /// When the user signed in over there.
    pub auth_time: Option<Timestamp>,
    /// How.
    pub amr: Option<Vec<String>>,
    /// How surely.
    pub acr: Option<String>,
    /// Where to land.
    pub target: Option<String>,
}

/// Reads all claims but `iss`.
///
/// # Errors
/// The first that is not as it must be.
pub(super) fn check(
    claims: &Map<String, Value>,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Claims, Refusal> {
    let aud = claims.get("aud");
    let for_us = match aud {
        Some(Value::String(aud)) => aud == rules.audience,
        Some(Value::Array(auds)) => matches!(auds.as_slice(), [Value::String(aud)] if aud == rules.audience),
        _ => false,
    };
    trail.check("aud", for_us, Refusal::WrongAud, || hints::aud(aud, for_us, rules.audience))?;
    let mut read = Reader { claims, trail };
    let (iat, exp) = (read.required("iat", SECONDS, seconds)?, read.required("exp", SECONDS, seconds)?);
    let is_jti = |jti: &str| {
        (22..=128).contains(&jti.len()) && jti.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let found = Claims {
        sub: read.text("sub", "a text of 1 to 255 characters, without NUL", |sub| {
            (1..=255).contains(&sub.chars().count())
        })?,
        provider_code: read.text("provider_code", TEXT, |code| !code.is_empty())?,
        login_name: read.text("login_name", TEXT, |name| !name.is_empty())?,
        jti: read.text("jti", "a text of 22 to 128 characters of A-Z a-z 0-9 - _", is_jti)?,
        iat,
        exp,
        // Nobody signed in over there after the click; a later time would outlive every max_age.
        auth_time: read.optional("auth_time", SECONDS, seconds)?.map(|at| iat.map_or(at, |iat| at.min(iat))),
        amr: read.optional("amr", "an array of texts, such as [\"pwd\",\"otp\"]", texts)?,
        acr: read.optional("acr", "a text of at least one character", |value| {
            value.as_str().filter(|acr| !acr.is_empty()).map(str::to_owned)
        })?,
        target: read.optional("target", "a text", |value| value.as_str().map(str::to_owned))?,
    };
    let nbf = read.optional("nbf", SECONDS, seconds)?;
    check_times(&found, nbf, rules, now, trail)?;
    Ok(found)
}

fn check_times(
    claims: &Claims,
    nbf: Option<Timestamp>,
    rules: Rules<'_>,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    match (claims.iat, claims.exp) {
        (Some(iat), Some(exp)) => {
            let life = exp.seconds() - iat.seconds();
            let said = || hints::lifetime(life, iat, exp);
            trail.check("exp after iat", life > 0, Refusal::ExpBeforeIat, said)?;
            trail.check("lifetime", life <= MAX_LIFETIME_SECONDS, Refusal::LifetimeTooLong, || {
                format!("{}, at most {MAX_LIFETIME_SECONDS}", said())
            })?;
        }
        _ => trail.skip(&["exp after iat", "lifetime"], "it takes an iat and an exp"),
    }
    let skew = i64::try_from(rules.future_skew.as_millis()).unwrap_or(0);
    match claims.iat {
        Some(iat) => trail.check("iat not in the future", iat.0 - now.0 <= skew, Refusal::IssuedInFuture, || {
            hints::ahead(iat, now, skew)
        })?,
        None => trail.skip(&["iat not in the future"], "it takes an iat"),
    }
    let early = nbf.map_or(0, |nbf| nbf.0 - now.0);
    trail.check("nbf not in the future", early <= NBF_SKEW_SECONDS * 1000, Refusal::NotYetValid, || {
        nbf.map_or_else(|| "it is absent".into(), |nbf| hints::ahead(nbf, now, NBF_SKEW_SECONDS * 1000))
    })
}

/// A whole number, also where it is written as a double (`1795904356.0`, `1.795904356E9`): up to 2^53 a double holds it
/// exactly.
fn seconds(value: &Value) -> Option<Timestamp> {
    let whole = value.as_i64().or_else(|| {
        let double = value.as_f64().filter(|d| d.fract() == 0.0 && d.abs() <= 9_007_199_254_740_992.0)?;
        // Its digits without a point are those of the number; minus zero becomes zero.
        format!("{:.0}", double + 0.0).parse().ok()
    });
    whole.filter(|s| (0..=MAX_SECONDS).contains(s)).map(Timestamp::from_seconds)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let items = value.as_array()?;
    items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

struct Reader<'a> {
    claims: &'a Map<String, Value>,
    trail: &'a mut Trail,
}

impl Reader<'_> {
    /// `must` says what the claim must be.
    fn required<T>(
        &mut self,
        name: &'static str,
        must: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.claims.get(name) else {
            self.trail.check(name, false, Refusal::ClaimMissing, || format!("absent, must be {must}"))?;
            return Ok(None);
        };
        self.read(name, value, must, read)
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        must: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.claims.get(name).filter(|value| !value.is_null()) else {
            self.trail.check(name, true, Refusal::ClaimMissing, || "absent, which it may be".into())?;
            return Ok(None);
        };
        self.read(name, value, must, read)
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        value: &Value,
        must: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let found = read(value);
        self.trail.check(name, found.is_some(), Refusal::ClaimMalformed, || {
            if found.is_some() { hints::shown(Some(value)) } else { hints::malformed(value, must) }
        })?;
        Ok(found)
    }

    /// Text without NUL, which no name contains and PostgreSQL cannot store.
    fn text(&mut self, name: &'static str, must: &str, good: impl Fn(&str) -> bool) -> Result<Option<String>, Refusal> {
        self.required(name, must, |value| value.as_str().filter(|t| good(t) && !t.contains('\0')).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (written, wanted) in [
            ("1795904356", Some(1_795_904_356)),
            ("1795904356.0", Some(1_795_904_356)),
            ("1.795904356E9", Some(1_795_904_356)),
            ("1795904356000e-3", Some(1_795_904_356)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("9007199254740991", Some(MAX_SECONDS)),
            ("9007199254740991.0", Some(MAX_SECONDS)),
            ("9007199254740992", None),
            ("9007199254740992.0", None),
            ("1e300", None),
            ("1e-300", None),
            ("1795904356.5", None),
            ("1795904356.000001", None),
            ("-1", None),
            ("-1.0", None),
            ("\"1795904356\"", None),
            ("true", None),
            ("null", None),
            ("[1795904356]", None),
        ] {
            let value: Value = serde_json::from_str(written).unwrap();
            assert_eq!(seconds(&value).map(Timestamp::seconds), wanted, "{written}");
        }
    }
}
