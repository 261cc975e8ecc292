//! What `handoff explain` says beside a step, for the people who build the sending side: what a value must be, and what
//! was probably meant. Nothing here decides anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::cache::issuers::{Snapshot, Trusted};
use crate::crypto::ecdsa_der;
use crate::crypto::jws::{Algorithm, Malformed, Unverified, VerifyingKey};
use crate::crypto::key_set::VerifyingKeys;
use crate::model::refusal::MAX_BYTES;
use crate::time::Timestamp;

/// From here on a number of seconds is more likely one of milliseconds: the year 5138, or 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// A value as it stands, as much of it as is shown.
pub(super) fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".into(), |value| bounded(&value.to_string()))
}

/// A value, and what it must be where it is not that.
pub(super) fn found(value: Option<&Value>, must: &str, is: Option<&str>) -> String {
    if is == Some(must) { shown(value) } else { format!("{}, must be {}", shown(value), quoted(must)) }
}

pub(super) fn quoted(text: &str) -> String {
    bounded(&Value::from(text).to_string())
}

fn bounded(text: &str) -> String {
    text.chars().take(120).collect()
}

pub(super) fn form(text: &str) -> String {
    format!("{} bytes in {} parts, at most {MAX_BYTES} in 3", text.len(), text.split('.').count())
}

pub(super) fn malformed_form(text: &str, fault: Malformed) -> String {
    let must = match fault {
        Malformed::TooLarge => "it is too long",
        Malformed::NotCompact if text.trim_start().starts_with('{') => {
            "this is JSON: send the compact form, header.claims.signature"
        }
        Malformed::NotCompact if text.split('.').count() == 5 => "this is encrypted: sign it, and do no more",
        Malformed::NotCompact => "it must be header.claims.signature, none of them empty",
        Malformed::NotCanonicalBase64Url if text.contains(char::is_whitespace) => {
            "there is white space or a line end in it: send the text alone"
        }
        Malformed::NotCanonicalBase64Url if text.starts_with("assertion=") => {
            "this is a form: give what stands behind assertion="
        }
        Malformed::NotCanonicalBase64Url if text.split('.').any(|part| part.ends_with('=')) => {
            "remove the padding \"=\""
        }
        Malformed::NotCanonicalBase64Url if text.contains(['+', '/']) => {
            "this is base64: write base64url, \"-\" for \"+\" and \"_\" for \"/\""
        }
        Malformed::NotCanonicalBase64Url => "a part is not base64url as a library writes it",
        Malformed::Header(_) => "the first part must be one JSON object without repeated members",
    };
    format!("{}: {must}", form(text))
}

/// The text as it was probably meant, so that what follows can be checked too. A header that is none becomes an empty
/// one.
pub(super) fn mended(text: &str) -> String {
    let part = |part: &str| {
        let bare = part.trim_end_matches('=').replace('+', "-").replace('/', "_");
        // The last character may have bits to spare.
        let spare = base64::engine::GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone);
        let lenient = base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, spare);
        lenient.decode(&bare).map_or(bare, |bytes| URL_SAFE_NO_PAD.encode(bytes))
    };
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let whole: Vec<String> = text.split('.').map(part).collect();
    match Unverified::parse(&whole.join("."), usize::MAX) {
        Err(Malformed::Header(_)) => {
            ["e30".to_owned()].into_iter().chain(whole.into_iter().skip(1)).collect::<Vec<_>>().join(".")
        }
        Ok(_) | Err(Malformed::TooLarge | Malformed::NotCompact | Malformed::NotCanonicalBase64Url) => whole.join("."),
    }
}

/// What is the same but for case, white space, or a slash at its end.
fn nearly(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim().trim_end_matches('/').to_lowercase();
    one != other && plain(one) == plain(other)
}

pub(super) fn iss(iss: Option<&Value>, snapshot: &Snapshot) -> String {
    let said = iss.and_then(Value::as_str);
    let names: Vec<&str> = snapshot.issuers.iter().map(|trusted| trusted.issuer.issuer.as_str()).collect();
    if said.is_some_and(|iss| names.contains(&iss)) {
        return shown(iss);
    }
    let list = names.iter().take(20).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { "none is trusted yet".into() } else { format!("must be one of {list}") };
    match said.and_then(|iss| names.iter().find(|name| nearly(iss, name))) {
        Some(meant) => format!("{}, {list}: probably {} is meant, letter by letter", shown(iss), quoted(meant)),
        None => format!("{}, {list}", shown(iss)),
    }
}

pub(super) fn kid(kid: &str, trusted: &Trusted) -> String {
    let keys = &trusted.keys;
    if keys.get(kid).is_some() {
        return quoted(kid);
    }
    let names = keys.names();
    let list: Vec<String> = names.iter().map(|(kid, alg)| format!("{} ({alg})", quoted(kid))).collect();
    let list = if list.is_empty() {
        "the issuer has no key here yet".into()
    } else {
        format!("must be one of {}", list.join(", "))
    };
    let meant = names.iter().find(|(name, _)| nearly(kid, name));
    let meant = meant.map(|(name, _)| format!(": probably {} is meant, letter by letter", quoted(name)));
    let called = format!("({:?})", kid.chars().filter(|c| !c.is_control()).take(60).collect::<String>());
    let skipped = keys.skipped().iter().find(|why| why.contains(&called)).map(|why| format!(". In its set {why}"));
    format!("{}, {list}{}{}", quoted(kid), meant.unwrap_or_default(), skipped.unwrap_or_default())
}

