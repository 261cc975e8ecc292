//! Requests as spans, in the JSON of OTLP 1 and by the semantic conventions of OpenTelemetry for HTTP. Nothing
//! personal: no path, no query, no address, no agent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::config::{Config, Site};
use crate::log::{Call, Request};
use crate::model::trace_context::hex;

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// A request that ended.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub request: Arc<Request>,
    /// How it was answered.
    pub status: u16,
    /// How long that took.
    pub took: Duration,
}

/// Who tells.
#[derive(Debug)]
pub(super) struct Source {
    site: &'static str,
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Source {
    pub(super) fn of(config: &Config) -> Self {
        let issuer = Url::parse(&config.issuer).ok();
        let issuer = issuer.as_ref();
        Self {
            site: match config.site {
                Site::Production => "production",
                Site::Beta => "beta",
            },
            scheme: issuer.map(|url| url.scheme().to_owned()).unwrap_or_default(),
            host: issuer.and_then(Url::host_str).unwrap_or_default().to_owned(),
            port: issuer.and_then(Url::port_or_known_default),
        }
    }

    /// The body of an `ExportTraceServiceRequest`.
    pub(super) fn export(&self, batch: &[Ended]) -> Value {
        let spans: Vec<Value> = batch.iter().flat_map(|ended| self.spans(ended)).collect();
        let resource = [
            text("service.name", "connect-idp"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("deployment.environment.name", self.site),
        ];
        let scope = json!({ "name": "connect-idp", "version": env!("CARGO_PKG_VERSION") });
        json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }] })
    }

    /// The request and what was asked of others for its sake.
    fn spans(&self, ended: &Ended) -> Vec<Value> {
        let Ended { request, status, took } = ended;
        let (ids, learnt) = (&request.ids, request.learnt());
        let came_at = u128::try_from(request.came_at.0).unwrap_or_default() * 1_000_000;
        let mut attributes = vec![
            text("http.request.method", request.http_method),
            number("http.response.status_code", *status),
            text("url.scheme", &self.scheme),
            text("server.address", &self.host),
            text("connect_idp.reference", &ids.reference),
        ];
        attributes.extend(self.port.map(|port| number("server.port", port)));
        let has_route = request.route.starts_with('/');
        attributes.extend(has_route.then(|| text("http.route", &request.route)));
        attributes.extend(learnt.client_id.map(|id| text("connect_idp.client_id", &id)));
        if let Some((method, outcome)) = learnt.sign_in {
            attributes.extend([text("connect_idp.method", method), text("connect_idp.outcome", outcome)]);
        }
        let name =
            if has_route { format!("{} {}", request.http_method, request.route) } else { request.http_method.into() };
        let times = [came_at, came_at + took.as_nanos()];
        let mut server =
            span(&hex(&ids.trace.trace_id), ids.span, ids.trace.parent, (&name, SERVER), times, &attributes);
        if *status >= 500 {
            fail(&mut server, &status.to_string());
        }
        let calls = request.take_calls();
        let calls = calls.iter().map(|call| asked(request, came_at, call));
        std::iter::once(server).chain(calls).collect()
    }
}

fn asked(request: &Request, came_at: u128, call: &Call) -> Value {
    let at = |instant: tokio::time::Instant| came_at + instant.duration_since(request.begun).as_nanos();
    let mut attributes = vec![text("http.request.method", &call.http_method), text("server.address", &call.host)];
    attributes.extend(call.port.map(|port| number("server.port", port)));
    attributes.extend(call.status.map(|status| number("http.response.status_code", status)));
    let ids = &request.ids;
    let times = [at(call.begun), at(call.ended)];
    let kind = (call.http_method.as_str(), CLIENT);
    let mut client = span(&hex(&ids.trace.trace_id), call.span, Some(ids.span), kind, times, &attributes);
    match call.status {
        None => fail(&mut client, "no_answer"),
        Some(status) if status >= 400 => fail(&mut client, &status.to_string()),
        Some(_) => {}
    }
    client
}

fn span(
    trace_id: &str,
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    (name, kind): (&str, u8),
    [begin, end]: [u128; 2],
    attributes: &[Value],
) -> Value {
    json!({
        "traceId": trace_id,
        "spanId": hex(&id),
        "parentSpanId": parent.map(|id| hex(&id)).unwrap_or_default(),
        "name": name,
        "kind": kind,
        // 64-bit numbers are texts in the JSON of Protocol Buffers.
        "startTimeUnixNano": begin.to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": attributes,
        "status": {},
    })
}

fn fail(span: &mut Value, kind: &str) {
    span["status"] = json!({ "code": ERROR });
    if let Some(attributes) = span["attributes"].as_array_mut() {
        attributes.push(text("error.type", kind));
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u16) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::request;

    #[test]
    fn a_request_and_its_calls_are_spans_of_one_trace() {
        let one = request("POST", "/oauth2/token").traced(true);
        let call = one.begin_call("GET", &"https://portal.example.org/jwks?secret".parse().unwrap());
        one.end_call(call, None);
        let config = Config { issuer: "https://connect.example.org".into(), ..Config::default() };
        let ended = Ended { request: Arc::new(one), status: 503, took: Duration::from_micros(1500) };
        let exported = Source::of(&config).export(&[ended]);
        let spans = exported["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0]["name"], "POST /oauth2/token");
        assert_eq!((&spans[0]["kind"], &spans[1]["kind"]), (&json!(2), &json!(3)));
        assert_eq!(spans[0]["startTimeUnixNano"], "1800000000000000000");
        assert_eq!(spans[0]["endTimeUnixNano"], "1800000000001500000");
        assert_eq!((&spans[0]["parentSpanId"], &spans[1]["parentSpanId"]), (&json!(""), &spans[0]["spanId"]));
        assert_eq!(spans[0]["traceId"], spans[1]["traceId"]);
        let attributes: Vec<_> =
            spans[0]["attributes"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
        let wanted = [
            "http.request.method",
            "http.response.status_code",
            "url.scheme",
            "server.address",
            "connect_idp.reference",
            "server.port",
            "http.route",
            "error.type",
        ];
        assert_eq!(attributes, wanted);
        assert_eq!(spans[1]["status"]["code"], 2);
        assert!(!exported.to_string().contains("secret"));
    }
}
