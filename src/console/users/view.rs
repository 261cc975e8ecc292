//! How users read on an admin's pages.

use crate::model::user::UserType;
use crate::web::form::{Choice, choices};

/// The User Types that a Provider Admin can give.
pub(super) fn user_types(chosen: &str) -> Vec<Choice> {
    choices(&[("Regular User", "Regular User"), ("Provider Admin", "Provider Admin")], chosen)
}

/// A User Type that a Provider Admin can give.
pub(super) fn parse_user_type(text: &str) -> Option<UserType> {
    text.parse().ok().filter(|user_type| *user_type != UserType::TherapAdmin)
}

/// What lets a user in or keeps one out: the two locks under names of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) active: bool,
    pub(super) password_locked: bool,
    pub(super) admin_locked: bool,
    pub(super) temporary_until: Option<i64>,
}

impl Access {
    /// As words on a page.
    pub(super) fn words(self) -> Vec<&'static str> {
        let mut words = vec![if self.active { "Active" } else { "Deactivated" }];
        for (so, word) in [
            (self.password_locked, "Password locked"),
            (self.admin_locked, "Locked by an admin"),
            (self.temporary_until.is_some(), "Temporary password"),
        ] {
            if so {
                words.push(word);
            }
        }
        words
    }
}
