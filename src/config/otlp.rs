//! `[otlp]`: the collector that our part of each trace is sent to. Without the section none is.

use std::fmt;

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::fault::must;
use crate::model::address::is_loopback;

/// `[otlp]`
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Its address for OTLP over HTTP, without the path `/v1/traces`.
    pub endpoint: String,
    /// What is sent along: `name=value`, several with commas between them.
    #[serde(default)]
    pub headers: Option<String>,
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Otlp {
    /// Where traces go.
    #[must_use]
    pub fn address(&self) -> Option<Url> {
        let url = Url::parse(&self.endpoint).ok()?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let address = format!("{}/v1/traces", self.endpoint.trim_end_matches('/'));
        Url::parse(&address).ok().filter(|_| is_plain)
    }

    /// What is sent along; `None` where it cannot be read.
    #[must_use]
    pub fn pairs(&self) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let items = self.headers.iter().flat_map(|text| text.split(',')).filter(|item| !item.trim().is_empty());
        let pair = |item: &str| {
            let (name, value) = item.split_once('=')?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name.trim()).ok()?, value))
        };
        items.map(pair).collect()
    }

    /// Whether what is sent along can be read on the way.
    #[must_use]
    pub fn is_unprotected(&self) -> bool {
        let in_clear = |url: &Url| url.scheme() == "http" && !is_loopback(url);
        self.headers.is_some() && self.address().is_some_and(|url| in_clear(&url))
    }

    /// Refuses what cannot be right.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let words = "must be an http or https address without user, query and fragment, as http://collector:4318";
        must(self.address().is_some(), "otlp.endpoint", words)?;
        must(self.pairs().is_some(), "otlp.headers", "must be name=value, several with commas between them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_and_what_is_sent_along_are_plain() {
        let otlp = |endpoint: &str, headers: &str| Otlp { endpoint: endpoint.into(), headers: Some(headers.into()) };
        let address = |endpoint| otlp(endpoint, "").address().map(String::from);
        assert_eq!(address("http://collector:4318").unwrap(), "http://collector:4318/v1/traces");
        assert_eq!(address("https://example.org/otlp/").unwrap(), "https://example.org/otlp/v1/traces");
        for wrong in ["", "collector:4318", "grpc://collector:4317", "http://a:b@c", "http://c?x=1", "http://c#x"] {
            assert!(address(wrong).is_none() && otlp(wrong, "").check().is_err(), "{wrong}");
        }
        let secret = otlp("http://collector:4318", "Authorization=Basic a=b==, x-tenant = 7,");
        let pairs: Vec<_> = secret
            .pairs()
            .unwrap()
            .into_iter()
            .map(|(name, value)| format!("{name}:{}", value.as_bytes().escape_ascii()))
            .collect();
        assert_eq!(pairs, ["authorization:Basic a=b==", "x-tenant:7"]);
        assert!(!format!("{secret:?}").contains("a=b"));
        assert!(otlp("http://collector:4318", "no value").check().is_err());
    }
}
