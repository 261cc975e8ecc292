//! The trace that a request belongs to, as W3C Trace Context has it (level 1, and the random flag of level 2).
//!
//! Whoever sends a `traceparent` that is right word for word gives the trace its id, and nothing else: whether we keep
//! a trace is never theirs to say. Everything else begins a trace of our own, and its `tracestate` is dropped with it.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName};

use super::header_text;

/// The header that names the trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header in which those along the way keep what is theirs.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// As long is a `traceparent` of version 00, and what is read of a later one.
const LENGTH: usize = 55;
/// Members of a `tracestate` at most (§3.3.1.1); with more the whole is dropped.
const MAX_MEMBERS: usize = 32;
/// As much of a `tracestate` is passed on (§3.3.1.5).
const MAX_STATE: usize = 512;
/// Members longer than this are left out first (§3.3.1.5).
const LONG_MEMBER: usize = 128;

const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// The trace that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The id of the trace.
    pub trace_id: [u8; 16],
    /// The span of whoever asked, where the trace was begun there.
    pub parent: Option<[u8; 8]>,
    is_sampled: bool,
    is_random: bool,
    state: Option<String>,
}

impl TraceContext {
    /// The trace that these headers name, or a new one with this id.
    #[must_use]
    pub fn of(headers: &HeaderMap, fresh: [u8; 16]) -> Self {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let named = match (lines.next(), lines.next()) {
            (Some(line), None) => parse(line.as_bytes()),
            _ => None,
        };
        match named {
            Some(named) => Self { state: state(headers), ..named },
            None => Self { trace_id: fresh, parent: None, is_sampled: false, is_random: true, state: None },
        }
    }

    /// The header for a request of ours that is this span of the trace. `is_kept` says that we keep our part of the
    /// trace; otherwise what was said to us is said again.
    #[must_use]
    pub fn traceparent(&self, span: [u8; 8], is_kept: bool) -> String {
        let flags = if is_kept || self.is_sampled { SAMPLED } else { 0 } | if self.is_random { RANDOM } else { 0 };
        format!("00-{}-{}-{flags:02x}", hex(&self.trace_id), hex(&span))
    }

    /// The other header, where there is one to be passed on.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Small letters and digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// §3.2.2 for version 00, §4.3 for a later one.
fn parse(text: &[u8]) -> Option<TraceContext> {
    let (head, rest) = text.split_at_checked(LENGTH)?;
    let [version] = unhex::<1>(&head[..2])?;
    let is_right_end = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.first().is_none_or(|next| *next == b'-'),
    };
    let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    let (trace_id, parent, [flags]) =
        (unhex::<16>(&head[3..35])?, unhex::<8>(&head[36..52])?, unhex::<1>(&head[53..])?);
    let is_some_id = trace_id != [0; 16] && parent != [0; 8];
    (is_right_end && dashes && is_some_id).then_some(TraceContext {
        trace_id,
        parent: Some(parent),
        is_sampled: flags & SAMPLED != 0,
        is_random: flags & RANDOM != 0,
        state: None,
    })
}

/// The bytes that these small letters and digits are.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// What of `tracestate` is passed on: the members in their order, as long as there is room; nothing where one is not
/// right.
fn state(headers: &HeaderMap) -> Option<String> {
    let members: Vec<&[u8]> =
        header_text::items(headers, TRACESTATE, b',').filter(|member| !member.is_empty()).collect();
    let keys: Option<Vec<&[u8]>> = members.iter().map(|member| key_of(member)).collect();
    let mut keys = keys?;
    keys.sort_unstable();
    let is_repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
    if members.is_empty() || members.len() > MAX_MEMBERS || is_repeated {
        return None;
    }
    let length = |members: &[&[u8]]| members.iter().map(|member| member.len() + 1).sum::<usize>() - 1;
    let mut kept = members;
    while length(&kept) > MAX_STATE {
        let long = kept.iter().rposition(|member| member.len() > LONG_MEMBER);
        kept.remove(long.unwrap_or(kept.len() - 1));
        if kept.is_empty() {
            return None;
        }
    }
    String::from_utf8(kept.join(&b',')).ok()
}

