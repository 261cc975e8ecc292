//! What is around every request, of whatever kind: its reference number, its trace, and its one line in the log, also
//! when nobody waits for the answer any more or a fault of ours ends it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use super::client_ip::Peer;
use super::group::Logged;
use crate::app::App;
use crate::log::{self, Ids, Line};
use crate::model::trace_context::TraceContext;
use crate::outbound::otlp::{Collector, Ended};

/// The name that a proxy gives a request.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// It is never longer.
const MAX_REQUEST_ID: usize = 128;
/// The `route` of what has none.
const NO_ROUTE: &str = "none";
/// The `http_method` of one that is not HTTP's own: the word that OpenTelemetry has for it.
const OTHER_METHOD: &str = "_OTHER";
/// What the line of a request says whose sender is gone (nginx has it so).
const CLIENT_GONE: u16 = 499;
/// What it says where a fault of ours ended it without an answer.
const FAULT: u16 = 500;

/// Puts this alone around routes.
pub fn around(routes: Router<App>, app: &App, logged: Logged) -> Router<App> {
    let layer = async |State((app, logged)): State<(App, Logged)>, request: Request, next: Next| {
        written(&app, logged, request, |request| next.run(request)).await
    };
    routes.layer(from_fn_with_state((app.clone(), logged), layer))
}

/// Answers a request, and writes its line.
pub async fn written<F>(app: &App, logged: Logged, request: Request, answer: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let at_hand = at_hand(app, &request);
    let has_line = at_hand.route == NO_ROUTE
        || match logged {
            Logged::Always => true,
            Logged::AsAssets => app.config.log.assets,
            Logged::AsHealth => app.config.log.health,
        };
    let collector = app.collector.clone().filter(|_| has_line);
    let at_hand = Arc::new(at_hand.traced(collector.is_some()));
    let unanswered = Unanswered { request: Arc::clone(&at_hand), has_line, collector, is_answered: false };
    let response = log::working_for(at_hand, answer(request)).await;
    unanswered.answered(&response);
    response
}

/// A request that has no answer yet. Dropped before there is one, it has its line all the same.
struct Unanswered {
    request: Arc<log::Request>,
    has_line: bool,
    collector: Option<Arc<Collector>>,
    is_answered: bool,
}

impl Unanswered {
    fn answered(mut self, response: &Response) {
        self.is_answered = true;
        self.end(response.status().as_u16());
    }

    fn end(&self, status: u16) {
        let took = self.request.begun.elapsed();
        if self.has_line {
            Line { request: &self.request, status, took }.write();
        }
        if let Some(collector) = &self.collector {
            collector.add(Ended { request: Arc::clone(&self.request), status, took });
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.is_answered {
            self.end(if std::thread::panicking() { FAULT } else { CLIENT_GONE });
        }
    }
}

fn at_hand(app: &App, request: &Request) -> log::Request {
    let (trace, span) = app.random.trace_ids();
    let ids = Ids {
        reference: app.random.reference(),
        trace: TraceContext::of(request.headers(), trace),
        span,
        request_id: request_id(app, request),
    };
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    log::Request::new(app.clock.now(), ids, method(request.method()), route)
}

/// A method is a word that the sender chooses: one that is not HTTP's own is not written.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or(OTHER_METHOD)
}

/// What a listed proxy calls this request, if that is a plain word of bounded length, sent once.
fn request_id(app: &App, request: &Request) -> Option<String> {
    if !request.extensions().get::<Peer>()?.is_trusted(&app.proxies) {
        return None;
    }
    let mut lines = request.headers().get_all(X_REQUEST_ID).iter();
    let (line, None) = (lines.next()?.as_bytes(), lines.next()) else { return None };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    let is_right = (1..=MAX_REQUEST_ID).contains(&line.len()) && line.iter().all(is_plain);
    is_right.then(|| String::from_utf8_lossy(line).into_owned())
}
