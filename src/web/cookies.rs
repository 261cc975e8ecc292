//! Our cookies: `HttpOnly`, `SameSite=Lax` always written out, never Strict (G27); `__Host-` and `Secure` on https.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Config;
use crate::crypto::secret::{Secret, digest};
use crate::model::header_text;

/// Which cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// The session.
    Session,
    /// A right temporary password, on its way to the Update Password page.
    PreAuth,
    /// One handoff, by its id.
    Handoff(String),
    /// The browser itself: apps' requests that wait for a person are bound to it.
    Browser,
    /// What the page of this path says once.
    Notice(String),
    /// A form that was sent after its session's end.
    Form,
    /// The Provider Code that was last used here, or [`SHARED_COMPUTER`].
    ProviderCode,
}

/// In place of a Provider Code: this computer is shared, and none is remembered.
pub const SHARED_COMPUTER: &str = ".";

/// How the names of cookies of a [`Cookie::Notice`] begin.
const NOTICE: &str = "connect-notice-";

impl Cookie {
    fn name(&self, config: &Config) -> String {
        // Browsers send a host's cookies to each of its ports (RFC 6265 §8.5): services beside each other have names of
        // their own. That of a handoff is its own already.
        let port = port(config);
        let name = match self {
            Self::Session => format!("connect-session{port}"),
            Self::PreAuth => format!("connect-update{port}"),
            Self::Handoff(id) => format!("handoff-{id}"),
            Self::Browser => format!("connect-browser{port}"),
            Self::Notice(path) => format!("{NOTICE}{}{port}", digest(path).get(..12).unwrap_or_default()),
            Self::Form => format!("connect-form{port}"),
            Self::ProviderCode => format!("connect-provider{port}"),
        };
        if config.is_https() { format!("__Host-{name}") } else { name }
    }

    /// The secret a request brings in this cookie; `None` for anything that we never set.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap, config: &Config) -> Option<Secret> {
        Secret::parse(self.read_text(headers, config)?)
    }

    /// What a request brings in this cookie.
    #[must_use]
    pub fn read_text<'a>(&self, headers: &'a HeaderMap, config: &Config) -> Option<&'a str> {
        let pairs = || header_text::items(headers, header::COOKIE, b';');
        let is_notice = |pair: &[u8]| pair.strip_prefix(b"__Host-").unwrap_or(pair).starts_with(NOTICE.as_bytes());
        // Its name is a digest, which is made where there may be one.
        if matches!(self, Self::Notice(_)) && !pairs().any(is_notice) {
            return None;
        }
        let (name, mut pairs) = (self.name(config), pairs());
        let value = pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        std::str::from_utf8(value).ok()
    }

    /// The secret that a browser holds in this cookie once it has an answer: a new one, none, or the one it held.
    #[must_use]
    pub fn after(&self, held: Option<Secret>, answer: &HeaderMap, config: &Config) -> Option<Secret> {
        let begin = format!("{}=", self.name(config));
        let mut set =
            answer.get_all(header::SET_COOKIE).iter().filter_map(|text| header_text::ascii(text)?.strip_prefix(&begin));
        set.next_back().map_or(held, |value| Secret::parse(value.split(';').next().unwrap_or_default()))
    }

    /// The header that sets it.
    #[must_use]
    pub fn set(&self, secret: &Secret, config: &Config) -> HeaderValue {
        self.set_text(&secret.reveal(), config)
    }

    /// The header that sets it to a text of our own making.
    #[must_use]
    pub fn set_text(&self, value: &str, config: &Config) -> HeaderValue {
        let life = match self {
            // As long as a repeat of its last step is answered.
            Self::Handoff(_) => "; Max-Age=600",
            // Tabs that a restarted browser brings back find the one they were bound to.
            Self::Browser | Self::ProviderCode => "; Max-Age=31536000",
            // The page follows at once, or after a page that tells other apps of a logout.
            Self::Notice(_) => "; Max-Age=300",
            // As long as the form is given back.
            Self::Form => "; Max-Age=900",
            Self::Session | Self::PreAuth => "",
        };
        self.header(value, life, config)
    }

    /// The header that clears it.
    #[must_use]
    pub fn clear(&self, config: &Config) -> HeaderValue {
        self.header("", "; Max-Age=0", config)
    }

    fn header(&self, value: &str, life: &str, config: &Config) -> HeaderValue {
        let secure = if config.is_https() { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{life}", self.name(config));
        let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

/// The port at the end of a name; none on https where the issuer names none, and none on http where it is the usual
/// 8080.
fn port(config: &Config) -> String {
    match (config.is_https(), config.issuer_port()) {
        (true, None) | (false, Some("8080")) => String::new(),
        (true | false, Some(port)) => format!("-{port}"),
        (false, None) => "-80".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    #[test]
    fn a_cookie_comes_back_as_it_was_set() {
        let config = Config { issuer: "https://connect.example.org".into(), ..Config::default() };
        let secret = Secret::random(&Random::seeded(1));
        let set = Cookie::Session.set(&secret, &config);
        let set = header_text::ascii(&set).unwrap();
        assert!(set.starts_with("__Host-connect-session="));
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
        let mut headers = HeaderMap::new();
        let pair = set.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("a=b; {pair}").parse().unwrap());
        assert_eq!(Cookie::Session.read(&headers, &config), Some(secret));
        assert_eq!(Cookie::PreAuth.read(&headers, &config), None);
    }

    #[test]
    fn services_at_several_ports_of_a_host_have_cookies_of_their_own() {
        let random = Random::seeded(1);
        let of = |issuer: &str| Config { issuer: issuer.into(), ..Config::default() };
        let issuers = [
            "http://localhost",
            "http://localhost:8080",
            "http://localhost:8081",
            "https://localhost",
            "https://localhost:8443",
        ];
        for cookie in [Cookie::Session, Cookie::PreAuth, Cookie::Browser] {
            // A browser keeps one cookie of a name, whatever the port.
            let mut jar = std::collections::BTreeMap::new();
            let secrets = issuers.map(|issuer| {
                let secret = Secret::random(&random);
                let set = cookie.set(&secret, &of(issuer));
                let (name, value) =
                    header_text::ascii(&set).unwrap().split(';').next().unwrap().split_once('=').unwrap();
                jar.insert(name.to_owned(), value.to_owned());
                secret
            });
            let mut headers = HeaderMap::new();
            let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
            for (issuer, secret) in issuers.into_iter().zip(secrets) {
                assert_eq!(cookie.read(&headers, &of(issuer)), Some(secret), "{cookie:?} of {issuer}");
            }
        }
        assert_eq!(Cookie::Session.name(&of("http://localhost:8080")), "connect-session");
        assert_eq!(Cookie::Session.name(&of("http://localhost:8081")), "connect-session-8081");
        assert_eq!(Cookie::Session.name(&of("https://connect.example.org")), "__Host-connect-session");
    }

    #[test]
    fn a_foreign_byte_in_a_cookie_takes_no_cookie_of_ours_away() {
        let config = Config::default();
        let secret = Secret::random(&Random::seeded(1));
        let mut headers = HeaderMap::new();
        let pair = format!("city=M\u{fc}nchen; connect-session={}; \u{1f36a}", secret.reveal());
        headers.append(header::COOKIE, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        headers.append(header::COOKIE, HeaderValue::from_bytes(pair.as_bytes()).unwrap());
        assert_eq!(Cookie::Session.read(&headers, &config), Some(secret));
    }
}
