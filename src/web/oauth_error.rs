//! An error for a client's developer (RFC 6749 §5.2): JSON with a code and a sentence that says which parameter and
//! why. Its cause stays in the log. One place maps codes to statuses.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::cause_of;
pub use super::shape::data;
use crate::app::App;
use crate::model::activity::Visitor;
use crate::store;

/// Something that a client did wrong, or that failed under it.
#[derive(Clone, Debug)]
pub struct OAuthError {
    /// The registered code.
    pub code: &'static str,
    /// One line for the client's developer.
    pub description: Cow<'static, str>,
    cause: Option<String>,
    challenge: Option<&'static str>,
    bare: bool,
    retry_after: Option<u64>,
}

/// Makes a constructor for each code.
macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        impl OAuthError {$(
            $(#[$meta])*
            pub fn $name(description: impl Into<Cow<'static, str>>) -> Self {
                Self::new(stringify!($name), description)
            }
        )*}
    };
}
codes! {
    /// RFC 6749 §5.2: a parameter is missing, repeated or not valid.
    invalid_request,
    /// RFC 6749 §5.2: the client could not be authenticated.
    invalid_client,
    /// RFC 6749 §5.2: the code or refresh token is not valid, or not this client's.
    invalid_grant,
    /// RFC 6749 §5.2: the client may not use this grant.
    unauthorized_client,
    /// RFC 6749 §5.2: there is no such grant here.
    unsupported_grant_type,
    /// RFC 6749 §5.2: the scope is not valid, or wider than what was granted.
    invalid_scope,
    /// RFC 8707 §2: the resource is not one that this client may ask for.
    invalid_target,
    /// RFC 6750 §3.1: the access token is expired, revoked or unknown.
    invalid_token,
    /// RFC 6750 §3.1: the access token lacks a scope.
    insufficient_scope,
    /// A fault of ours that will pass.
    temporarily_unavailable,
}

impl OAuthError {
    fn new(code: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), cause: None, challenge: None, bare: false, retry_after: None }
    }

    /// RFC 6750 §3.1: a token was expected and none was there; the challenge says no more.
    pub fn missing_token() -> Self {
        Self { bare: true, ..Self::invalid_token("an access token is needed").challenging("Bearer") }
    }

    /// Asked too often: again after this number of seconds (RFC 6585 §4).
    pub fn too_often(seconds: u64) -> Self {
        let description = format!("too many tokens are asked for; try again in {seconds} seconds");
        Self { retry_after: Some(seconds), ..Self::temporarily_unavailable(description) }
    }

    /// With the cause, for the log alone.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// With a challenge: the client tried HTTP Basic (RFC 6749 §5.2), or a token was expected (RFC 6750 §3).
    #[must_use]
    pub const fn challenging(mut self, scheme: &'static str) -> Self {
        self.challenge = Some(scheme);
        self
    }

    /// Whether it stays at that: a fault of ours, after which nobody knows what was written, or too many requests. Otherwise
    /// whoever was known is read once more and told what is true by now.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.cause.is_some() || self.retry_after.is_some()
    }

    fn status(&self) -> StatusCode {
        match self.code {
            _ if self.retry_after.is_some() => StatusCode::TOO_MANY_REQUESTS,
            "invalid_client" | "invalid_token" => StatusCode::UNAUTHORIZED,
            "insufficient_scope" => StatusCode::FORBIDDEN,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<store::Error> for OAuthError {
    fn from(error: store::Error) -> Self {
        // Asked once more, it learns what it is worth by now.
        if matches!(error, store::Error::NoAuthority) {
            return Self::temporarily_unavailable("the client was changed while it asked; try again");
        }
        Self::temporarily_unavailable("the service cannot answer right now; try again").because(error)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let description = plain(&self.description);
        if let Some(cause) = &self.cause {
            tracing::error!(error = self.code, %cause, "answered {}: {description}: {cause}", self.code);
        } else {
            tracing::info!(error = self.code, "answered {}: {description}", self.code);
        }
        let body = Json(json!({ "error": self.code, "error_description": description }));
        let mut response = data((self.status(), body));
        if let Some(scheme) = self.challenge {
            let text = match scheme {
                "Basic" => "Basic realm=\"connect-idp\"".to_owned(),
                _ if self.bare => format!("{scheme} realm=\"connect-idp\""),
                _ => format!(
                    "{scheme} realm=\"connect-idp\", error=\"{}\", error_description=\"{description}\"",
                    self.code
                ),
            };
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
        }
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What `error_description` may hold (RFC 6749 §5.2): one line of ASCII without `"` and `\`.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '\'' }).collect()
}

/// A bare error answer of a body parser, a method filter or a panic, as JSON.
pub fn render(_: &App, bare: &Response, _: &Visitor) -> Response {
    let status = bare.status();
    let error = match status {
        StatusCode::NOT_FOUND => OAuthError::invalid_request("there is nothing at this address"),
        StatusCode::METHOD_NOT_ALLOWED => OAuthError::invalid_request("this endpoint does not take this method"),
        StatusCode::REQUEST_TIMEOUT => OAuthError::invalid_request("the body did not come in time"),
        StatusCode::PAYLOAD_TOO_LARGE => OAuthError::invalid_request("the body is too large"),
        status if status.is_client_error() => OAuthError::invalid_request("the request could not be read"),
        _ => OAuthError::temporarily_unavailable("the service cannot answer right now; try again")
            .because(cause_of(bare).unwrap_or("no cause was given")),
    };
    let mut response = error.into_response();
    if status.is_client_error() {
        *response.status_mut() = status;
    }
    if let Some(allow) = bare.headers().get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_one_line_of_what_the_rfc_allows() {
        assert_eq!(plain("a \"b\" \\ é\nc"), "a 'b' ' ''c");
    }

    #[test]
    fn each_code_has_its_status() {
        assert_eq!(OAuthError::invalid_client("x").into_response().status(), 401);
        assert_eq!(OAuthError::invalid_grant("x").into_response().status(), 400);
        assert_eq!(OAuthError::insufficient_scope("x").into_response().status(), 403);
        let busy = OAuthError::from(store::Error::Late).into_response();
        assert_eq!((busy.status().as_u16(), busy.headers().contains_key("retry-after")), (503, true));
    }
}
