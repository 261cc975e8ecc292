//! What a program is told when the API refuses or fails: `application/problem+json` (RFC 9457), with a reference number
//! that is in the log. A handler returns a [`Problem`]; the outermost layer turns it, and every other bare error answer
//! of the API, into the body.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::App;
use crate::model::activity::Visitor;
use crate::model::validation_error::ValidationError;
use crate::model::words;
use crate::operations::users::email::NotMailed;
use crate::store;
use crate::web::error::cause_of;
use crate::web::oauth_error::{data, plain};

/// What went wrong; the last part of `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is not what this endpoint reads.
    Malformed,
    /// No usable access token.
    Unauthenticated,
    /// The access token lacks a scope.
    InsufficientScope,
    /// There is nothing here, or nothing that the token may know of.
    NotFound,
    /// The endpoint does not take this method.
    MethodNotAllowed,
    /// It conflicts with what is already stored.
    Conflict,
    /// Somebody else changed it since it was read.
    Stale,
    /// The body did not come in time.
    TooSlow,
    /// The body is too large.
    TooLarge,
    /// The body is of a type that is not read here.
    UnsupportedMediaType,
    /// A value is not accepted.
    Invalid,
    /// It does not say which revision is to be changed.
    PreconditionRequired,
    /// Too many requests.
    Throttled,
    /// A fault of ours that will pass.
    Unavailable,
}
words!(Kind {
    Malformed = "malformed",
    Unauthenticated = "unauthenticated",
    InsufficientScope = "insufficient-scope",
    NotFound = "not-found",
    MethodNotAllowed = "method-not-allowed",
    Conflict = "conflict",
    Stale = "stale",
    TooSlow = "too-slow",
    TooLarge = "too-large",
    UnsupportedMediaType = "unsupported-media-type",
    Invalid = "invalid",
    PreconditionRequired = "precondition-required",
    Throttled = "throttled",
    Unavailable = "unavailable",
});

impl Kind {
    /// The status that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What a developer reads; the same for every problem of the kind.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::Unauthenticated => "A usable access token is needed",
            Self::InsufficientScope => "The access token does not allow this",
            Self::NotFound => "There is nothing at this address",
            Self::MethodNotAllowed => "This endpoint does not take this method",
            Self::Conflict => "It conflicts with what is already stored",
            Self::Stale => "Somebody else changed it since it was read",
            Self::TooSlow => "The body did not come in time",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body is of a type that is not read here",
            Self::Invalid => "A value is not accepted",
            Self::PreconditionRequired => "It does not say which edition is to be changed",
            Self::Throttled => "Too many requests",
            Self::Unavailable => "The service cannot answer right now",
        }
    }

    /// What a bare error answer amounts to.
    fn of(status: StatusCode) -> Self {
        let same = Self::ALL.iter().copied().find(|kind| kind.status() == status);
        same.unwrap_or(if status.is_client_error() { Self::Malformed } else { Self::Unavailable })
    }
}

/// As much of a key that somebody sent is named.
const LONGEST_KEY: usize = 100;
/// As much is said of what is wrong with it.
const LONGEST_DETAIL: usize = 500;

/// Something that a program did wrong, or that failed under it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What went wrong.
    pub kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    challenge: Option<String>,
    retry_after: Option<u64>,
    cause: Option<String>,
}

impl Problem {
    /// A problem, and what to do about it in one sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), challenge: None, retry_after: None, cause: None }
    }

    /// A value that is not accepted, under a key that may be the sender's own; the detail is a sentence.
    #[must_use]
    pub fn invalid(key: &str, detail: &str) -> Self {
        let short = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
        let (key, detail) = (short(key, LONGEST_KEY), short(detail, LONGEST_DETAIL));
        let error = FieldError { key: key.into(), detail: detail.clone() };
        Self { errors: vec![error], ..Self::new(Kind::Invalid, detail) }
    }

    /// There is nothing here, or nothing that the token may know of: the two are one (G15).
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "There is no such thing, or this access token may not know of it.")
    }

    /// Without a usable token. The challenge says more only where one was sent (RFC 6750 §3.1).
    #[must_use]
    pub fn unauthenticated(detail: &str, sent: bool) -> Self {
        let more = if sent {
            format!(", error=\"invalid_token\", error_description=\"{}\"", plain(detail))
        } else {
            String::new()
        };
        let challenge = Some(format!("Bearer realm=\"connect-idp\"{more}"));
        Self { challenge, ..Self::new(Kind::Unauthenticated, detail) }
    }

    /// With a token that lacks a scope (RFC 6750 §3.1).
    #[must_use]
    pub fn insufficient_scope(scope: &str) -> Self {
        let challenge = format!("Bearer realm=\"connect-idp\", error=\"insufficient_scope\", scope=\"{scope}\"");
        let detail = format!("The access token needs the scope {scope}.");
        Self { challenge: Some(challenge), ..Self::new(Kind::InsufficientScope, detail) }
    }

    /// How many seconds too early.
    #[must_use]
    pub fn throttled(seconds: u64) -> Self {
        let detail = format!("This client asks too often. Try again in {seconds} seconds.");
        Self { retry_after: Some(seconds), ..Self::new(Kind::Throttled, detail) }
    }

    /// A fault of ours, with the cause for the log alone.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        let detail = "Nothing was done, or it is not known whether it was. Try again in a few seconds.";
        Self { cause: Some(cause.to_string()), retry_after: Some(5), ..Self::new(Kind::Unavailable, detail) }
    }
}

