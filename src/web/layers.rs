//! What is around every page and every call: its body before all else, a limit on how many are in hand, a time
//! limit, the error page, the security headers.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::body::{Bodies, Missing};
use super::client_ip::client_ip;
use super::error::PageError;
use super::oauth_error::OAuthError;
use super::page::Shape;
use super::problem::Problem;
use super::shares::{Full, Limits, Shares, Use};
use super::{csrf, error, flash, headers, oauth_error, problem, unread};
use crate::app::App;
use crate::log;
use crate::model::activity::Visitor;
use crate::model::header_text;
use crate::time::Timestamp;

/// A form is never larger.
pub const MAX_BODY: usize = 16 * 1024;
/// How many requests may be in hand at once; one more is answered 503. A body counts when it is there.
pub const MAX_IN_HAND: usize = 2048;
/// Of these, for handoffs and the token endpoint alone.
pub const RESERVED_IN_HAND: usize = 256;
/// Of one network at most, unless it is a trusted proxy's or our own.
pub const MAX_IN_HAND_OF_ONE: usize = 512;
/// How long any request may take, and its body before that. A handoff has its own, shorter one (U7).
const TIME_LIMIT: Duration = Duration::from_secs(15);
const HANDOFF_TIME_LIMIT: Duration = Duration::from_secs(35);
/// A file of users is hashed one by one.
const IMPORT_TIME_LIMIT: Duration = Duration::from_mins(1);
/// Whose network has its share asks again after so long.
const RETRY_SECONDS: u64 = 5;
/// Where a file of users is sent, and how large the form with it may be.
pub const IMPORT_PATH: &str = "/admin/users/import";
/// See [`IMPORT_PATH`].
pub const MAX_IMPORT: usize = 512 * 1024;
/// A trusted issuer's form holds its keys.
pub const MAX_ISSUER_FORM: usize = 256 * 1024;
/// A client's form holds its keys and up to a hundred addresses of 2 KiB, each byte percent-encoded at worst.
pub const MAX_CLIENT_FORM: usize = 512 * 1024;

/// What is known of a request before any handler runs.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The one present of this request: when its body was there; of a handoff, whose clock runs sooner, when it came.
    pub now: Timestamp,
    /// From whom, as it is written down.
    pub visitor: Visitor,
    /// The client's address.
    pub ip: std::net::IpAddr,
}

impl<S: Send + Sync> FromRequestParts<S> for Arrival {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The body of a handoff did not come in time.
#[derive(Clone, Copy, Debug)]
pub struct BodyIsLate;

/// How much may be on its way and in hand.
struct Bounds {
    bodies: Bodies,
    in_hand: Arc<Shares>,
}

/// Puts the layers around the routes.
pub fn around(routes: Router<App>, app: &App) -> Router<App> {
    let limits = Limits { whole: MAX_IN_HAND, reserve: RESERVED_IN_HAND, each: MAX_IN_HAND_OF_ONE };
    let trusted = &app.proxies;
    let bounds = Bounds { bodies: Bodies::new(MAX_BODY, trusted), in_hand: Shares::new(limits, trusted) };
    routes
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), flash::carry))
        .layer(from_fn_with_state(app.clone(), csrf::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state((app.clone(), Arc::new(bounds)), outermost))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer asks for")]
fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let words = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!("a handler panicked: {}", words.unwrap_or("without a word"));
    PageError::Unavailable("a handler panicked".into()).into_response()
}

