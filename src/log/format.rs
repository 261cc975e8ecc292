//! How a line is written: as one JSON object whose members all stand beside each other, or as text for people. Both
//! name the request at hand, once.

use std::fmt;
use std::sync::Arc;

use serde::ser::{SerializeMap, Serializer as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line::TARGET;
use super::request::{Request, at_hand};
use crate::model::trace_context::hex;

/// One JSON object a line.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// Text for people.
#[derive(Clone, Copy, Debug)]
pub struct Text;

/// The members that every JSON line begins with; what an event has of the same name is written with an underscore
/// behind it.
const HEAD: [&str; 3] = ["timestamp", "level", "target"];

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Vec::with_capacity(512);
        write_json(&mut line, &timestamp, event).map_err(|_| fmt::Error)?;
        writeln!(writer, "{}", std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

fn write_json(line: &mut Vec<u8>, timestamp: &str, event: &Event<'_>) -> serde_json::Result<()> {
    let mut serializer = serde_json::Serializer::new(line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", timestamp)?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    map.serialize_entry("target", event.metadata().target())?;
    let mut members = Members { map, written: Vec::new(), failed: None };
    event.record(&mut members);
    // The line of a request names it already.
    if event.metadata().target() != TARGET
        && let Some(request) = at_hand()
    {
        members.name(&request);
    }
    match members.failed {
        Some(error) => Err(error),
        None => members.map.end(),
    }
}

/// The fields of an event as members of an object, each name once.
struct Members<M: SerializeMap> {
    map: M,
    written: Vec<&'static str>,
    failed: Option<M::Error>,
}

impl<M: SerializeMap> Members<M> {
    fn put(&mut self, name: &'static str, value: &(impl serde::Serialize + ?Sized)) {
        if self.failed.is_some() || self.written.contains(&name) {
            return;
        }
        self.written.push(name);
        let put = if HEAD.contains(&name) {
            self.map.serialize_entry(&format!("{name}_"), value)
        } else {
            self.map.serialize_entry(name, value)
        };
        self.failed = put.err();
    }

    /// What is known of the request at hand, but for what the event says itself.
    fn name(&mut self, request: &Arc<Request>) {
        self.put("reference", &request.ids.reference);
        self.put("trace_id", &hex(&request.ids.trace.trace_id));
        self.put("http_method", request.http_method);
        self.put("route", &request.route);
        if let Some(client_id) = request.learnt().client_id {
            self.put("client_id", &client_id);
        }
    }
}

impl<M: SerializeMap> Visit for Members<M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &format_args!("{value:?}"));
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        let level = *event.metadata().level();
        if writer.has_ansi_escapes() {
            write!(writer, " \x1b[{}m{level:>5}\x1b[0m ", colour(level))?;
        } else {
            write!(writer, " {level:>5} ")?;
        }
        if event.metadata().target() == TARGET {
            let mut sentence = Sentence { writer: &mut writer, result: Ok(()) };
            event.record(&mut sentence);
            sentence.result?;
            return writeln!(writer);
        }
        write!(writer, "{}: ", event.metadata().target())?;
        context.format_fields(writer.by_ref(), event)?;
        if let Some(request) = at_hand() {
            write!(writer, " request=\"{} {}\"", request.http_method, request.route)?;
            if event.fields().all(|field| field.name() != "reference") {
                write!(writer, " reference={}", request.ids.reference)?;
            }
            if let Some(client_id) = request.learnt().client_id {
                write!(writer, " client_id={client_id:?}")?;
            }
        }
        writeln!(writer)
    }
}

/// The colour of a level on a terminal.
const fn colour(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 31,
        tracing::Level::WARN => 33,
        tracing::Level::INFO => 32,
        tracing::Level::DEBUG => 34,
        tracing::Level::TRACE => 35,
    }
}

/// The line of a request for people: the message, how long it took, and who it was about.
struct Sentence<'a, 'w> {
    writer: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Sentence<'_, '_> {
    fn say(&mut self, words: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            self.result = self.writer.write_fmt(words);
        }
    }
}

impl Visit for Sentence<'_, '_> {
    fn record_f64(&mut self, _: &Field, value: f64) {
        self.say(format_args!(" in {value} ms,"));
    }

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        const SHOWN: [&str; 6] = ["reference", "request_id", "client_id", "provider", "method", "outcome"];
        if SHOWN.contains(&field.name()) {
            self.say(format_args!(" {}={value}", field.name()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.say(format_args!("{value:?}"));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use serde_json::{Map, Value};
    use tracing::subscriber::with_default;

    use super::*;
    use crate::log::tests::request;
    use crate::log::{name_client, working_for};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written meanwhile.
    pub(in crate::log) fn written(as_json: bool, work: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
        if as_json {
            with_default(lines.event_format(Json).finish(), work);
        } else {
            with_default(lines.event_format(Text).finish(), work);
        }
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn during_a_request(work: impl FnOnce()) {
        let request = Arc::new(request("GET", "/users/{id}"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(working_for(request, async {
            name_client("por tal");
            work();
        }));
    }

    #[test]
    fn every_member_of_a_line_stands_once_and_at_the_top() {
        let line = written(true, || {
            during_a_request(|| {
                let _entered = tracing::info_span!("outer", reference = "of a span", inner = 1).entered();
                tracing::warn!(target: "here", level = 7, mail = true, share = 0.5, off = -3, nothing = Option::<&str>::None, cause = ?"a\"\n", reference = %"OWN1-OWN1", "so it {}", "is");
            });
        });
        assert_eq!(line.matches("reference").count(), 1, "{line}");
        assert_eq!(line.matches('\n').count(), 1);
        let mut line: Map<String, Value> = serde_json::from_str(&line).unwrap();
        assert!(line.remove("timestamp").is_some_and(|at| at.as_str().is_some_and(|at| at.ends_with('Z'))));
        let wanted = serde_json::json!({
            "level": "WARN",
            "target": "here",
            "message": "so it is",
            "level_": 7,
            "mail": true,
            "share": 0.5,
            "off": -3,
            "cause": "\"a\\\"\\n\"",
            "reference": "OWN1-OWN1",
            "trace_id": "ab".repeat(16),
            "http_method": "GET",
            "route": "/users/{id}",
            "client_id": "por tal",
        });
        assert_eq!(Value::Object(line), wanted);
    }

    #[test]
    fn text_names_the_request_once() {
        let text = written(false, || during_a_request(|| tracing::info!(reason = "late", "it was refused")));
        let end = " INFO connect_idp::log::format::tests: it was refused reason=\"late\" request=\"GET /users/{id}\" reference=7K3M-9Q0T client_id=\"por tal\"\n";
        assert!(text.ends_with(end), "{text}");
        let text = written(false, || during_a_request(|| tracing::info!(reference = %"OWN1-OWN1", "refused")));
        assert_eq!(text.matches("reference").count(), 1, "{text}");
        let text = written(false, || tracing::error!("by itself"));
        assert!(text.ends_with("ERROR connect_idp::log::format::tests: by itself\n"), "{text}");
    }
}
