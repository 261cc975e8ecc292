//! A session: one browser signed in.

use super::words;

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Login Name, Password, Provider Code.
    Password,
    /// A handoff assertion.
    Handoff,
}
words!(Method { Password = "password", Handoff = "handoff" });

impl Method {
    /// What User Activity calls it (U4).
    #[must_use]
    pub const fn login_type(self) -> &'static str {
        match self {
            Self::Password => "Direct Login",
            Self::Handoff => "Unified Login",
        }
    }

    /// What stands beneath the login type.
    #[must_use]
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Password => None,
            Self::Handoff => Some("Login initiated from Therap Services"),
        }
    }
}

/// The `acr` of a direct login (R2).
pub const ACR_PASSWORD: &str = "urn:therap-connect:acr:password";
/// The `acr` of a handoff whose issuer's configuration maps nothing else.
pub const ACR_HANDOFF: &str = "urn:therap-connect:acr:handoff";

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The same user signed in again in this browser: the same `sid` lives on in another row.
    Renewed,
    /// Another user signed in in this browser.
    Replaced,
    /// The user ended it from another session.
    EndedByUser,
    /// An admin or operator ended it.
    EndedByAdmin,
    /// The password was changed elsewhere.
    PasswordChanged,
    /// A handoff's session that no browser was given in time (U8).
    NeverGiven,
    /// The password was typed wrong three times by whoever was there (G35).
    WrongPasswords,
    /// The database came back from a backup (G36).
    Restored,
}
words!(EndReason {
    Logout = "logout",
    Renewed = "renewed",
    Replaced = "replaced",
    EndedByUser = "ended_by_user",
    EndedByAdmin = "ended_by_admin",
    PasswordChanged = "password_changed",
    NeverGiven = "never_given",
    WrongPasswords = "wrong_passwords",
    Restored = "restored",
});

/// A session as stored, with what is known of its user: proof that somebody is signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// This row; a renewal makes another.
    pub id: String,
    /// The session as relying parties know it; survives renewals.
    pub sid: String,
    /// The user's id.
    pub user_id: String,
    /// The provider's id.
    pub provider_id: String,
    /// The provider's code.
    pub provider_code: String,
    /// The provider's name.
    pub provider_name: String,
    /// The provider's time zone.
    pub time_zone: String,
    /// The provider's own idle limit.
    pub idle_minutes: Option<i64>,
    /// Login Name as given.
    pub login_name: String,
    /// The person's name.
    pub name: String,
    /// User Type's word.
    pub user_type: super::user::UserType,
    /// The sign-in method.
    pub method: Method,
    /// How sure the sign-in is.
    pub acr: String,
    /// When credentials were checked (Unix ms).
    pub auth_time: i64,
    /// When this row was made (Unix ms).
    pub created_at: i64,
    /// When it was last used, to the minute; absent until first used (Unix ms).
    pub used_at: Option<i64>,
    /// Over when unused until then (Unix ms).
    pub idle_until: i64,
    /// Over then in any case (Unix ms).
    pub expires_at: i64,
}

impl Session {
    /// Whether it is that of a Therap Admin who typed the password: no handoff leads to what is theirs.
    #[must_use]
    pub fn is_operators(&self) -> bool {
        self.user_type == super::user::UserType::TherapAdmin && self.method == Method::Password
    }
}