async fn outermost(State((app, bounds)): State<(App, Arc<Bounds>)>, request: Request, next: Next) -> Response {
    let mut arrival = arrival(&app, &request);
    let visitor = arrival.visitor.clone();
    let path = request.uri().path().to_owned();
    let for_programs = oauth_error::is_for_programs(request.uri().path());
    let on_handoff = request.uri().path().starts_with("/unified-login") && !for_programs;
    let (patience, limit) = match request.uri().path() {
        _ if on_handoff => (Duration::from_secs(app.config.handoff.timeout_seconds.into()), HANDOFF_TIME_LIMIT),
        IMPORT_PATH => (IMPORT_TIME_LIMIT, IMPORT_TIME_LIMIT),
        path if problem::is_of_api(path) && path.ends_with("/users/import") => (IMPORT_TIME_LIMIT, IMPORT_TIME_LIMIT),
        _ => (TIME_LIMIT, TIME_LIMIT),
    };
    let purpose = if on_handoff || path == "/oauth2/token" { Use::Urgent } else { Use::Ordinary };
    let unavailable = |why: &str| {
        let error = if on_handoff { PageError::HandoffUnavailable } else { PageError::Unavailable };
        error(why.to_owned()).into_response()
    };
    // Who fills a share alone is told so; no fault of ours is logged.
    let no_room = |full, why: &str| match full {
        Full::Theirs if problem::is_of_api(&path) => Problem::throttled(RETRY_SECONDS).into_response(),
        Full::Theirs if for_programs => OAuthError::too_often(RETRY_SECONDS).into_response(),
        Full::Theirs => PageError::TooOften(RETRY_SECONDS).into_response(),
        Full::Whole => unavailable(why),
    };
    let answered = async {
        let (mut head, body) = request.into_parts();
        let body =
            match bounds.bodies.arrive(&head.headers, body, (arrival.ip, purpose), largest(&path), patience).await {
                Ok(body) => body,
                Err(Missing::NoRoom(full)) => return no_room(full, "too many bodies are on their way"),
                Err(Missing::Late) if on_handoff => {
                    head.extensions.insert(BodyIsLate);
                    Body::empty()
                }
                Err(Missing::Late) => return unread::given_up(StatusCode::REQUEST_TIMEOUT.into_response()),
            };
        let _place = match bounds.in_hand.take(arrival.ip, purpose) {
            Ok(place) => place,
            Err(full) => return no_room(full, "too many requests are in hand"),
        };
        if !on_handoff {
            arrival.now = app.clock.now();
        }
        head.extensions.insert(arrival);
        let answer = tokio::time::timeout(limit, next.run(Request::from_parts(head, body))).await;
        answer.unwrap_or_else(|_| unavailable("the request took too long"))
    };
    let mut response = answered.await;
    let (status, is_given_up) = (response.status(), unread::is_given_up(&response));
    let has_page = response.extensions().get::<Shape>().is_some();
    if (status.is_client_error() || status.is_server_error()) && !has_page {
        let cause = response.extensions().get::<PageError>().and_then(PageError::cause);
        response = if problem::is_of_api(&path) {
            problem::render(&app, &response, cause, &visitor)
        } else if for_programs {
            oauth_error::render(&response, cause)
        } else {
            error::render(&app, &response, &visitor)
        };
    }
    if is_given_up {
        response = unread::given_up(response);
    }
    headers::secure(&mut response, &app.config);
    response
}

/// How large a body at a path may be at most; the routes have the exact limits.
fn largest(path: &str) -> usize {
    let is_large = path == IMPORT_PATH
        || path.starts_with("/operator/issuers")
        || path.starts_with("/operator/clients")
        || problem::is_of_api(path);
    if is_large { MAX_CLIENT_FORM.max(MAX_IMPORT) } else { MAX_BODY }
}

fn arrival(app: &App, request: &Request) -> Arrival {
    const BROWSER_CHARS: usize = 256;
    let now = app.clock.now();
    let ip = client_ip(request.extensions(), request.headers(), &app.proxies, now);
    let agent = request.headers().get(header::USER_AGENT).map(header_text::lossy).unwrap_or_default();
    let visitor = Visitor {
        address: ip.to_string(),
        browser: agent.chars().filter(|c| !c.is_control()).take(BROWSER_CHARS).collect(),
        reference: log::at_hand().map_or_else(|| app.random.reference(), |request| request.ids.reference.clone()),
    };
    Arrival { now, visitor, ip }
}
