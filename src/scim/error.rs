//! What a directory is told when something is refused or fails: an Error message of SCIM (RFC 7644 §3.12), whose
//! `detail` ends with the reference number that is in the log. A handler returns a [`ScimError`]; the outermost layer
//! turns it, and every other bare error answer below `/scim/v2`, into the body.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::model::activity::Visitor;
use crate::model::validation_error::ValidationError;
use crate::model::words;
use crate::store;
use crate::web::error::cause_of;
use crate::web::oauth_error::{data, plain};

/// The schema of an Error message.
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// As much is said of what is wrong.
const LONGEST_DETAIL: usize = 500;

/// A detail error keyword (RFC 7644 §3.12, Table 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimType {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// The filter would look at more users than are looked at for one request.
    TooMany,
    /// Somebody else has a value that only one may have.
    Uniqueness,
    /// The attribute cannot be changed so.
    Mutability,
    /// The body is not what is read here.
    InvalidSyntax,
    /// The path of an operation cannot be read.
    InvalidPath,
    /// The path of an operation leads to nothing.
    NoTarget,
    /// A value is missing or not accepted.
    InvalidValue,
}
words!(ScimType {
    InvalidFilter = "invalidFilter",
    TooMany = "tooMany",
    Uniqueness = "uniqueness",
    Mutability = "mutability",
    InvalidSyntax = "invalidSyntax",
    InvalidPath = "invalidPath",
    NoTarget = "noTarget",
    InvalidValue = "invalidValue",
});

/// Something that a directory did wrong, or that failed under it.
#[derive(Clone, Debug)]
pub struct ScimError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The keyword, where the standard has one.
    pub scim_type: Option<ScimType>,
    detail: String,
    challenge: Option<String>,
    retry_after: Option<u64>,
    cause: Option<String>,
}

impl ScimError {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into().chars().filter(|c| !c.is_control()).take(LONGEST_DETAIL).collect();
        Self { status, scim_type: None, detail, challenge: None, retry_after: None, cause: None }
    }

    /// 400, with the keyword that says which kind.
    pub fn bad(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { scim_type: Some(scim_type), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// A value that is not accepted.
    pub fn invalid(attribute: &str, why: &str) -> Self {
        Self::bad(ScimType::InvalidValue, format!("{attribute} {why}."))
    }

    /// There is nothing here, or nothing that the token may know of: the two are one (G15).
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such resource, or this access token may not know of it.")
    }

    /// Somebody else has it (RFC 7644 §3.3).
    pub fn taken(attribute: &str) -> Self {
        let detail = format!("Another user of the provider has this {attribute}. Nothing was changed.");
        Self { scim_type: Some(ScimType::Uniqueness), ..Self::new(StatusCode::CONFLICT, detail) }
    }

    /// A reference that nothing resolves (RFC 7644 §3.7.1).
    pub fn unresolved(bulk_id: &str) -> Self {
        Self::new(StatusCode::CONFLICT, format!("No operation of this request created the bulkId {bulk_id}."))
    }

    /// Somebody else wrote since it was read.
    pub fn stale() -> Self {
        let detail = "Somebody changed it since it was read. Read it again, and send the change with its new version.";
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// The body, or the number of its operations, is too large.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// The body is of a type that is not read here.
    pub fn unsupported() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send a body of Content-Type application/scim+json or application/json.",
        )
    }

    /// Without a usable token. The challenge says more only where one was sent (RFC 6750 §3.1).
    pub fn unauthenticated(detail: &str, sent: bool) -> Self {
        let more = if sent {
            format!(", error=\"invalid_token\", error_description=\"{}\"", plain(detail))
        } else {
            String::new()
        };
        let challenge = Some(format!("Bearer realm=\"connect-idp\"{more}"));
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// With a token that does not allow it (RFC 6750 §3.1).
    pub fn forbidden(detail: &str) -> Self {
        let challenge = "Bearer realm=\"connect-idp\", error=\"insufficient_scope\"".to_owned();
        Self { challenge: Some(challenge), ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    /// How many seconds too early.
    pub fn throttled(seconds: u64) -> Self {
        let detail = format!("This client asks too often. Try again in {seconds} seconds.");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// A fault of ours, with the cause for the log alone.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        let detail = "Nothing was done, or it is not known whether it was. Try again in a few seconds.";
        let cause = Some(cause.to_string());
        Self { cause, retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The body, also as the `response` of an operation of a bulk request.
    pub fn body(&self, reference: &str) -> Value {
        let mut body = json!({
            "schemas": [ERROR],
            "status": self.status.as_u16().to_string(),
            "detail": format!("{} Reference: {reference}", self.detail),
        });
        if let (Some(scim_type), Some(members)) = (self.scim_type, body.as_object_mut()) {
            members.insert("scimType".into(), scim_type.as_str().into());
        }
        body
    }

    /// Logs it, once. Never the detail, which may repeat what was sent.
    pub fn log(&self, visitor: &Visitor) {
        let (status, reference) = (self.status.as_u16(), &visitor.reference);
        if let Some(cause) = &self.cause {
            tracing::error!(%reference, %cause, "answered {status}: {cause}");
        } else {
            let keyword = self.scim_type.map_or("", ScimType::as_str);
            tracing::info!(%reference, address = %visitor.address, "answered {status} {keyword}");
        }
    }
}

impl From<ValidationError> for ScimError {
    fn from(invalid: ValidationError) -> Self {
        let attribute = match invalid.key {
            "login_name" => return Self::bad(ScimType::InvalidValue, format!("userName: {}.", invalid.why)),
            "external_id" => "externalId",
            "name" => "displayName",
            other => other,
        };
        Self::invalid(attribute, &invalid.why)
    }
}

impl From<store::Error> for ScimError {
    fn from(error: store::Error) -> Self {
        if matches!(error, store::Error::NoAuthority) {
            return Self::unauthenticated("The token or its client was taken away before this arrived.", true);
        }
        Self::unavailable(error)
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What a bare error answer amounts to: of a router, a limit or a panic.
fn of_bare(bare: &Response) -> ScimError {
    let detail = match bare.status() {
        StatusCode::NOT_FOUND => return ScimError::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => "This endpoint does not take this method.",
        StatusCode::REQUEST_TIMEOUT => "The body did not come in time.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large.",
        status if status.is_client_error() => "The request cannot be read.",
        _ => return ScimError::unavailable(cause_of(bare).unwrap_or("no cause was given")),
    };
    ScimError::new(bare.status(), detail)
}

/// The body for an error answer that has none yet; logged here, once.
pub fn render(_: &App, bare: &Response, visitor: &Visitor) -> Response {
    let error = bare.extensions().get::<ScimError>().cloned().unwrap_or_else(|| of_bare(bare));
    error.log(visitor);
    let mut response = data((error.status, Json(error.body(&visitor.reference))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    if let Some(value) = error.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = bare.headers().get(header::ALLOW) {
        headers.insert(header::ALLOW, allow.clone());
    }
    response
}
