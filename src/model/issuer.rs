//! A trusted issuer: a sister product whose signed handoffs open sessions here.

use std::collections::BTreeMap;

use url::Url;

use super::version::Version;

/// A trusted issuer as stored.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// UUIDv7.
    pub id: String,
    /// The exact `iss`.
    pub issuer: String,
    /// What people call it.
    pub display_name: String,
    /// The origins its pages may send from.
    pub origins: Vec<String>,
    /// Its keys, inline.
    pub jwks: Option<String>,
    /// Or where they are published.
    pub jwks_uri: Option<String>,
    /// What that address last gave that was good.
    pub last_good_jwks: Option<String>,
    /// Its own client here, if it has one.
    pub client_id: Option<String>,
    /// Its `acr` values and what they become here.
    pub acr: BTreeMap<String, String>,
    /// Switched on.
    pub enabled: bool,
    /// Grows when its sessions are ended (G9).
    pub epoch: i64,
    /// Grows with every change, so that parsed keys are never older than the row.
    pub revision: i64,
}

impl TrustedIssuer {
    /// Its version, for who is asked to confirm an act.
    #[must_use]
    pub const fn version(&self) -> Version {
        Version { revision: self.revision, epoch: self.epoch }
    }
}

/// Whether a text is an origin exactly as browsers write it: scheme, host, port unless it is the scheme's own.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_spelt_as_browsers_spell_it() {
        for good in ["https://secure.example.net", "http://127.0.0.1:4000", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "https://secure.example.net/",
            "https://Secure.example.net",
            "https://a.example:443",
            "null",
            "*",
            "ftp://a",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
