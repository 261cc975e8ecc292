//! How users read on an admin's pages.

use crate::model::user::{Account, STRIKES, UserType};
use crate::web::form::{Choice, choices};

/// The User Types that a Provider Admin can give.
pub(super) fn user_types(chosen: &str) -> Vec<Choice> {
    choices(&[("Regular User", "Regular User"), ("Provider Admin", "Provider Admin")], chosen)
}

/// A User Type that a Provider Admin can give.
pub(super) fn parse_user_type(text: &str) -> Option<UserType> {
    text.parse().ok().filter(|user_type| *user_type != UserType::TherapAdmin)
}

/// A state in a word, and a tone that says the same in colour and by an icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::console) struct Pill {
    pub(in crate::console) word: &'static str,
    pub(in crate::console) tone: &'static str,
}

impl Pill {
    /// All is well.
    pub(in crate::console) const fn good(word: &'static str) -> Self {
        Self { word, tone: "good" }
    }

    /// Something is to come.
    pub(in crate::console) const fn warning(word: &'static str) -> Self {
        Self { word, tone: "warning" }
    }

    /// Nobody gets in.
    pub(in crate::console) const fn bad(word: &'static str) -> Self {
        Self { word, tone: "bad" }
    }
}

/// What lets a user in or keeps one out: the two locks under names of their own.
#[derive(Clone, Copy, Debug)]
pub(in crate::console) struct Access {
    pub(super) active: bool,
    pub(super) password_locked: bool,
    pub(super) admin_locked: bool,
    pub(super) temporary_until: Option<i64>,
}

impl Access {
    /// Of a user as stored.
    pub(in crate::console) const fn of(user: &Account) -> Self {
        Self {
            active: user.active,
            password_locked: user.failures >= STRIKES,
            admin_locked: user.admin_locked,
            temporary_until: user.temporary_until,
        }
    }

    /// As a page shows it.
    pub(in crate::console) fn pills(self) -> Vec<Pill> {
        let mut pills = vec![if self.active { Pill::good("Active") } else { Pill::bad("Deactivated") }];
        for (so, pill) in [
            (self.password_locked, Pill::bad("Password locked")),
            (self.admin_locked, Pill::bad("Locked by an admin")),
            (self.temporary_until.is_some(), Pill::warning("Temporary password")),
        ] {
            if so {
                pills.push(pill);
            }
        }
        pills
    }
}
