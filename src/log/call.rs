//! The requests of ours to others that one request brings about: each is a span of the same trace.

use tokio::time::Instant;

/// The most that are remembered of one request.
pub(super) const MAX_CALLS: usize = 16;
/// What parts the spans of one request: odd, so that no two are the same.
pub(super) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

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
