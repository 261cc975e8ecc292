//! What is read of a request: the body, the query, the versions that may be written over. And an answer, with its type.

use std::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::error::{ScimError, ScimType};
use crate::app::App;
use crate::crypto::strict_json;
use crate::model::header_text;
use crate::web::ids::checked;
use crate::web::oauth_error::data;

/// The type of what is sent and answered (RFC 7644 §3.1).
pub const SCIM_JSON: &str = "application/scim+json";
/// A bulk request holds bodies of PATCH.
const MOST_DEPTH: usize = 16;

/// The body: one JSON object, no member twice.
#[derive(Debug)]
pub struct Body(pub Map<String, Value>);

impl FromRequest<App> for Body {
    type Rejection = ScimError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ScimError> {
        if ![SCIM_JSON, "application/json"].iter().any(|one| header_text::is_of_type(request.headers(), one)) {
            return Err(ScimError::unsupported());
        }
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ScimError::too_large("The body is too large.")
            } else {
                ScimError::bad(ScimType::InvalidSyntax, "The body cannot be read.")
            }
        })?;
        let members = strict_json::parse_object_within(&bytes, MOST_DEPTH);
        members.map(Self).map_err(|fault| {
            ScimError::bad(ScimType::InvalidSyntax, format!("The body must be one JSON object: {fault}."))
        })
    }
}

/// The id in a path. What cannot be one is as unknown as any other.
#[derive(Debug)]
pub struct Id(pub String);

impl FromRequestParts<App> for Id {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ScimError> {
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| ScimError::not_found())?;
        checked(&text).map(Self).ok_or_else(ScimError::not_found)
    }
}

/// The parameters of a query, each once. Those that nobody knows are passed over.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl FromRequestParts<App> for Query {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ScimError> {
        let text = parts.uri.query().unwrap_or_default();
        Ok(Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// A parameter that is there and not empty.
    ///
    /// # Errors
    /// 400 when it is there twice.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ScimError> {
        let mut values =
            self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(ScimError::bad(ScimType::InvalidSyntax, format!("{name} stands there twice.")));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// A number.
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn number(&self, name: &str) -> Result<Option<i64>, ScimError> {
        let number = |text| i64::from_str(text).map_err(|_| ScimError::invalid(name, "is a number"));
        self.text(name)?.map(number).transpose()
    }
}

/// Which versions may be written over, or need not be sent again.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    any: bool,
    tags: Vec<Vec<u8>>,
}

impl Versions {
    fn of(headers: &HeaderMap, name: HeaderName) -> Self {
        let tags: Vec<_> = header_text::items(headers, name, b',').map(<[u8]>::to_owned).collect();
        Self { any: tags.iter().any(|tag| *tag == *b"*"), tags }
    }

    /// The version that an operation of a bulk request names.
    pub fn named(version: Option<&str>) -> Self {
        let tags = version.map(|version| vec![version.as_bytes().to_owned()]).unwrap_or_default();
        Self { any: version == Some("*"), tags }
    }

    fn has(&self, version: &str) -> bool {
        self.any || self.tags.iter().any(|tag| core(tag) == core(version.as_bytes()))
    }

    /// Goes on only when nothing is demanded, or this version is among what is.
    ///
    /// # Errors
    /// 412 when it is not.
    pub fn allow(&self, version: &str) -> Result<(), ScimError> {
        if self.tags.is_empty() || self.has(version) { Ok(()) } else { Err(ScimError::stale()) }
    }
}

/// The letters and digits of a version as we gave it, whatever a proxy that compresses made of it: `W/"x-gzip"`.
fn core(tag: &[u8]) -> &[u8] {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let tag = tag.strip_prefix(b"\"").unwrap_or(tag);
    let end = tag.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(tag.len());
    tag.get(..end).unwrap_or(tag)
}

/// `If-Match`, which may be absent.
#[derive(Clone, Debug)]
pub struct IfMatch(pub Versions);

impl FromRequestParts<App> for IfMatch {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ScimError> {
        Ok(Self(Versions::of(&parts.headers, header::IF_MATCH)))
    }
}

/// `If-None-Match` of a reader.
#[derive(Clone, Debug)]
pub struct IfNoneMatch(Versions);

impl IfNoneMatch {
    /// Whether the reader has this version already.
    pub fn has(&self, version: &str) -> bool {
        self.0.has(version)
    }
}

impl FromRequestParts<App> for IfNoneMatch {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ScimError> {
        Ok(Self(Versions::of(&parts.headers, header::IF_NONE_MATCH)))
    }
}

/// An answer of SCIM's type.
pub fn answer(status: StatusCode, body: Value) -> Response {
    let mut response = data((status, Json(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON));
    response
}

/// The answer without a body.
pub fn nothing(status: StatusCode) -> Response {
    data(status.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_again_whatever_a_proxy_made_of_it() {
        let ours = "W/\"abc7\"";
        for seen in ["W/\"abc7\"", "\"abc7\"", "W/\"abc7-gzip\"", "\"abc7;gzip\"", "*"] {
            assert!(Versions::named(Some(seen)).allow(ours).is_ok(), "{seen}");
        }
        for other in ["W/\"abc8\"", "\"abc\"", "\"\"", "x"] {
            assert!(Versions::named(Some(other)).allow(ours).is_err(), "{other}");
        }
        assert!(Versions::named(None).allow(ours).is_ok());
    }

    #[test]
    fn parameters_stand_there_once() {
        let query = Query(vec![
            ("Count".into(), "5".into()),
            ("filter".into(), String::new()),
            ("a".into(), "1".into()),
            ("A".into(), "2".into()),
        ]);
        assert_eq!(query.number("count").unwrap(), Some(5));
        assert_eq!(query.text("filter").unwrap(), None);
        assert!(query.text("a").is_err());
    }
}
