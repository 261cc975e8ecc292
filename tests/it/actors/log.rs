//! What the service writes to its log.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use connect_idp::log::{TARGET, format};
use serde_json::{Map, Value};

static WRITTEN: Mutex<String> = Mutex::new(String::new());

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps from now on what every service of this process writes, as `log.format = "json"` has it.
pub fn keep_log() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Writer).event_format(format::Json);
        lines.with_max_level(tracing::level_filters::LevelFilter::INFO).init();
    });
}

/// How many lines hold all of these words: tests that run beside this one write into the same log.
pub fn logged(words: &[&str]) -> usize {
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    written.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// The lines of requests that belong to this trace, in the order they were written. Each line of any kind is an object
/// without another in it.
pub fn request_lines(trace_id: &str) -> Vec<Map<String, Value>> {
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = written.lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    let flat =
        lines.inspect(|line| assert!(line.values().all(|value| !value.is_object() && !value.is_array()), "{line:?}"));
    flat.filter(|line| line["target"] == TARGET && line["trace_id"] == trace_id).collect()
}