/// The key of a member that is right (§3.3.1.3; a key as level 2 has it, which takes all of level 1).
fn key_of(member: &[u8]) -> Option<&[u8]> {
    let at = member.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&member[..at], &member[at + 1..]);
    let small = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let key_is_right = key.first().is_some_and(small)
        && key.len() <= 256
        && key.iter().all(|byte| small(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@'));
    let value_is_right = (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'='));
    (key_is_right && value_is_right).then_some(key)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const RIGHT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(lines: &[(&'static str, &str)]) -> TraceContext {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        TraceContext::of(&headers, [7; 16])
    }

    fn is_taken(traceparent: &str) -> bool {
        of(&[("traceparent", traceparent)]).trace_id != [7; 16]
    }

    #[test]
    fn a_traceparent_that_is_right_is_taken_over() {
        let trace = of(&[("traceparent", RIGHT)]);
        assert_eq!(hex(&trace.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent.map(|span| hex(&span)).unwrap(), "b7ad6b7169203331");
        assert_eq!(trace.traceparent([1; 8], false), "00-0af7651916cd43dd8448eb211c80319c-0101010101010101-01");
        let id = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        for (sent, passed_on) in [("00", "00"), ("02", "02"), ("03", "03"), ("fc", "00"), ("ff", "03")] {
            let trace = of(&[("traceparent", &format!("00-{id}-{sent}"))]);
            assert!(trace.traceparent([1; 8], false).ends_with(passed_on), "{sent}");
        }
        // A later version is read as far as this one goes, and passed on as this one.
        for later in [format!("01-{id}-01"), format!("cc-{id}-01-what-comes"), format!("fe-{id}-01-")] {
            assert!(of(&[("traceparent", &later)]).traceparent([1; 8], false).starts_with("00-0af765"), "{later}");
        }
    }

    #[test]
    fn any_other_begins_a_trace_of_our_own() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        for wrong in [
            "",
            "00",
            &RIGHT[..54],
            &format!("{RIGHT}-"),
            &format!("{RIGHT}-00"),
            &format!("{RIGHT} "),
            &RIGHT.to_uppercase(),
            &format!("0A-{id}-b7ad6b7169203331-01"),
            &format!("ff-{id}-b7ad6b7169203331-01"),
            &format!("01-{id}-b7ad6b7169203331-01.x"),
            &format!("01-{id}-b7ad6b7169203331-0100"),
            &format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            &format!("00-{id}-{}-01", "0".repeat(16)),
            &format!("00-{id}-b7ad6b7169203331-0g"),
            &format!("00_{id}_b7ad6b7169203331_01"),
            &format!("00-{id}-B7ad6b7169203331-01"),
            &format!(" {RIGHT}"),
            &format!("{RIGHT},{RIGHT}"),
        ] {
            assert!(!is_taken(wrong), "{wrong:?}");
        }
        assert!(is_taken(RIGHT));
        let twice = of(&[("traceparent", RIGHT), ("traceparent", RIGHT), ("tracestate", "a=1")]);
        assert_eq!((twice.trace_id, twice.parent, twice.tracestate()), ([7; 16], None, None));
        assert_eq!(twice.traceparent([1; 8], false), format!("00-{}-{}-02", "07".repeat(16), "01".repeat(8)));
        assert!(twice.traceparent([1; 8], true).ends_with("-03"));
    }

    #[test]
    fn a_tracestate_goes_along_as_far_as_it_is_right() {
        let state = |lines: &[&str]| {
            let mut headers = vec![("traceparent", RIGHT)];
            headers.extend(lines.iter().map(|line| ("tracestate", *line)));
            of(&headers).tracestate().map(str::to_owned)
        };
        assert_eq!(
            state(&["rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE", "", "1-a_b*c/d@e=x y"]).unwrap(),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,1-a_b*c/d@e=x y"
        );
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(state(&[&many(32)]), Some(many(32)));
        for wrong in ["", ",", "a", "=1", "a=", "A=1", "a=1=2", "a=1,a=2", "a=\u{e9}", "a b=1", &many(33)] {
            assert_eq!(state(&[wrong]), None, "{wrong:?}");
        }
        // The long ones go first, then those at the end.
        let (long, short) = (format!("long={}", "x".repeat(200)), format!("s={}", "x".repeat(100)));
        let others: Vec<String> = (0..5).map(|n| format!("k{n}={}", "y".repeat(90))).collect();
        let all = format!("{long},{short},{}", others.join(","));
        assert_eq!(state(&[&all]).unwrap(), format!("{short},{}", others[..4].join(",")));
        assert_eq!(of(&[("tracestate", "a=1")]).tracestate(), None, "without a trace of theirs");
    }
}
