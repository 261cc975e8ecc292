//! A provider: an agency, the tenant; or the operator realm.

use super::version::Version;
use super::{words, words_in_json};

/// A Provider Code: 1 to 32 of `A-Za-z0-9-`. Case-sensitive, but no two differ in case only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderCode(String);

impl ProviderCode {
    /// Parses a code as typed; nothing is trimmed (L2).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        good.then(|| Self(text.to_owned()))
    }

    /// The code itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling under which codes must differ.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An agency, or the reserved realm of the Therap Admins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// An agency.
    Agency,
    /// The operator realm: no handoff ever opens it.
    Operator,
}
words!(ProviderKind { Agency = "agency", Operator = "operator" });

/// Whether the provider's users may arrive by handoff (U1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnifiedLogin {
    /// Not asked for.
    Off,
    /// Asked for by a Provider Admin.
    Requested,
    /// Approved.
    On,
}
words!(UnifiedLogin { Off = "off", Requested = "requested", On = "on" });
words_in_json!(UnifiedLogin as "UnifiedLoginState");

/// A step on the way of a provider's Unified Login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A Provider Admin asked for it.
    Requested,
    /// A Provider Admin took the request back.
    Withdrawn,
    /// A Therap Admin approved it.
    Approved,
    /// A Therap Admin declined it.
    Declined,
    /// It was switched on without a request.
    SwitchedOn,
    /// It was switched off.
    SwitchedOff,
}
words!(Step {
    Requested = "requested",
    Withdrawn = "withdrawn",
    Approved = "approved",
    Declined = "declined",
    SwitchedOn = "switched_on",
    SwitchedOff = "switched_off",
});
words_in_json!(Step as "UnifiedLoginStepKind");

impl Step {
    /// The step from one state to another, when nothing more is known of it.
    #[must_use]
    pub const fn between(from: UnifiedLogin, to: UnifiedLogin) -> Self {
        match (from, to) {
            (UnifiedLogin::Requested, UnifiedLogin::On) => Self::Approved,
            (UnifiedLogin::Requested, UnifiedLogin::Off) => Self::Declined,
            (UnifiedLogin::Off | UnifiedLogin::On, UnifiedLogin::On) => Self::SwitchedOn,
            (UnifiedLogin::Off | UnifiedLogin::On, UnifiedLogin::Off) => Self::SwitchedOff,
            (_, UnifiedLogin::Requested) => Self::Requested,
        }
    }

    /// Where it leads.
    #[must_use]
    pub const fn leads_to(self) -> UnifiedLogin {
        match self {
            Self::Requested => UnifiedLogin::Requested,
            Self::Approved | Self::SwitchedOn => UnifiedLogin::On,
            Self::Withdrawn | Self::Declined | Self::SwitchedOff => UnifiedLogin::Off,
        }
    }

    /// What a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Withdrawn => "Withdrawn",
            Self::Approved => "Approved",
            Self::Declined => "Declined",
            Self::SwitchedOn => "Switched on",
            Self::SwitchedOff => "Switched off",
        }
    }
}

/// A provider as stored.
#[derive(Clone, Debug)]
pub struct Provider {
    /// UUIDv7.
    pub id: String,
    /// Agency or operator realm.
    pub kind: ProviderKind,
    /// Provider Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// An inactive provider's users cannot come in by any sign-in method.
    pub active: bool,
    /// See [`UnifiedLogin`].
    pub unified_login: UnifiedLogin,
    /// IANA time zone in which times are shown.
    pub time_zone: String,
    /// Whom users ask for help.
    pub contact: Option<String>,
    /// Its own idle limit, within the operator's.
    pub idle_minutes: Option<i64>,
    /// Its own absolute limit, within the operator's.
    pub absolute_hours: Option<i64>,
    /// Its users may set a forgotten password by a mailed link (L6).
    pub reset_by_mail: bool,
    /// Grows with every deactivation (G9).
    pub epoch: i64,
    /// Grows with every change of the data: two admins who read the same may not both write over it.
    pub revision: i64,
}

impl Provider {
    /// Its version, for who is asked to confirm an act.
    #[must_use]
    pub const fn version(&self) -> Version {
        Version { revision: self.revision, epoch: self.epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_plain_and_kept_as_typed() {
        assert_eq!(ProviderCode::parse("SUNRISE-IL").unwrap().folded(), "sunrise-il");
        for text in ["", " A", "A ", "a_b", "é", &"A".repeat(33)] {
            assert!(ProviderCode::parse(text).is_none(), "{text:?}");
        }
    }
}
