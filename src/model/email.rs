//! E-mail addresses: which texts are the same one.

use url::Host;

/// Whether two texts are the same address: domains are the same in any case and spelling (RFC 5321 §2.4, RFC 5891), and
/// only the server there knows of the part before them, which must be the same letter by letter.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || (one.contains('@') && key(one) == key(other))
}

/// One text for all that are the same address.
#[must_use]
pub fn key(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return address.to_owned();
    };
    let domain = Host::parse(domain).map_or_else(|_| domain.to_ascii_lowercase(), |host| host.to_string());
    format!("{local}@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_alone_is_the_same_in_any_case() {
        for (one, other, same) in [
            ("amina@example.org", "amina@Example.ORG", true),
            ("amina@example.org", "Amina@example.org", false),
            ("amina@bücher.example", "amina@xn--bcher-kva.example", true),
            ("\"a@b\"@example.org", "\"a@b\"@EXAMPLE.org", true),
            ("amina@example.org", "amina@example.com", false),
            ("", "", true),
            ("", "amina@example.org", false),
            // Not a domain of the DNS: letter by letter, in any case.
            ("amina@exa mple", "amina@EXA mple", true),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }
}
