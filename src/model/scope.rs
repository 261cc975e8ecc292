//! Scopes: what a client may ask for and what a token allows (RFC 6749 §3.3).

use std::collections::BTreeSet;
use std::fmt;

use super::provider::ProviderCode;

/// Asks for an ID token (OpenID Connect Core §3.1.2.1).
pub const OPENID: &str = "openid";
/// Asks for a refresh token that outlives the session (OpenID Connect Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Lets Therap Services read whether Unified Login is on (U9).
pub const UNIFIED_LOGIN_READ: &str = "unified-login.read";

/// The scopes about a user, each with what a person reads on the consent page and the claims behind it (OpenID Connect
/// Core §5.4; `provider` is ours, R3).
pub const USER_SCOPES: &[(&str, &str, &[&str])] = &[
    (OPENID, "confirm who you are", &["sub"]),
    (
        "profile",
        "see your name, Login Name and profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", "see your e-mail address", &["email", "email_verified"]),
    ("address", "see your postal address", &["address"]),
    ("phone", "see your phone number", &["phone_number", "phone_number_verified"]),
    ("provider", "see your agency and User Type", &["provider_code", "provider_name", "user_type"]),
    (OFFLINE_ACCESS, "stay signed in for you when you are away", &[]),
];

/// The scopes of clients that act for themselves (RFC 6749 §4.4), each with what it allows.
pub const CLIENT_SCOPES: &[(&str, &str)] = &[
    (UNIFIED_LOGIN_READ, "Read whether Unified Login is on for a provider"),
    ("providers.read", "Read providers and the steps of their Unified Login"),
    ("providers.write", "Create and change providers; decide about Unified Login"),
    ("users.read", "Read users, their sessions and their links"),
    ("users.write", "Create and change users, lock, unlock, reset, end sessions, unlink"),
    ("activity.read", "Read User Activity and its statistics"),
    ("clients.read", "Read clients and the logouts that they have not taken"),
    ("clients.write", "Create, change and delete clients: whoever has it can give any scope to anybody"),
    ("issuers.read", "Read trusted issuers"),
    ("issuers.write", "Create and change trusted issuers: whoever has it can sign in as anybody"),
    ("keys.read", "Read the states and dates of our signing keys"),
    ("keys.write", "Rotate and retire our signing keys"),
];

/// Those that may be narrowed to one provider, by its code: `users.read:SUNRISE-IL`. So narrowed, they allow what a
/// Provider Admin may do.
pub const PROVIDER_SCOPES: &[&str] =
    &["providers.read", "providers.write", "users.read", "users.write", "activity.read", SCIM];
/// Lets a directory provision the users of one provider: `scim:SUNRISE-IL`. It is never had whole, because by it a request
/// says which provider is meant.
pub const SCIM: &str = "scim";

/// A set of scopes. Order never matters; written with single spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(BTreeSet<String>);

impl Scope {
    /// Reads a space-separated list. `None` when a name has a character that scopes cannot have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let names: BTreeSet<String> = text.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        // RFC 6749 §3.3: %x21 / %x23-5B / %x5D-7E
        let good = |name: &String| name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        names.iter().all(good).then_some(Self(names))
    }

    /// Whether a name is in it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// What both have: a grant is narrowed, never widened.
    #[must_use]
    pub fn within(&self, allowed: &Self) -> Self {
        Self(self.0.intersection(&allowed.0).cloned().collect())
    }

    /// Those of its names that are so.
    #[must_use]
    pub fn only(mut self, so: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name| so(name));
        self
    }

    /// Whether everything here is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether a client that was granted this may have `name`: it is in it, or it is one of it narrowed to a provider.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.has(name) || name.split_once(':').is_some_and(|(whole, _)| self.has(whole))
    }

    /// What either has.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// This set without a name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// Whether a client may have this scope for itself.
#[must_use]
pub fn is_for_clients(name: &str) -> bool {
    match name.split_once(':') {
        None => CLIENT_SCOPES.iter().any(|(known, _)| *known == name),
        Some((whole, code)) => PROVIDER_SCOPES.contains(&whole) && ProviderCode::parse(code).is_some(),
    }
}

/// Whether a name is one that this service knows.
#[must_use]
pub fn is_known(name: &str) -> bool {
    is_for_clients(name) || USER_SCOPES.iter().any(|(known, ..)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repeats_do_not_matter() {
        let scope = Scope::parse("profile openid  profile").unwrap();
        assert_eq!(scope.to_string(), "openid profile");
        assert!(scope.has("openid") && !scope.has("open"));
        assert_eq!(scope.within(&Scope::parse("openid email").unwrap()).to_string(), "openid");
        assert!(Scope::parse("a\"b").is_none());
        assert!(Scope::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_scope_may_be_narrowed_to_a_provider_and_never_widened() {
        assert!(is_for_clients("users.read") && is_for_clients("users.read:SUNRISE-IL"));
        assert!(is_for_clients("scim:SUNRISE-IL") && !is_for_clients("scim"));
        for bad in ["users.read:", "users.read:a b", "clients.read:SUNRISE-IL", "users.raed", "openid", "openid:X"] {
            assert!(!is_for_clients(bad), "{bad}");
        }
        let whole = Scope::parse("users.read").unwrap();
        assert!(whole.covers("users.read") && whole.covers("users.read:A") && !whole.covers("users.write:A"));
        let narrow = Scope::parse("users.read:A").unwrap();
        assert!(narrow.covers("users.read:A") && !narrow.covers("users.read") && !narrow.covers("users.read:B"));
    }
}
