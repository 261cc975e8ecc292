//! Login names: shown as given, compared after one preparation (G25).

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::Profile as _;

/// A Login Name that an account can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginName {
    shown: String,
    key: String,
}

impl LoginName {
    /// Prepares a name by UsernameCaseMapped (RFC 8265 §3.3): case and width make no difference. `None` for what the
    /// profile refuses (spaces, control characters, …) and for more than 255 characters; such a name is unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.chars().count() > 255 {
            return None;
        }
        let key = UsernameCaseMapped::new().enforce(text).ok()?.into_owned();
        Some(Self { shown: text.to_owned(), key })
    }

    /// The name as it was given.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The prepared name: equal for two spellings of one name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_width_make_no_second_account() {
        let key = |text: &str| LoginName::parse(text).unwrap().key().to_owned();
        assert_eq!(key("AMINA"), key("amina"));
        assert_eq!(key("Ａmina"), key("amina"));
        assert_eq!(key("Ame\u{301}lie"), key("amélie"));
        assert_eq!(LoginName::parse("Amina").unwrap().shown(), "Amina");
    }

    #[test]
    fn what_the_profile_refuses_is_nobody() {
        for text in ["", "a b", " amina", "amina ", "a\0b", "a\u{200b}b", &"a".repeat(256)] {
            assert!(LoginName::parse(text).is_none(), "{text:?}");
        }
    }
}
