//! What is known of a user's e-mail address.

use super::claims::Claims;
use super::email::is_same;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
