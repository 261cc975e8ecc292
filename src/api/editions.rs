//! Editions of what can be edited: an `ETag` on what is read (RFC 9110 §8.8.3), and `If-Match` on what is written
//! (§13.1.1), so that nobody writes over a change that was never seen.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::App;
use crate::web::problem::{Kind, Problem};

/// A thing and its edition, as an answer.
#[derive(Debug)]
pub struct Edition<T> {
    /// 200 or 201.
    pub status: StatusCode,
    /// Goes up with every change.
    pub revision: i64,
    /// The thing.
    pub body: T,
}

impl<T> Edition<T> {
    /// As it was asked for.
    pub const fn ok(revision: i64, body: T) -> Self {
        Self { status: StatusCode::OK, revision, body }
    }
}

/// The edition in which a provider and a user begin; their names are never free again.
pub const FIRST: i64 = 1;

/// How an edition is written in a header.
#[must_use]
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

impl<T: Serialize> IntoResponse for Edition<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Ok(value) = HeaderValue::from_str(&etag(self.revision)) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

/// Which editions may be written over.
#[derive(Debug)]
pub enum IfMatch {
    /// Whichever stands there.
    Any,
    /// One of these.
    These(Vec<String>),
}

impl IfMatch {
    /// The edition that stands there, if it may be written over.
    ///
    /// # Errors
    /// 412 when it is none that was read.
    pub fn allows(&self, current: i64) -> Result<i64, Problem> {
        match self {
            Self::These(tags) if !tags.contains(&etag(current)) => Err(stale()),
            Self::Any | Self::These(_) => Ok(current),
        }
    }
}

/// Somebody else wrote since it was read.
#[must_use]
pub fn stale() -> Problem {
    Problem::new(Kind::Stale, "Read it again, see what is different, and send the change with its new ETag.")
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in parts.headers.get_all(header::IF_MATCH) {
            let text = value.to_str().map_err(|_| Problem::new(Kind::Malformed, "If-Match holds no entity tags."))?;
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        if tags.is_empty() {
            let detail = "Send If-Match with the ETag that was read, or * to write over whatever stands there.";
            return Err(Problem::new(Kind::PreconditionRequired, detail));
        }
        Ok(if tags.iter().any(|tag| tag == "*") { Self::Any } else { Self::These(tags) })
    }
}