impl From<ValidationError> for Problem {
    fn from(invalid: ValidationError) -> Self {
        Self::from(vec![invalid])
    }
}

impl From<Vec<ValidationError>> for Problem {
    fn from(errors: Vec<ValidationError>) -> Self {
        let errors = errors
            .into_iter()
            .map(|ValidationError { key, why }| FieldError { key: key.into(), detail: why })
            .collect();
        Self { errors, ..Self::new(Kind::Invalid, "Mend what errors names and send the request again.") }
    }
}

/// A link was not mailed that a program asked for.
impl From<NotMailed> for Problem {
    fn from(why: NotMailed) -> Self {
        match why {
            NotMailed::NotFound => Self::not_found(),
            NotMailed::NoAddress => ValidationError::new("claims", "must hold an email to send it to").into(),
            NotMailed::NoMail
            | NotMailed::Verified
            | NotMailed::NotActive
            | NotMailed::HasPassword
            | NotMailed::TherapAdmin
            | NotMailed::TooMany
            | NotMailed::Full => Self::new(Kind::Conflict, why.message()),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        if matches!(error, store::Error::NoAuthority) {
            return Self::unauthenticated("The token or its client was taken away before this arrived.", true);
        }
        Self::unavailable(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An answer that is not what was asked for (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Details {
    /// A URI that names the kind of problem, and leads to its description.
    #[schema(format = "uri")]
    r#type: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time, and what to do about it.
    detail: String,
    /// The number under which the log knows this request.
    reference: String,
    /// The values that are not accepted; with every 422.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// A value that is not accepted.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The member of the body or the parameter; `body` for the whole.
    #[schema(value_type = String)]
    key: Cow<'static, str>,
    /// What it must be.
    detail: String,
}

/// The body for an error answer that has none yet; logged here, once.
pub fn render(app: &App, bare: &Response, visitor: &Visitor) -> Response {
    let known = bare.extensions().get::<Problem>().cloned();
    let problem = known.unwrap_or_else(|| {
        let kind = Kind::of(bare.status());
        if kind == Kind::Unavailable {
            Problem::unavailable(cause_of(bare).unwrap_or("no cause was given"))
        } else {
            Problem::new(kind, kind.title())
        }
    });
    let kind = problem.kind;
    if let Some(cause) = &problem.cause {
        tracing::error!(reference = %visitor.reference, %cause, "answered {kind}: {cause}");
    } else {
        // Never the detail, nor a key that is not one of ours: they may repeat what was sent, and people send passwords.
        let ours = |error: &FieldError| match error.key {
            Cow::Borrowed(key) => Some(key),
            Cow::Owned(_) => None,
        };
        let keys: Vec<_> = problem.errors.iter().filter_map(ours).collect();
        tracing::info!(reference = %visitor.reference, address = %visitor.address, "answered {kind} {}", keys.join(", "));
    }
    let body = Details {
        r#type: format!("{}/api/v1#{kind}", app.config.issuer),
        title: kind.title(),
        status: kind.status().as_u16(),
        detail: problem.detail,
        reference: visitor.reference.clone(),
        errors: problem.errors,
    };
    let mut response = data((kind.status(), Json(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(value) = problem.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = bare.headers().get(header::ALLOW) {
        headers.insert(header::ALLOW, allow.clone());
    }
    response
}
