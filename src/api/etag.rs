//! Revisions of what can be edited: an `ETag` on what is read (RFC 9110 §8.8.3), and `If-Match` on what is written
//! (§13.1.1), so that nobody writes over a change that was never seen.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::{Kind, Problem};
use crate::app::App;
use crate::model::header_text;

/// A thing and its revision, as an answer.
#[derive(Debug)]
pub struct WithEtag<T> {
    /// 200 or 201.
    pub status: StatusCode,
    /// Goes up with every change.
    pub revision: i64,
    /// The thing.
    pub body: T,
}

impl<T> WithEtag<T> {
    /// As it was asked for.
    pub const fn ok(revision: i64, body: T) -> Self {
        Self { status: StatusCode::OK, revision, body }
    }
}

/// The revision in which a provider and a user begin; their names are never free again.
pub const FIRST_REVISION: i64 = 1;

/// How a revision is written in a header.
#[must_use]
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

impl<T: Serialize> IntoResponse for WithEtag<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Ok(value) = HeaderValue::from_str(&etag(self.revision)) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

/// Which revisions may be written over.
#[derive(Debug)]
pub enum IfMatch {
    /// Whichever stands there.
    Any,
    /// One of these.
    These(Vec<Vec<u8>>),
}

impl IfMatch {
    /// The revision that stands there, if it may be written over.
    ///
    /// # Errors
    /// 412 when it is none that was read.
    pub fn allows(&self, current: i64) -> Result<i64, Problem> {
        match self {
            Self::These(tags) if !tags.contains(&etag(current).into_bytes()) => Err(stale()),
            Self::Any | Self::These(_) => Ok(current),
        }
    }
}

/// Somebody else wrote since it was read.
#[must_use]
pub fn stale() -> Problem {
    Problem::new(Kind::Stale, "Read it again, see what is different, and send the change with its new ETag.")
}

/// An entity tag as we sent it. A proxy that compresses marks it: nginx and `HAProxy` as weak, Apache by an ending.
fn as_sent(tag: &[u8]) -> Vec<u8> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    for ending in [b"--gzip\"".as_slice(), b"-gzip\"", b";gzip\"", b"-br\"", b";br\""] {
        if let Some(ours) = tag.strip_suffix(ending) {
            return [ours, b"\""].concat();
        }
    }
    tag.to_owned()
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let tags: Vec<_> = header_text::items(&parts.headers, header::IF_MATCH, b',').map(as_sent).collect();
        if tags.is_empty() {
            let detail = "Send If-Match with the ETag that was read, or * to write over whatever stands there.";
            return Err(Problem::new(Kind::PreconditionRequired, detail));
        }
        Ok(if tags.iter().any(|tag| *tag == *b"*") { Self::Any } else { Self::These(tags) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_again_whatever_a_proxy_made_of_it() {
        for seen in ["\"7\"", "W/\"7\"", "\"7-gzip\"", "\"7;gzip\"", "\"7--gzip\"", "W/\"7-gzip\"", "\"7-br\""] {
            assert!(IfMatch::These(vec![as_sent(seen.as_bytes())]).allows(7).is_ok(), "{seen}");
        }
        for other in ["\"8\"", "7", "\"7-x\"", "\"gzip\""] {
            assert!(IfMatch::These(vec![as_sent(other.as_bytes())]).allows(7).is_err(), "{other}");
        }
    }
}
