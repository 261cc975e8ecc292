//! The two forms in which `/metrics` answers, and which of them an `Accept` asks for.

use std::borrow::Cow;

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Classic,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

/// As narrow is a range that names one form, and not a kind of them.
const NAMED: u8 = 2;

/// One range of an `Accept` (RFC 9110 §12.5.1) that one of our forms is in.
#[derive(Clone, Copy)]
struct Range {
    form: Option<Format>,
    /// How narrow it is: the narrowest that a form is in says how welcome that form is.
    narrow: u8,
    /// Thousandths.
    quality: u16,
}

impl Format {
    /// The answer's `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The form that an `Accept` asks for. Who takes any, or none that we have, gets the classic one, which people can
    /// read in a browser; who names `OpenMetrics` and likes it as much gets that.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let ranges: Vec<Range> = accept.split(',').filter_map(Range::parse).collect();
        let welcome = |form| {
            let of_form = ranges.iter().filter(|range| range.form.is_none_or(|named| named == form));
            of_form
                .max_by_key(|range| (range.narrow, range.quality))
                .map_or((0, 0), |range| (range.quality, range.narrow))
        };
        let (open, classic) = (welcome(Self::OpenMetrics), welcome(Self::Classic));
        let is_named = open.0 > 0 && open.1 >= NAMED;
        if open > classic || is_named && open.0 == classic.0 { Self::OpenMetrics } else { Self::Classic }
    }

    /// What the library wrote, which is `OpenMetrics`, in this form.
    #[must_use]
    pub fn written(self, text: String) -> String {
        match self {
            Self::Classic => classic(&text),
            Self::OpenMetrics => text,
        }
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (form, mut narrow) = match parts.next()?.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => (Some(Format::OpenMetrics), NAMED),
            "text/plain" => (Some(Format::Classic), NAMED),
            "application/*" => (Some(Format::OpenMetrics), 1),
            "text/*" => (Some(Format::Classic), 1),
            "*/*" => (None, 0),
            _ => return None,
        };
        let mut quality = 1000;
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = thousandths(value)?,
                "version" => {
                    let ours = match form? {
                        Format::Classic => "0.0.4",
                        Format::OpenMetrics => "1.0.0",
                    };
                    if value != ours {
                        return None;
                    }
                    narrow = NAMED + 1;
                }
                _ => {}
            }
        }
        Some(Self { form, narrow, quality })
    }
}

/// A quality: `0` to `1`, with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_one = match whole {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    if is_one { (thousandths == 0).then_some(1000) } else { Some(thousandths) }
}

/// In the classic form a counter bears its whole name in HELP and TYPE, too; units and an end are unknown to it.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let written = match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["#", "HELP", name, ..] => {
                let is_counter = lines.peek().is_some_and(|next| *next == format!("# TYPE {name} counter"));
                if is_counter {
                    Cow::Owned(line.replacen(name, &format!("{name}_total"), 1))
                } else {
                    Cow::Borrowed(line)
                }
            }
            ["#", "TYPE", name, "counter"] => Cow::Owned(format!("# TYPE {name}_total counter")),
            ["#", "EOF" | "UNIT", ..] => continue,
            _ => Cow::Borrowed(line),
        };
        classic.push_str(&written);
        classic.push('\n');
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus sends it, of each version from 2.5 on.
    #[test]
    fn each_scraper_gets_the_form_it_likes_best() {
        for (accept, form) in [
            // Prometheus 2.5 to 2.46.
            ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Classic),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            // 2.49 on, with and without protocol buffers.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.2",
                Format::Classic,
            ),
            // 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
                Format::Classic,
            ),
        ] {
            assert_eq!(Format::accepted(accept), form, "{accept}");
        }
    }

    #[test]
    fn qualities_and_ranges_are_those_of_http() {
        for (accept, form) in [
            ("", Format::Classic),
            ("*/*", Format::Classic),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Classic),
            ("application/json", Format::Classic),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("text/plain, application/openmetrics-text", Format::OpenMetrics),
            ("text/plain;version=0.0.4, application/openmetrics-text", Format::OpenMetrics),
            ("APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.2", Format::OpenMetrics),
            ("application/*", Format::OpenMetrics),
            ("text/plain;q=0, */*", Format::OpenMetrics),
            ("application/openmetrics-text;q=0, */*", Format::Classic),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.51", Format::OpenMetrics),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.499", Format::Classic),
            ("application/openmetrics-text;version=2.0.0", Format::Classic),
            ("application/openmetrics-text;q=7, text/plain;q=0.1", Format::Classic),
        ] {
            assert_eq!(Format::accepted(accept), form, "{accept}");
        }
    }

    #[test]
    fn the_classic_form_has_whole_names_and_no_end() {
        let open = "# HELP a_things Things of a_things.\n# TYPE a_things counter\na_things_total{x=\"# EOF\"} 1\n\
                    # HELP b_seconds Long.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 0.0\n# EOF\n";
        let plain = "# HELP a_things_total Things of a_things.\n# TYPE a_things_total counter\na_things_total{x=\"# EOF\"} 1\n\
                     # HELP b_seconds Long.\n# TYPE b_seconds gauge\nb_seconds 0.0\n";
        assert_eq!(Format::Classic.written(open.into()), plain);
        assert_eq!(Format::OpenMetrics.written(open.into()), open);
    }
}
