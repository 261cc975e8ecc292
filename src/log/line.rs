//! The one line that a request has. Its members are those of the event in [`Line::write`]; docs/operations/logs.md has
//! the same, and a test holds the two together.

use std::time::Duration;

use super::request::Request;
use crate::model::trace_context::hex;

/// The `target` of the line.
pub const TARGET: &str = "connect_idp::request";

/// What the line says beside what is known of the request.
#[derive(Debug)]
pub struct Line<'a> {
    /// Of which request.
    pub request: &'a Request,
    /// How it was answered; 499 where nobody waited for an answer any more.
    pub status: u16,
    /// How long that took.
    pub took: Duration,
}

impl Line<'_> {
    /// Writes it.
    pub fn write(&self) {
        if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            return;
        }
        let (request, learnt) = (self.request, self.request.learnt());
        let Request { http_method, route, ids, .. } = request;
        let status = self.status;
        let (method, outcome) = learnt.sign_in.unzip();
        tracing::info!(
            target: TARGET,
            http_method,
            route,
            status,
            duration_ms = milliseconds(self.took),
            reference = ids.reference,
            trace_id = hex(&ids.trace.trace_id),
            request_id = ids.request_id,
            client_id = learnt.client_id,
            provider = method.and(learnt.provider),
            method,
            outcome,
            "{http_method} {route} {status}"
        );
    }
}

/// To a thousandth.
fn milliseconds(took: Duration) -> f64 {
    f64::from(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::log::format::tests::written;
    use crate::log::tests::request;

    /// The first column of the tables of docs/operations/logs.md below this heading.
    fn told(heading: &str) -> BTreeSet<String> {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/logs.md")).unwrap();
        let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
        let rows = rest.lines().take_while(|line| !line.starts_with("## ")).filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
    }

    fn full() -> Request {
        let mut request = request("POST", "/login");
        request.ids.request_id = Some("edge-1".into());
        {
            let mut learnt = request.lock();
            learnt.client_id = Some("portal".into());
            learnt.provider = Some("SUNRISE-IL".into());
            learnt.sign_in = Some(("password", "success"));
        }
        request
    }

    #[test]
    fn every_member_of_the_line_is_told_and_no_other() {
        let request = full();
        let line =
            written(true, || Line { request: &request, status: 303, took: Duration::from_micros(12_345) }.write());
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(told("The line of a request"), line.keys().cloned().collect());
        let mut without_time = line;
        without_time.remove("timestamp").unwrap();
        let wanted = serde_json::json!({
            "level": "INFO",
            "target": "connect_idp::request",
            "message": "POST /login 303",
            "http_method": "POST",
            "route": "/login",
            "status": 303,
            "duration_ms": 12.345,
            "reference": "7K3M-9Q0T",
            "trace_id": "ab".repeat(16),
            "request_id": "edge-1",
            "client_id": "portal",
            "provider": "SUNRISE-IL",
            "method": "password",
            "outcome": "success",
        });
        assert_eq!(serde_json::Value::Object(without_time), wanted);
    }

    #[test]
    fn what_is_not_known_is_not_there_and_text_is_short() {
        let request = request("GET", "/");
        let write = || Line { request: &request, status: 200, took: Duration::from_millis(3) }.write();
        let line: serde_json::Value = serde_json::from_str(&written(true, write)).unwrap();
        for absent in ["request_id", "client_id", "provider", "method", "outcome"] {
            assert!(line.get(absent).is_none(), "{absent}");
        }
        let text = written(false, write);
        assert!(text.ends_with("  INFO GET / 200 in 3 ms, reference=7K3M-9Q0T\n"), "{text}");
        let request = full();
        let text =
            written(false, || Line { request: &request, status: 303, took: Duration::from_micros(12_345) }.write());
        let end = "POST /login 303 in 12.345 ms, reference=7K3M-9Q0T request_id=edge-1 client_id=portal provider=SUNRISE-IL method=password outcome=success\n";
        assert!(text.ends_with(end), "{text}");
    }
}
