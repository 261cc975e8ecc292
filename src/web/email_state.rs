//! What pages say of a user's e-mail address.

use crate::model::email_state::{EmailState, UserEmail};
use crate::time::Timestamp;

/// An address as a page shows it.
#[derive(Debug)]
pub struct EmailView {
    /// The address; empty for none.
    pub address: String,
    /// What is known of it.
    pub state: EmailState,
    /// The same in a word or two.
    pub word: &'static str,
    /// Since when, where that is known.
    pub since: Option<String>,
}

impl EmailView {
    /// An address, with times in this zone.
    #[must_use]
    pub fn of(email: UserEmail, zone: &str) -> Self {
        let word = match email.state {
            EmailState::Absent => "None",
            EmailState::Unverified => "Not verified",
            EmailState::Checked => "Checked by an admin",
            EmailState::Verified => "Verified",
        };
        Self {
            address: email.address,
            state: email.state,
            word,
            since: email.since.map(|at| Timestamp(at).in_zone(zone)),
        }
    }

    /// There is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.state != EmailState::Absent
    }

    /// Its owner proved it, or an operator vouches for it.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.state == EmailState::Verified
    }

    /// An admin checked it.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.state == EmailState::Checked
    }
}
