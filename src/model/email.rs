//! A user's e-mail address: which texts are the same address, and what is known of it.

use url::Host;

use super::claims::Claims;
use super::{words, words_in_json};

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailState {
    /// The user has none.
    Absent,
    /// Nobody proved it: nothing but a verification or an invitation is mailed to it.
    Unverified,
    /// An admin of the agency checked it. It is mailed to; apps are not told that it is verified, since they know people
    /// of every agency by it (G38).
    Checked,
    /// Its owner proved it by a mailed link, or an operator vouches for it: the claim `email_verified`.
    Verified,
}
words!(EmailState { Absent = "none", Unverified = "not_verified", Checked = "checked", Verified = "verified" });
words_in_json!(EmailState as "EmailState");

/// A user's address as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEmail {
    /// The address; empty for none.
    pub address: String,
    /// What is known of it.
    pub state: EmailState,
    /// Since when that is so (Unix ms), where it is known.
    pub since: Option<i64>,
}

impl UserEmail {
    /// Of what is stored of a user: the claims, the address that an admin checked, since when.
    #[must_use]
    pub fn of(claims: &Claims, checked: Option<&str>, since: Option<i64>) -> Self {
        let address = claims.email().to_owned();
        let is_checked = checked.is_some_and(|checked| is_same(checked, &address));
        let state = if address.is_empty() {
            EmailState::Absent
        } else if claims.verified_email().is_some() {
            EmailState::Verified
        } else if is_checked {
            EmailState::Checked
        } else {
            EmailState::Unverified
        };
        Self { address, state, since: since.filter(|_| state != EmailState::Absent) }
    }

    /// The address, where mail for this user alone may go to it.
    #[must_use]
    pub fn reachable(&self) -> Option<&str> {
        matches!(self.state, EmailState::Checked | EmailState::Verified).then_some(self.address.as_str())
    }
}

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
    use serde_json::json;

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

    #[test]
    fn a_state_is_of_the_address_that_stands() {
        let claims = |value: serde_json::Value| Claims::parse(value.as_object().unwrap().clone()).unwrap();
        let plain = claims(json!({ "email": "amina@example.org" }));
        let verified = claims(json!({ "email": "amina@example.org", "email_verified": true }));
        for (claims, checked, state) in [
            (Claims::default(), Some("amina@example.org"), EmailState::Absent),
            (claims(json!({ "email_verified": true })), None, EmailState::Absent),
            (plain.clone(), None, EmailState::Unverified),
            (plain.clone(), Some("paul@example.org"), EmailState::Unverified),
            (plain, Some("amina@EXAMPLE.org"), EmailState::Checked),
            (verified, Some("paul@example.org"), EmailState::Verified),
        ] {
            let email = UserEmail::of(&claims, checked, Some(1));
            assert_eq!(email.state, state);
            assert_eq!(email.reachable().is_some(), matches!(state, EmailState::Checked | EmailState::Verified));
            assert_eq!(email.since.is_some(), state != EmailState::Absent);
        }
    }
}
