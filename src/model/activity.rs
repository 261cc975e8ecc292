//! What User Activity records: typed, past tense, no secrets (A1).

use crate::model::session::Method;
use crate::model::user::Account;
use crate::model::{words, words_in_json};
use crate::time::{Random, Timestamp};

/// From where a request came, as it is written down.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The client's address, behind trusted proxies the one they vouch for.
    pub address: String,
    /// `User-Agent`, shortened.
    pub browser: String,
    /// The reference number of this request.
    pub reference: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody tried to sign in, by either sign-in method.
    SignIn,
    /// A session was ended by its user.
    Logout,
    /// A session was ended by somebody else, or from elsewhere.
    SessionEnded,
    /// A user replaced a temporary password.
    PasswordUpdated,
    /// A user changed the password at will.
    PasswordChanged,
    /// An admin set a temporary password.
    PasswordReset,
    /// A lock was put on an account.
    AccountLocked,
    /// A lock was removed from an account.
    AccountUnlocked,
    /// A user came to be.
    UserCreated,
    /// The temporary passwords of an import were shown.
    ImportOpened,
    /// A user's data were changed.
    UserChanged,
    /// A link that proves an e-mail address was mailed.
    EmailVerificationSent,
    /// An admin checked a user's e-mail address.
    EmailChecked,
    /// A user's e-mail address is verified: its owner proved it, or an operator vouches for it.
    EmailVerified,
    /// A link to set a first password was mailed.
    InvitationSent,
    /// A user has another Login Name.
    UserRenamed,
    /// A user was deactivated.
    UserDeactivated,
    /// A user was activated again.
    UserReactivated,
    /// An issuer's `sub` was tied to a user by an operator.
    HandoffTied,
    /// A tie was removed.
    HandoffUntied,
    /// A provider came to be.
    ProviderCreated,
    /// A provider's data were changed.
    ProviderChanged,
    /// A provider was deactivated.
    ProviderDeactivated,
    /// A provider was activated again.
    ProviderReactivated,
    /// A provider's Unified Login was switched.
    UnifiedLoginChanged,
    /// A trusted issuer came to be.
    IssuerCreated,
    /// A trusted issuer was changed.
    IssuerChanged,
    /// A trusted issuer was switched off.
    IssuerDisabled,
    /// A trusted issuer was switched on again.
    IssuerEnabled,
    /// A new signing key was announced, or signs at once.
    SigningKeyRotated,
    /// A signing key was retired by hand.
    SigningKeyRetired,
    /// The signing keys were sealed under another key-encryption key.
    SigningKeysResealed,
    /// There is a new key-encryption key.
    SealingKeyRenewed,
    /// A user allowed an app what it asked for.
    ConsentGiven,
    /// A user took that back.
    ConsentWithdrawn,
    /// A client came to be.
    ClientCreated,
    /// A client's metadata were changed.
    ClientChanged,
    /// A client has a new secret.
    ClientSecretRotated,
    /// A client was switched off.
    ClientDisabled,
    /// A client was switched on again.
    ClientEnabled,
    /// A client is no more.
    ClientDeleted,
    /// Old records were removed by retention.
    ActivityPruned,
    /// The database came back from a backup, and everything older than that was ended.
    Restored,
    /// All rows came here from another database.
    Moved,
}
words!(Kind {
    SignIn = "sign_in",
    Logout = "logout",
    SessionEnded = "session_ended",
    PasswordUpdated = "password_updated",
    PasswordChanged = "password_changed",
    PasswordReset = "password_reset",
    AccountLocked = "account_locked",
    AccountUnlocked = "account_unlocked",
    UserCreated = "user_created",
    ImportOpened = "import_opened",
    UserChanged = "user_changed",
    EmailVerificationSent = "email_verification_sent",
    EmailChecked = "email_checked",
    EmailVerified = "email_verified",
    InvitationSent = "invitation_sent",
    UserRenamed = "user_renamed",
    UserDeactivated = "user_deactivated",
    UserReactivated = "user_reactivated",
    HandoffTied = "handoff_tied",
    HandoffUntied = "handoff_untied",
    ProviderCreated = "provider_created",
    ProviderChanged = "provider_changed",
    ProviderDeactivated = "provider_deactivated",
    ProviderReactivated = "provider_reactivated",
    UnifiedLoginChanged = "unified_login_changed",
    IssuerCreated = "issuer_created",
    IssuerChanged = "issuer_changed",
    IssuerDisabled = "issuer_disabled",
    IssuerEnabled = "issuer_enabled",
    SigningKeyRotated = "signing_key_rotated",
    SigningKeyRetired = "signing_key_retired",
    SigningKeysResealed = "signing_keys_resealed",
    SealingKeyRenewed = "sealing_key_renewed",
    ConsentGiven = "consent_given",
    ConsentWithdrawn = "consent_withdrawn",
    ClientCreated = "client_created",
    ClientChanged = "client_changed",
    ClientSecretRotated = "client_secret_rotated",
    ClientDisabled = "client_disabled",
    ClientEnabled = "client_enabled",
    ClientDeleted = "client_deleted",
    ActivityPruned = "activity_pruned",
    Restored = "restored",
    Moved = "moved",
});
words_in_json!(Kind as "ActivityKind");

