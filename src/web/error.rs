//! What a person is told when something is refused or fails: one page with a reference number that is in the log.
//!
//! A handler returns a [`PageError`]; the outermost layer turns it, and every other bare error answer, into the page.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::page::{Page, Shape, respond_without_form};
use crate::app::App;
use crate::model::activity::Visitor;
use crate::store;

/// An error for the user. Its cause goes to the log, never to the page (G24).
#[derive(Clone, Debug)]
pub enum PageError {
    /// No such page.
    NotFound,
    /// A form that another site sent.
    ForeignForm,
    /// A form that cannot be read, and why.
    BadForm(&'static str),
    /// A fault of ours that will pass.
    Unavailable(String),
    /// The same during a handoff, which is begun again over there (U7).
    HandoffUnavailable(String),
    /// An app's request that cannot be answered to the app: the standards' code, and what is wrong in words.
    Authorization(&'static str, String),
    /// Whoever asked was signed out, or may do this no longer, while the request was on its way (G28).
    NoAuthority,
    /// An app's request to log somebody out that cannot be answered to the app, in words; the page offers the logout.
    Logout(String),
    /// One address asks too often: try again after this number of seconds.
    TooOften(u64),
}

impl PageError {
    /// What the log says, where this is a fault of ours.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable(cause) | Self::HandoffUnavailable(cause) => Some(cause),
            Self::NotFound
            | Self::ForeignForm
            | Self::BadForm(_)
            | Self::Authorization(..)
            | Self::NoAuthority
            | Self::Logout(_)
            | Self::TooOften(_) => None,
        }
    }
}

impl From<store::Error> for PageError {
    fn from(error: store::Error) -> Self {
        if matches!(error, store::Error::NoAuthority) {
            return Self::NoAuthority;
        }
        Self::Unavailable(error.to_string())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::ForeignForm | Self::NoAuthority => StatusCode::FORBIDDEN,
            Self::BadForm(_) | Self::Authorization(..) | Self::Logout(_) => StatusCode::BAD_REQUEST,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) | Self::HandoffUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What the log says of a bare error answer that is a fault of ours.
pub fn cause_of(bare: &Response) -> Option<&str> {
    bare.extensions().get::<PageError>().and_then(PageError::cause)
}

#[derive(Template)]
#[template(path = "web/error.html")]
struct ErrorPage {
    page: Page,
    code: String,
    heading: String,
    description: String,
    reference: String,
    next_url: String,
    next_label: &'static str,
    logout: bool,
}

/// The page for an error answer that has none yet; logged here, once.
pub fn render(app: &App, bare: &Response, visitor: &Visitor) -> Response {
    let status = bare.status();
    let error = bare.extensions().get::<PageError>();
    let (heading, description, next) = words(status, error);
    match error {
        Some(PageError::Unavailable(cause) | PageError::HandoffUnavailable(cause)) => {
            tracing::error!(reference = %visitor.reference, %cause, "answered 503: {cause}");
        }
        _ if status.is_server_error() => {
            tracing::error!(reference = %visitor.reference, "answered {status}");
        }
        _ => {
            tracing::info!(reference = %visitor.reference, address = %visitor.address, "answered {status}: {description}");
        }
    }
    let (next_url, next_label) = next;
    let from_therap_services = matches!(error, Some(PageError::HandoffUnavailable(_)));
    let template = ErrorPage {
        page: Page::new(app, heading),
        code: match error {
            Some(PageError::Authorization(code, _)) => (*code).to_owned(),
            Some(PageError::Logout(_)) => "invalid_request".to_owned(),
            _ => status.as_u16().to_string(),
        },
        heading: heading.into(),
        description: description.to_owned(),
        reference: visitor.reference.clone(),
        next_url: if from_therap_services { app.config.therap_services_url.clone() } else { next_url.to_owned() },
        next_label,
        logout: matches!(error, Some(PageError::Logout(_))),
    };
    let mut response = respond_without_form(status, Shape::Entrance, &template);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    if let Some(PageError::TooOften(seconds)) = error {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    for cookie in bare.headers().get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    if let Some(allow) = bare.headers().get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

type Words<'a> = (&'static str, &'a str, (&'static str, &'static str));

fn words(status: StatusCode, error: Option<&PageError>) -> Words<'_> {
    const HOME: (&str, &str) = ("/", "Go to Therap Connect");
    match error {
        Some(PageError::ForeignForm) => (
            "This form came from another site",
            "For your safety it was not accepted. Open Therap Connect and try again there.",
            HOME,
        ),
        Some(PageError::HandoffUnavailable(_)) => (
            "Therap Connect is busy",
            "You could not be signed in just now. Please try again from Therap Services.",
            ("", "Back to Therap Services"),
        ),
        Some(PageError::BadForm(why)) => ("The form could not be read", why, HOME),
        Some(PageError::NoAuthority) => (
            "Nothing was changed",
            "You were signed out, or your access was changed, before this arrived. Please sign in again.",
            HOME,
        ),
        Some(PageError::TooOften(_)) => {
            ("Too many requests", "Too many requests from your network. Please wait a little and try again.", HOME)
        }
        Some(PageError::Authorization(_, why) | PageError::Logout(why)) => {
            ("The app’s request cannot be answered", why, HOME)
        }
        Some(PageError::NotFound | PageError::Unavailable(_)) | None => match status {
            StatusCode::NOT_FOUND => ("Page not found", "There is no page at this address.", HOME),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("This page cannot be used that way", "Open Therap Connect and start again from there.", HOME)
            }
            StatusCode::REQUEST_TIMEOUT => (
                "The form did not arrive",
                "Your connection may be slow. Please open Therap Connect and try again.",
                HOME,
            ),
            StatusCode::PAYLOAD_TOO_LARGE => ("Too much was sent", "The form holds more than this page accepts.", HOME),
            StatusCode::SERVICE_UNAVAILABLE => ("Therap Connect is busy", "Please try again in a few seconds.", HOME),
            status if status.is_client_error() => {
                ("The request was not understood", "Open Therap Connect and try again.", HOME)
            }
            _ => (
                "Something went wrong",
                "Please try again. If it happens again, give support the reference number.",
                HOME,
            ),
        },
    }
}
