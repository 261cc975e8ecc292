//! The parameters of an OAuth request, from a query or a form body: each at most once, empty as good as absent
//! (RFC 6749 §3.1, §3.2).

use axum::http::HeaderMap;

use crate::model::header_text;

/// `state` and `nonce` are never longer.
pub const MAX_TEXT: usize = 2048;

/// The parameters in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

/// Those that may stand more than once (RFC 8707 §2).
const MANY: [&str; 2] = ["resource", "audience"];

impl Params {
    /// Reads a query or a form body, decoded from `application/x-www-form-urlencoded`; what is not UTF-8 becomes
    /// U+FFFD.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Reads a form body, if it says that it is one. An empty body needs no content type.
    #[must_use]
    pub fn of_form(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let is_form = header_text::is_of_type(headers, "application/x-www-form-urlencoded");
        (is_form || body.is_empty()).then(|| Self::parse(body))
    }

    /// The first value of a parameter that is not empty: a parameter without a value counts as left out (RFC 6749
    /// §3.1).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may stand more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The name of a parameter that stands more than once and may not (RFC 6749 §3.1); `resource` and `audience` may.
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1] && !MANY.contains(&pair[0])).map(|pair| pair[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_absent_and_only_resources_may_repeat() {
        let params = Params::parse(b"a=1&b=&resource=x&resource=y&c=%20+");
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), (Some("1"), None, Some("  ")));
        assert_eq!(params.all("resource").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(params.repeated(), None);
        assert_eq!(Params::parse(b"a=1&b=2&a=1").repeated(), Some("a"));
    }
}