impl Kind {
    /// What a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::SignIn => "Sign-in",
            Self::Logout => "Logout",
            Self::SessionEnded => "Session ended",
            Self::PasswordUpdated => "Password updated",
            Self::PasswordChanged => "Password changed",
            Self::PasswordReset => "Password reset by an administrator",
            Self::AccountLocked => "Account locked",
            Self::AccountUnlocked => "Account unlocked",
            Self::UserCreated => "Account created",
            Self::ImportOpened => "Temporary passwords of an import opened",
            Self::UserChanged => "Account changed",
            Self::EmailVerificationSent => "Verification e-mail sent",
            Self::EmailChecked => "E-mail address checked by an administrator",
            Self::EmailVerified => "E-mail address verified",
            Self::InvitationSent => "Invitation sent",
            Self::UserRenamed => "Login Name changed",
            Self::UserDeactivated => "Account deactivated",
            Self::UserReactivated => "Account reactivated",
            Self::HandoffTied => "Therap Services account linked",
            Self::HandoffUntied => "Therap Services account unlinked",
            Self::ProviderCreated => "Provider created",
            Self::ProviderChanged => "Provider changed",
            Self::ProviderDeactivated => "Provider deactivated",
            Self::ProviderReactivated => "Provider reactivated",
            Self::UnifiedLoginChanged => "Unified Login changed",
            Self::IssuerCreated => "Trusted issuer created",
            Self::IssuerChanged => "Trusted issuer changed",
            Self::IssuerDisabled => "Trusted issuer switched off",
            Self::IssuerEnabled => "Trusted issuer switched on",
            Self::SigningKeyRotated => "Signing key rotated",
            Self::SigningKeyRetired => "Signing key retired",
            Self::SigningKeysResealed => "Signing keys sealed again",
            Self::SealingKeyRenewed => "Key-encryption key renewed",
            Self::ConsentGiven => "Access allowed to an app",
            Self::ConsentWithdrawn => "Access of an app withdrawn",
            Self::ClientCreated => "Client created",
            Self::ClientChanged => "Client changed",
            Self::ClientSecretRotated => "Client secret replaced",
            Self::ClientDisabled => "Client switched off",
            Self::ClientEnabled => "Client switched on",
            Self::ClientDeleted => "Client deleted",
            Self::ActivityPruned => "Old records removed",
            Self::Restored => "Restored from a backup",
            Self::Moved => "Moved to this database",
        }
    }

    /// The same beside an outcome: what was refused did not happen, and is named as what was tried (G38).
    #[must_use]
    pub const fn label_with(self, outcome: Outcome) -> &'static str {
        match (self, outcome) {
            (Self::PasswordChanged, Outcome::Refused) => "Password change",
            (Self::PasswordUpdated, Outcome::Refused) => "Password update",
            (Self::PasswordReset, Outcome::Refused) => "Password reset",
            _ => self.label(),
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As wished.
    Success,
    /// Refused, for the reason beside it.
    Refused,
    /// A right password that leads to the Update Password page, not yet to a session.
    Unfinished,
}
words!(Outcome { Success = "success", Refused = "refused", Unfinished = "unfinished" });
words_in_json!(Outcome as "ActivityOutcome");

