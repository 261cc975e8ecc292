//! Where to go after a sign-in: a path on this site, or nowhere (G12).

use std::fmt;
use std::str::FromStr;

/// A path on this site, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// Not a path on this site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLocal;

impl ReturnTo {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a query or form asks for; anything that is not a path on this site is dropped.
    #[must_use]
    pub fn parse_or_none(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// The path, or the Dashboard.
    #[must_use]
    pub fn or_home(target: Option<&Self>) -> &str {
        target.map_or("/", Self::as_str)
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReturnTo {
    type Err = NotLocal;

    fn from_str(text: &str) -> Result<Self, NotLocal> {
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let local = text.starts_with('/')
            && !text.starts_with("//")
            && text.len() <= 2048
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
            // Browsers resolve dots before they ask: "/.//host" would become "//host".
            && !path.split('/').any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."));
        // Coming back to a page that signs in or out would be going in circles.
        let circles = ["/login", "/logout", "/unified-login", "/password/update"];
        let circular = circles.iter().any(|c| path == *c || path.starts_with(&format!("{c}/")));
        if local && !circular { Ok(Self(text.to_owned())) } else { Err(NotLocal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_on_this_site_is_one() {
        for good in ["/", "/activity?before=1", "/a//b", "/password/change"] {
            assert!(good.parse::<ReturnTo>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "activity",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "/a b",
            "/é",
            "/.//evil.example",
            "/%2e//evil.example",
            "/a/../..//evil.example",
            "/login",
            "/login?x=1",
            "/logout",
        ] {
            assert_eq!(bad.parse::<ReturnTo>(), Err(NotLocal), "{bad}");
        }
    }
}
