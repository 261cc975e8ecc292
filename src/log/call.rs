//! The requests of ours to others that one request brings about: each is a span of the same trace.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use url::Url;

use super::Request;

/// So many are remembered of one request.
const MAX_CALLS: usize = 16;
/// What parts the spans of one request: odd, so that no two are the same.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A request of ours to others.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its span.
    pub span: [u8; 8],
    /// Its method.
    pub http_method: String,
    /// Whom it asks.
    pub host: String,
    /// At which port.
    pub port: Option<u16>,
    /// When it began.
    pub begun: Instant,
    /// When it ended.
    pub ended: Instant,
    /// How it was answered, if at all.
    pub status: Option<u16>,
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::log::tests::request;

    #[test]
    fn each_call_is_a_span_of_its_own_in_the_same_trace() {
        let request = request("POST", "/oauth2/token");
        let url = "https://portal.example.org/jwks?x=1".parse().unwrap();
        let calls: Vec<_> = (0..40).map(|_| request.begin_call("GET", &url)).collect();
        let mut spans: BTreeSet<_> = calls.iter().map(|call| call.span).collect();
        assert!(spans.insert(request.ids.span) && spans.insert([0; 8]) && spans.len() == 42);
        for call in calls {
            let traceparent = request.traceparent(&call);
            assert!(traceparent.starts_with(&format!("00-{}-", "ab".repeat(16))) && traceparent.ends_with("-02"));
            request.end_call(call, Some(200));
        }
        assert_eq!((request.take_calls().len(), request.take_calls().len()), (16, 0));
    }
}
