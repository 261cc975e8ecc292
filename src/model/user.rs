//! A user: one person's account in one provider, and what may be checked from its row alone.

use super::provider::{ProviderKind, UnifiedLogin};
use super::version::Version;
use super::{words, words_in_json};
use crate::time::Timestamp;

/// What a user may do beyond signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserType {
    /// Direct support staff.
    Regular,
    /// Manages the users of one provider.
    ProviderAdmin,
    /// Operates the whole; belongs to the operator realm.
    TherapAdmin,
}
words!(UserType { Regular = "Regular User", ProviderAdmin = "Provider Admin", TherapAdmin = "Therap Admin" });
words_in_json!(UserType as "UserType");

impl UserType {
    /// Whether such a user can belong there: Therap Admins and only they belong to the operator realm.
    #[must_use]
    pub fn belongs_in(self, kind: ProviderKind) -> bool {
        (self == Self::TherapAdmin) == (kind == ProviderKind::Operator)
    }
}

/// The two locks, kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Three wrong passwords in a row.
    Password,
    /// An admin's decision.
    Admin,
}

/// How many wrong passwords in a row lock an account (L4).
pub const STRIKES: i64 = 3;

/// A user with the provider and the strikes that decide what it may do: one row of one statement.
#[derive(Clone, Debug)]
pub struct Account {
    /// UUIDv7.
    pub id: String,
    /// The provider's id.
    pub provider_id: String,
    /// The provider's code.
    pub provider_code: String,
    /// The provider's name.
    pub provider_name: String,
    /// The provider is active.
    pub provider_active: bool,
    /// The provider's epoch as read.
    pub provider_epoch: i64,
    /// The provider's Unified Login.
    pub unified_login: UnifiedLogin,
    /// The provider's time zone.
    pub time_zone: String,
    /// The provider's own idle limit.
    pub idle_minutes: Option<i64>,
    /// The provider's own absolute limit.
    pub absolute_hours: Option<i64>,
    /// Login Name as given.
    pub login_name: String,
    /// The person's name.
    pub name: String,
    /// User Type.
    pub user_type: UserType,
    /// Not deactivated.
    pub active: bool,
    /// Locked by an admin.
    pub admin_locked: bool,
    /// Wrong passwords in a row.
    pub failures: i64,
    /// PHC string.
    pub password_hash: String,
    /// Grows with every new password.
    pub password_version: i64,
    /// Until when a temporary password works; absent for the user's own.
    pub temporary_until: Option<i64>,
    /// Grows with every admin lock, deactivation and reset (G9).
    pub epoch: i64,
    /// Grows with every change of the data: two admins who read the same may not both write over it.
    pub revision: i64,
    /// When the account came to be (Unix ms).
    pub created_at: i64,
}

impl Account {
    /// The user's version, for who is asked to confirm an act.
    #[must_use]
    pub const fn version(&self) -> Version {
        Version { revision: self.revision, epoch: self.epoch }
    }

    /// An active user of an active provider; anybody else behaves as nobody (L5).
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.active && self.provider_active
    }

    /// The lock that keeps the user out, an admin's first.
    #[must_use]
    pub const fn lock(&self) -> Option<Lock> {
        if self.admin_locked {
            Some(Lock::Admin)
        } else if self.failures >= STRIKES {
            Some(Lock::Password)
        } else {
            None
        }
    }

    /// Whether the password must be replaced before anything else (L7).
    #[must_use]
    pub const fn must_update(&self) -> bool {
        self.temporary_until.is_some()
    }

    /// Whether a temporary password's days are over.
    #[must_use]
    pub fn temporary_is_over(&self, now: Timestamp) -> bool {
        self.temporary_until.is_some_and(|until| Timestamp(until) <= now)
    }
}

/// The initials shown at the top right: first letters of the first and the last word of the name.
#[must_use]
pub fn initials(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    let ends = match words.as_slice() {
        [] => return "?".into(),
        [only] => vec![*only],
        [first, .., last] => vec![*first, *last],
    };
    ends.iter().filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_those_of_the_ends_of_a_name() {
        assert_eq!(initials("Amina Diallo"), "AD");
        assert_eq!(initials("ana maría de la cruz"), "AC");
        assert_eq!(initials("Cher"), "C");
        assert_eq!(initials("  "), "?");
    }
}