impl Outcome {
    /// What a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Refused => "Refused",
            Self::Unfinished => "Password update required",
        }
    }
}

/// Whether it was one of Therap's people or programs, whose names, addresses and browsers are no provider's business.
#[must_use]
pub fn is_of_therap(actor: &str) -> bool {
    actor.starts_with("operator") || actor.starts_with("therap admin")
}

/// Who did it, as a Provider Admin may read it: Therap's people and programs are Therap, whatever
/// their names.
#[must_use]
pub fn actor_for_provider(actor: &str) -> String {
    match actor {
        "user" => "The user".into(),
        "stranger" => "Unknown".into(),
        "system" => "Therap Connect".into(),
        other if other.starts_with("therap admin") => "Therap Admin".into(),
        other if is_of_therap(other) => "Therap".into(),
        other if other.starts_with("issuer") => "Therap Services".into(),
        other => other.strip_prefix("admin ").unwrap_or(other).to_owned(),
    }
}

/// One record, before it has its place in the store.
#[derive(Clone, Debug)]
pub struct Event {
    /// UUIDv7.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The provider it belongs to, where one is known.
    pub provider_id: Option<String>,
    /// The provider's code, also where no such provider exists but a trusted issuer named it.
    pub provider_code: Option<String>,
    /// A code that may be a provider's: recorded only if one has it.
    pub maybe_provider_code: Option<String>,
    /// The user it is about.
    pub user_id: Option<String>,
    /// That user's Login Name, or the one a trusted issuer named.
    pub login_name: Option<String>,
    /// A keyed hash of a typed name that is unknown (people type passwords there).
    pub name_hash: Option<String>,
    /// Who did it: `user`, `stranger`, `system`, `issuer …`, `admin …`, `therap admin …`, or `operator …` on the
    /// machine.
    pub actor: String,
    /// What.
    pub kind: Kind,
    /// By which sign-in method.
    pub method: Option<Method>,
    /// What stands beneath the login type, or details of an administrative change.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The true reason, for admins.
    pub reason: Option<String>,
    /// From where.
    pub visitor: Visitor,
    /// The session it made or ended.
    pub session_id: Option<String>,
    /// The handoff it settles.
    pub handoff_id: Option<String>,
}

impl Event {
    /// A record of something that happened now, with everything else still empty.
    #[must_use]
    pub fn new(kind: Kind, outcome: Outcome, actor: &str, visitor: &Visitor, now: Timestamp, random: &Random) -> Self {
        Self {
            id: random.id(now),
            at: now,
            provider_id: None,
            provider_code: None,
            maybe_provider_code: None,
            user_id: None,
            login_name: None,
            name_hash: None,
            actor: actor.to_owned(),
            kind,
            method: None,
            note: None,
            outcome,
            reason: None,
            visitor: visitor.clone(),
            session_id: None,
            handoff_id: None,
        }
    }

    /// About this user.
    #[must_use]
    pub fn about(mut self, account: &Account) -> Self {
        self.provider_id = Some(account.provider_id.clone());
        self.provider_code = Some(account.provider_code.clone());
        self.user_id = Some(account.id.clone());
        self.login_name = Some(account.login_name.clone());
        self
    }

    /// By this sign-in method.
    #[must_use]
    pub const fn by(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// For this reason.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// With this note.
    #[must_use]
    pub fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Of this session.
    #[must_use]
    pub fn of_session(mut self, session_id: &str) -> Self {
        self.session_id = Some(session_id.to_owned());
        self
    }

    /// Of this handoff.
    #[must_use]
    pub fn of_handoff(mut self, handoff_id: &str) -> Self {
        self.handoff_id = Some(handoff_id.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn therap_s_people_have_no_names_for_providers() {
        for (actor, shown) in [
            ("operator root", "Therap"),
            ("operator client sync", "Therap"),
            ("therap admin root", "Therap Admin"),
            ("admin paul", "paul"),
            ("client hr", "client hr"),
        ] {
            assert_eq!(actor_for_provider(actor), shown);
        }
    }
}
