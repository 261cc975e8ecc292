//! Addresses that may hold a password.

use url::Url;

/// What is shown in place of what may be a secret.
pub(super) const HIDDEN: &str = "hidden";

/// Of an address that may hold a password, what is none: scheme, host, port and path. Where a password could be
/// anywhere else than between the scheme and its one `@`, nothing.
#[must_use]
pub fn without_password(text: &str) -> String {
    if text.starts_with("sqlite:") && !text.contains('@') {
        return text.split('?').next().unwrap_or_default().to_owned();
    }
    if !is_whole(text) {
        return HIDDEN.to_owned();
    }
    let Ok(url) = Url::parse(text) else { return HIDDEN.to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Whether an address has something that is or may be a password.
#[must_use]
pub fn has_password(text: &str) -> bool {
    let Some(url) = Url::parse(text).ok().filter(|_| is_whole(text)) else { return true };
    url.password().is_some() || url.query_pairs().any(|(name, _)| name.contains("password"))
}

/// Whether an address has no more than one `@`, and that before its path: a `/`, `?` or `#` in a password that is not
/// percent-encoded ends what programs take for the host.
#[must_use]
pub fn is_whole(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let count = |text: &str| text.matches('@').count();
    count(rest) == count(authority) && count(authority) <= 1
}

/// Whether somebody can be reached by an address (RFC 9116 §2.5.3).
pub(super) fn is_contact(contact: &str) -> bool {
    let is_plain = contact.chars().all(|c| c.is_ascii_graphic());
    is_plain && Url::parse(contact).is_ok_and(|url| matches!(url.scheme(), "mailto" | "https" | "tel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_password() {
        for (address, words) in [
            ("postgres://idp:12/SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:/SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:12?SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:12#SeCrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:Se@CrEt@127.0.0.1/db", HIDDEN),
            ("postgres://idp:SeCrEt@[127.0.0.1/db", HIDDEN),
            ("postgres://idp:SeCrEt@127.0.0.1:5433/db?password=SeCrEt", "postgres://127.0.0.1:5433/db"),
            ("redis://:SeCrEt@cache.example.org/2", "redis://cache.example.org/2"),
            ("sqlite://connect.db", "sqlite://connect.db"),
        ] {
            assert_eq!(without_password(address), words, "{address}");
        }
    }

    #[test]
    fn an_address_that_has_or_may_have_a_password_is_known() {
        for has in [
            "postgres://idp:pa55@db/connect",
            "postgres://idp@db/connect?password=pa55",
            "postgres://idp:p@55@db",
            "pa55",
        ] {
            assert!(has_password(has), "{has}");
        }
        for has_none in
            ["postgres://idp@db.example.org/connect?sslmode=verify-full", "postgres:///connect?host=/run/postgresql"]
        {
            assert!(!has_password(has_none), "{has_none}");
        }
    }
}
