//! Addresses that others give us: absolute, spelt as they will be used, and where they may lead.

use url::{Host, Url};

/// No address that is stored is longer.
pub const MOST: usize = 2048;

/// Whether a URL's host is this machine by name or address.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => std::net::IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

/// Reads an absolute URI (RFC 3986 §4.3, with a fragment).
///
/// # Errors
/// What it must be, as the end of a sentence.
pub fn absolute(text: &str) -> Result<Url, String> {
    if text.len() > MOST {
        return Err(format!("holds an address of more than {MOST} characters"));
    }
    // RFC 3986 §2: what else stands in an address is percent-encoded; readers disagree about what is not.
    let legal = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    let url = Url::parse(text).ok().filter(|url| text.bytes().all(legal) && text.starts_with(url.scheme()));
    url.ok_or_else(|| format!("holds {}, which is not an absolute address", shown(text)))
}

/// Reads an https address; http for loopback hosts where that is allowed. User names and passwords are never accepted,
/// nor a host that is spelt otherwise than it is used.
///
/// # Errors
/// What it must be, as the end of a sentence.
pub fn web(text: &str, loopback_http: bool) -> Result<Url, String> {
    let url = absolute(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("holds {}, an address with a user name", shown(text)));
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback_http && is_loopback(&url) => {}
        _ => return Err(format!("holds {}, which is not an https address", shown(text))),
    }
    let rest = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    let rest = rest.unwrap_or_default().to_ascii_lowercase();
    let host = url.host_str().filter(|host| !host.is_empty() && rest.starts_with(host));
    host.ok_or_else(|| format!("holds {}, whose host is not written out plainly", shown(text)))?;
    Ok(url)
}

/// A text from elsewhere in a sentence of ours: quoted, and not longer than people read.
#[must_use]
pub fn shown(text: &str) -> String {
    let start: String = text.chars().take(100).collect();
    let rest = if start.len() < text.len() { "…" } else { "" };
    format!("{:?}", start + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_absolute_https_and_spelt_plainly() {
        for good in
            ["https://a.example", "https://A.example:8443/x?y=z#f", "https://[2001:db8::1]/", "https://10.0.0.1/"]
        {
            assert!(web(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/x",
            "a.example",
            "http://a.example/",
            "http://localhost/",
            "HTTPS://a.example/",
            "https:/a.example/",
            "https:a.example",
            "https:\\\\a.example",
            "https://u@a.example/",
            "https://u:p@a.example/",
            "https://a.ex%61mple/",
            "https://127.1/",
            "https://a.example/a b",
            "https://a.example/\u{e9}",
            "https://a.example/{x}",
            "javascript:alert(1)",
            "com.example.app:/x",
        ] {
            assert!(web(bad, false).is_err(), "{bad}");
        }
        assert!(web("http://localhost:4000/x", true).is_ok() && web("http://[::1]:1/", true).is_ok());
        assert!(web("http://a.example/", true).is_err());
        assert!(web(&format!("https://a.example/{}", "x".repeat(MOST)), true).unwrap_err().len() < 100);
    }
}
