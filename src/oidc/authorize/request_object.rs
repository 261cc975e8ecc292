//! A request object by value (OpenID Connect Core §6.1). None is supported; how it asks to be answered is read all the
//! same, so that a client which waits for a form or for its `state` can read the refusal.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::crypto::strict_json;
use crate::model::authorization::ResponseMode;
use crate::oidc::params::MAX_TEXT;

/// A longer object is not read.
const MAX_BYTES: usize = 16 * 1024;

/// How the refusal of an object is to be sent, as far as the object says. Nobody verified it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unverified {
    pub(super) response_mode: Option<ResponseMode>,
    pub(super) state: Option<String>,
}

impl Unverified {
    /// Reads an object; what cannot be read says nothing.
    pub(super) fn read(object: &str) -> Self {
        let claims = claims(object).unwrap_or_default();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        Self {
            response_mode: text("response_mode").and_then(|mode| mode.parse().ok()),
            state: text("state").filter(|state| (1..=MAX_TEXT).contains(&state.len())).map(str::to_owned),
        }
    }
}

/// The claims of a JWT, signed or not.
fn claims(object: &str) -> Option<Map<String, Value>> {
    if object.len() > MAX_BYTES {
        return None;
    }
    let [_, claims, _] = object.split('.').collect::<Vec<_>>()[..] else {
        return None;
    };
    strict_json::parse_object(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(claims: &str) -> Unverified {
        Unverified::read(&format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn what_an_object_says_is_read_strictly_and_within_bounds() {
        let whole =
            read(r#"{"response_mode":"form_post","state":"a \"state\"","redirect_uri":"https://evil.example/"}"#);
        let wanted = Unverified { response_mode: Some(ResponseMode::FormPost), state: Some("a \"state\"".to_owned()) };
        assert_eq!(whole, wanted);
        let long = format!(r#"{{"state":"{}"}}"#, "s".repeat(MAX_TEXT + 1));
        let padded = format!(r#"{{"state":"s","x":"{}"}}"#, "x".repeat(MAX_BYTES));
        for nothing in [
            r#"{"state":"a","state":"b"}"#,
            r#"{"response_mode":"pigeon","state":""}"#,
            r#"{"response_mode":["form_post"],"state":5}"#,
            r#"["form_post"]"#,
            "{",
            &long,
            &padded,
        ] {
            assert_eq!(read(nothing), Unverified::default(), "{nothing}");
        }
        for nothing in ["", "x", "e30.e30", "e30.eyJzdGF0ZSI6InMifQ.x.y", "e30.%%.x"] {
            assert_eq!(Unverified::read(nothing), Unverified::default(), "{nothing}");
        }
    }
}
