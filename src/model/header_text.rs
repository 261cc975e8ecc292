//! Text in a header. What strangers send is bytes: nothing of theirs takes what is ours away (G32).
//!
//! `HeaderValue::to_str` gives nothing at all for a value that holds one byte beyond ASCII; a lint forbids it.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The text of a value that may hold visible ASCII, spaces and tabs alone, as a credential, an origin or an entity tag.
#[must_use]
pub fn ascii(value: &HeaderValue) -> Option<&str> {
    let plain = value.as_bytes().iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    std::str::from_utf8(value.as_bytes()).ok().filter(|_| plain)
}

/// The text of a value that says something to people; what is no UTF-8 is replaced.
#[must_use]
pub fn lossy(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The items of a list that may be spread over lines, in the order they came, without the blanks around them.
pub fn items(headers: &HeaderMap, name: HeaderName, separator: u8) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(move |value| value.as_bytes().split(move |byte| *byte == separator)).map(<[u8]>::trim_ascii)
}

/// Whether a body is said to be of this media type, whatever parameters follow it.
#[must_use]
pub fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    items(headers, header::CONTENT_TYPE, b';').next().is_some_and(|named| named.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_byte_hides_only_the_item_that_holds_it() {
        let mut headers = HeaderMap::new();
        let odd = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        headers.append("x-list", odd(b"caf\xe9, 1"));
        headers.append("x-list", odd(b"2 ,"));
        headers.append("content-type", odd(b"Text/CSV; name=\"B\xc3\xbcro\""));
        let found: Vec<&[u8]> = items(&headers, HeaderName::from_static("x-list"), b',').collect();
        assert_eq!(found, [b"caf\xe9", b"1".as_slice(), b"2", b""]);
        assert!(is_of_type(&headers, "text/csv"));
        assert!(!is_of_type(&HeaderMap::new(), "text/csv"));
        assert_eq!(lossy(&odd(b"B\xc3\xbcro \xff")), "Büro \u{fffd}");
        assert_eq!((ascii(&odd(b"a b\t~")), ascii(&odd(b"\xc3\xbc"))), (Some("a b\t~"), None));
    }
}