/// Which of the issuer's keys made a signature, if one did.
pub(super) fn signer(jws: &Unverified<'_>, keys: &VerifyingKeys) -> Option<String> {
    let by = keys.iter().find(|(_, key)| key.verify(jws));
    by.map(|(kid, key)| format!("it was made with key {} ({}): name that one", quoted(kid), key.algorithm().name()))
}

pub(super) fn signature(
    jws: &Unverified<'_>,
    text: &str,
    key: &VerifyingKey,
    kid: &str,
    keys: &VerifyingKeys,
) -> String {
    let length = jws.signature().len();
    if key.algorithm() == Algorithm::Es256
        && let Some(raw) = ecdsa_der::raw(jws.signature())
    {
        let how = "it is written as ASN.1 DER: write r and s, 32 bytes each (Java: SHA256withECDSAinP1363Format; .NET: \
                   DSASignatureFormat.IeeeP1363FixedFieldConcatenation; OpenSSL and others: convert it)";
        return if key.verify_bytes(jws.signing_input().as_bytes(), &raw) {
            format!("{how}. It is right otherwise")
        } else {
            format!("{how}. It was not made with key {} either", quoted(kid))
        };
    }
    if let Some(by) = signer(jws, keys) {
        return by;
    }
    let sent = text.trim().rsplit_once('.').map(|(signed, _)| signed);
    if sent.is_some_and(|sent| key.verify_bytes(sent.as_bytes(), jws.signature())) {
        return "it fits the text as it was sent: write the parts as said above, then sign".into();
    }
    match key.algorithm() {
        Algorithm::Es256 | Algorithm::EdDsa if length != 64 => format!("it is {length} bytes, must be 64"),
        Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Ps256 | Algorithm::Rs256 => format!(
            "it does not fit key {}: another private key made it, or the text was changed after signing",
            quoted(kid)
        ),
    }
}

pub(super) fn aud(aud: Option<&Value>, for_us: bool, audience: &str) -> String {
    if for_us {
        return shown(aud);
    }
    let why = match aud {
        Some(Value::String(aud)) if nearly(aud, audience) => {
            ": they differ in a slash at the end, in case or in white space"
        }
        Some(Value::Array(auds)) if auds.iter().any(|aud| aud == audience) => ": alone, without another beside it",
        _ => "",
    };
    format!("{}, must be {}{why}", shown(aud), quoted(audience))
}

/// A claim that is not what it must be.
pub(super) fn malformed(value: &Value, must: &str) -> String {
    let hint = match value {
        Value::Null => ": null is no value",
        Value::String(text) if must.contains("number") && text.parse::<f64>().is_ok() => ": write it without quotes",
        Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() != 0.0) => ": round it down",
        Value::Number(_) if must.starts_with("a text") => ": write it in quotes",
        Value::String(text) if must.starts_with("a text") && must.contains("22 to 128") => {
            return format!("{} ({} characters), must be {must}", shown(Some(value)), text.chars().count());
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => "",
    };
    format!("{}, must be {must}{hint}", shown(Some(value)))
}

fn in_milliseconds(at: Timestamp) -> bool {
    seconds(at.0) >= MILLISECONDS_FROM
}

pub(super) fn lifetime(life: i64, iat: Timestamp, exp: Timestamp) -> String {
    let hint =
        if in_milliseconds(iat) || in_milliseconds(exp) { " (milliseconds? iat and exp must be seconds)" } else { "" };
    format!("{life} seconds from iat to exp{hint}")
}

pub(super) fn ahead(at: Timestamp, now: Timestamp, skew_ms: i64) -> String {
    if in_milliseconds(at) {
        return format!("{}: milliseconds? It must be seconds", at.seconds());
    }
    let (ahead, most) = (seconds(at.0.saturating_sub(now.0)), seconds(skew_ms));
    if ahead > most {
        format!(
            "{}, which is {ahead:.1} seconds ahead, must be at most {most:.0}: set the sender's clock by NTP",
            at.rfc3339()
        )
    } else {
        at.rfc3339()
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people with one digit")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_meant_is_what_a_library_would_have_written() {
        for (sent, meant) in [
            ("e30.e30.AA", "e30.e30.AA"),
            ("e30=.e30=.AA==\n", "e30.e30.AA"),
            (" e30.\r\ne30.A+/_ ", "e30.e30.A-__"),
            ("e30.e30.AB", "e30.e30.AA"),
            ("W10.e30.AA", "e30.e30.AA"),
            ("x", "x"),
        ] {
            assert_eq!(mended(sent), meant, "{sent}");
        }
    }

    #[test]
    fn a_number_of_milliseconds_is_recognised() {
        let (second, milli) = (Timestamp::from_seconds(1_800_000_000), Timestamp::from_seconds(1_800_000_000_000));
        assert!(lifetime(30_000, milli, milli).contains("milliseconds?"));
        assert!(!lifetime(61, second, second).contains("milliseconds?"));
        assert!(ahead(milli, second, 5000).contains("milliseconds?"));
    }
}
