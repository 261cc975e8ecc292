//! What is around every page and every call: its line in the log and its count, its body before all else, a limit on how
//! many are in hand, a time limit, the error page, the security headers. How much, and for whom, the group of the route says.
//!
//! All of it is one layer, whose parts are functions that call each other: each further layer is a further copy of what is
//! inside it for each request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;

use super::body::{Bodies, Missing, given_up, is_given_up};
use super::client_ip::client_ip;
use super::error::PageError;
use super::group::{Group, Time};
use super::measured::measured;
use super::page::Shape;
use super::shares::{Full, Limits, Shares};
use super::{csrf, flash, headers, kept_form, request_line};
use crate::app::App;
use crate::log;
use crate::model::activity::Visitor;
use crate::model::header_text;
use crate::time::Timestamp;

/// A form is never larger, unless its group says so.
pub const MAX_BODY: usize = 16 * 1024;
/// How many requests may be in hand at once; one more is answered 503. A body counts when it is there.
pub const MAX_IN_HAND: usize = 2048;
/// Of these, for handoffs and the token endpoint alone.
pub const RESERVED_IN_HAND: usize = 256;
/// Of one network at most, unless it is a trusted proxy's or our own.
pub const MAX_IN_HAND_OF_ONE: usize = 512;
/// Whose network has its share asks again after so long.
const RETRY_SECONDS: u64 = 5;

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
        let known = parts.extensions.get::<Arc<Self>>().map(|arrival| Self::clone(arrival));
        known.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The body of a handoff did not come in time.
#[derive(Clone, Copy, Debug)]
pub struct BodyIsLate;

/// How much may be on its way and in hand, of all groups together.
#[derive(Debug)]
pub struct Bounds {
    bodies: Bodies,
    in_hand: Arc<Shares>,
}

impl Bounds {
    /// Nothing is in hand yet.
    #[must_use]
    pub fn new(app: &App) -> Self {
        let limits = Limits { whole: MAX_IN_HAND, reserve: RESERVED_IN_HAND, each: MAX_IN_HAND_OF_ONE };
        let trusted = &app.proxies;
        Self { bodies: Bodies::new(MAX_BODY, trusted), in_hand: Shares::new(limits, trusted) }
    }
}

/// What is around the routes of a group.
struct Around {
    app: App,
    bounds: Arc<Bounds>,
    group: Group,
}

/// Puts the layer around the routes of a group.
pub fn around(routes: Router<App>, app: &App, bounds: &Arc<Bounds>, group: Group) -> Router<App> {
    let around = Around { app: app.clone(), bounds: Arc::clone(bounds), group };
    routes.layer(from_fn_with_state(Arc::new(around), outermost))
}

/// Puts around routes what is around every request, of whatever kind: its line in the log and its count.
pub fn seen(routes: Router<App>, app: &App, group: Group) -> Router<App> {
    let layer = async |State((app, group)): State<(App, Group)>, request: Request, next: Next| {
        let counted = |request| measured(&app, group.counted, next.run(request));
        request_line::written(&app, group.logged, request, counted).await
    };
    routes.layer(from_fn_with_state((app.clone(), group), layer))
}

async fn outermost(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let Around { app, group, .. } = &*around;
    let counted = |request| measured(app, group.counted, guarded(&around, request, next));
    request_line::written(app, group.logged, request, counted).await
}

fn panicked(cause: &(dyn Any + Send)) -> Response {
    let words = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!("a handler panicked: {}", words.unwrap_or("without a word"));
    PageError::Unavailable("a handler panicked".into()).into_response()
}

/// An answer that says what went wrong, and has the headers of every answer.
async fn guarded(around: &Around, request: Request, next: Next) -> Response {
    let Around { app, group, .. } = around;
    let mut arrival = Arc::new(arrival(app, &request));
    let mut response = answer(around, &mut arrival, request, next).await;
    let (status, was_given_up) = (response.status(), is_given_up(&response));
    let has_page = response.extensions().get::<Shape>().is_some();
    if (status.is_client_error() || status.is_server_error()) && !has_page {
        response = (group.audience.render)(app, &response, &arrival.visitor);
    }
    if was_given_up {
        response = given_up(response);
    }
    headers::secure(&mut response, &app.config);
    response
}

/// The answer of the routes, or a bare one in its place.
async fn answer(around: &Around, arrival: &mut Arc<Arrival>, request: Request, next: Next) -> Response {
    let Around { app, bounds, group } = around;
    let (patience, limit, is_handoff) = match group.time {
        Time::Each(span) => (span, span, false),
        Time::Handoff(limit) => (Duration::from_secs(app.config.handoff.timeout_seconds.into()), limit, true),
    };
    let unavailable = |why: &str| {
        let error = if is_handoff { PageError::HandoffUnavailable } else { PageError::Unavailable };
        error(why.to_owned()).into_response()
    };
    // Who fills a share alone is told so; no fault of ours is logged.
    let no_room = |full, why: &str| match full {
        Full::Theirs => (group.audience.too_often)(RETRY_SECONDS),
        Full::Whole => unavailable(why),
    };
    let (mut head, body) = request.into_parts();
    let from = (arrival.ip, group.places);
    let body = match bounds.bodies.arrive(&head.headers, body, from, group.body, patience).await {
        Ok(body) => body,
        Err(Missing::NoRoom(full)) => return no_room(full, "too many bodies are on their way"),
        Err(Missing::Late) if is_handoff => {
            head.extensions.insert(BodyIsLate);
            Body::empty()
        }
        Err(Missing::Late) => return given_up(StatusCode::REQUEST_TIMEOUT.into_response()),
    };
    let _place = match bounds.in_hand.take(arrival.ip, group.places) {
        Ok(place) => place,
        Err(full) => return no_room(full, "too many requests are in hand"),
    };
    if !is_handoff {
        Arc::make_mut(arrival).now = app.clock.now();
    }
    head.extensions.insert(Arc::clone(arrival));
    let answer = tokio::time::timeout(limit, handled(around, Request::from_parts(head, body), next)).await;
    answer.unwrap_or_else(|_| unavailable("the request took too long"))
}

/// The answer of a handler, also where it panics; none to a form of another site.
async fn handled(around: &Around, mut request: Request, next: Next) -> Response {
    let Around { app, group, .. } = around;
    if csrf::is_foreign(&request, group.forms, &app.config.issuer) {
        return PageError::ForeignForm.into_response();
    }
    DefaultBodyLimit::max(group.body).apply(&mut request);
    let (mut request, form) = kept_form::Brought::with(request, app, group.forms).await;
    let cookies = flash::Brought::with(&mut request, app);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = form.carry(app, answered.unwrap_or_else(|cause| panicked(&*cause)));
    cookies.carry(app, &mut response);
    response
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
