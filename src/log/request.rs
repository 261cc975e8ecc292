//! The request at hand: what is known of it, and what works for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use super::call::{Call, MAX_CALLS, STEP};
use crate::model::trace_context::TraceContext;
use crate::time::Timestamp;

/// As much of a `client_id` is logged.
const LOGGED_CLIENT: usize = 100;

/// A request while it is answered.
#[derive(Debug)]
pub struct Request {
    /// By what it is known.
    pub ids: Ids,
    /// Its method, where that is one of HTTP's own.
    pub http_method: &'static str,
    /// The pattern of its path, as the router has it.
    pub route: String,
    /// When it came.
    pub came_at: Timestamp,
    /// The same, for measuring.
    pub begun: Instant,
    /// Whether its part of the trace is sent to a collector.
    pub is_traced: bool,
    learnt: Mutex<Learnt>,
    calls: Mutex<Vec<Call>>,
    calls_begun: AtomicU64,
}

/// By what a request is known.
#[derive(Clone, Debug)]
pub struct Ids {
    /// The number under which a page, the record and the log know it.
    pub reference: String,
    /// The trace that it belongs to.
    pub trace: TraceContext,
    /// Its own span of that trace.
    pub span: [u8; 8],
    /// The name that a listed proxy gave it.
    pub request_id: Option<String>,
}

/// What is learnt while it is answered.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// The client, by its `client_id`.
    pub client_id: Option<String>,
    /// The agency of the account that somebody signs in to, by its Provider Code.
    pub provider: Option<String>,
    /// How, and with what result.
    pub sign_in: Option<(&'static str, &'static str)>,
}

tokio::task_local! {
    static AT_HAND: Arc<Request>;
}

impl Request {
    /// A request that came now, of which no more is known yet.
    #[must_use]
    pub fn new(now: Timestamp, ids: Ids, http_method: &'static str, route: &str) -> Self {
        Self {
            ids,
            http_method,
            route: route.to_owned(),
            came_at: now,
            begun: Instant::now(),
            is_traced: false,
            learnt: Mutex::default(),
            calls: Mutex::default(),
            calls_begun: AtomicU64::new(0),
        }
    }

    /// The same, whose part of the trace is sent to a collector or not.
    #[must_use]
    pub fn traced(self, is_traced: bool) -> Self {
        Self { is_traced, ..self }
    }

    /// What is learnt so far.
    #[must_use]
    pub fn learnt(&self) -> Learnt {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests of ours to others that it brings about: each is a span of the same trace.
impl Request {
    /// A request to others begins.
    #[must_use]
    pub fn begin_call(&self, http_method: &str, url: &Url) -> Call {
        let number = self.calls_begun.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let span = u64::from_be_bytes(self.ids.span).wrapping_add(number.wrapping_mul(STEP));
        let begun = Instant::now();
        Call {
            // No span is 0; that another is this one is as likely as that two of chance are one.
            span: if span == 0 { STEP } else { span }.to_be_bytes(),
            http_method: http_method.to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default(),
            begun,
            ended: begun,
            status: None,
        }
    }

    /// The header that goes with it.
    #[must_use]
    pub fn traceparent(&self, call: &Call) -> String {
        self.ids.trace.traceparent(call.span, self.is_traced)
    }

    /// It ended with this status, or without an answer.
    pub fn end_call(&self, call: Call, status: Option<u16>) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < MAX_CALLS {
            calls.push(Call { ended: Instant::now(), status, ..call });
        }
    }

    /// Those that ended, and are forgotten now.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The request that this task works for.
#[must_use]
pub fn at_hand() -> Option<Arc<Request>> {
    AT_HAND.try_with(Arc::clone).ok()
}

/// Works for a request.
pub async fn working_for<F: Future>(request: Arc<Request>, work: F) -> F::Output {
    AT_HAND.scope(request, work).await
}

/// Begins a task that works for the same request and outlives it if need be.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match at_hand() {
        Some(request) => tokio::spawn(working_for(request, work)),
        None => tokio::spawn(work),
    }
}

/// Names the client of the request at hand: one that is registered, proven or not. What somebody typed in its place may
/// be anything, a password too, and is not logged.
pub fn name_client(client_id: &str) {
    learn(|learnt| learnt.client_id = Some(client_id.chars().take(LOGGED_CLIENT).collect()));
}

/// Names the agency of the account that somebody signs in to.
pub fn name_provider(code: &str) {
    learn(|learnt| learnt.provider = Some(code.to_owned()));
}

/// Says how a sign-in ended: its method (`password`, `handoff`) and outcome (`success`, `refused`, …).
pub fn sign_in(method: &'static str, outcome: &'static str) {
    learn(|learnt| learnt.sign_in = Some((method, outcome)));
}

fn learn(change: impl FnOnce(&mut Learnt)) {
    // What no request asked for has no line to stand in.
    let _ = AT_HAND.try_with(|request| change(&mut request.lock()));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that is known as 7K3M-9Q0T, in a trace of its own.
    pub(crate) fn request(http_method: &'static str, route: &str) -> Request {
        let trace = TraceContext::of(&axum::http::HeaderMap::new(), [0xab; 16]);
        let ids = Ids { reference: "7K3M-9Q0T".into(), trace, span: [2; 8], request_id: None };
        Request::new(Timestamp::from_seconds(1_800_000_000), ids, http_method, route)
    }

    #[tokio::test]
    async fn a_task_that_a_request_begins_works_for_it() {
        let request = Arc::new(request("GET", "/login"));
        let heard = working_for(Arc::clone(&request), async {
            let task = spawn(async {
                name_client("portal");
                at_hand().map(|request| request.ids.reference.clone())
            });
            task.await.unwrap()
        });
        assert_eq!(heard.await.as_deref(), Some("7K3M-9Q0T"));
        assert_eq!(request.learnt().client_id.as_deref(), Some("portal"));
        name_client("nobody asks");
        assert!(at_hand().is_none() && spawn(async { at_hand() }).await.unwrap().is_none());
    }
}
