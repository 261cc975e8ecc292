//! Why a handoff is refused: one word for the log and the record, and one of three messages for the person.

use crate::crypto::jws::Malformed;
use crate::crypto::strict_json::Fault;

use super::{reason, words};

/// The largest assertion.
pub const MAX_BYTES: usize = 8 * 1024;

/// What exactly was wrong. The words are documented in docs/handoff.md, each with its cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No Origin header.
    OriginMissing,
    /// Origin `null`: the sending page's Referrer-Policy, or a sandboxed frame.
    OriginNull,
    /// An origin that no issuer is registered with.
    OriginNotRegistered,
    /// A frame, a fetch, or anything else than a top-level navigation.
    NotATopLevelNavigation,
    /// Not a POST.
    NotPost,
    /// The assertion or handle stood in the URL.
    QueryNotAllowed,
    /// Not a form.
    NotAForm,
    /// A body larger than any form.
    TooLarge,
    /// No `assertion` field.
    FieldMissing,
    /// A field twice.
    FieldRepeated,
    /// `assertion` and `handle` together.
    BothFields,
    /// More than 8 KiB.
    AssertionTooLarge,
    /// Not three parts.
    NotCompactJws,
    /// Padding, other characters, or bits to spare.
    NotCanonicalBase64url,
    /// The header is no JSON object.
    HeaderNotJson,
    /// The claims are no JSON object.
    ClaimsNotJson,
    /// A member name twice.
    DuplicateMember,
    /// Nested too deep.
    NestedTooDeep,
    /// A header member besides `typ`, `alg`, `kid`.
    HeaderMemberNotAllowed,
    /// `typ` is not `therap-handoff+jwt`.
    WrongTyp,
    /// No `alg`.
    AlgMissing,
    /// An `alg` that is never accepted.
    AlgNotAllowed,
    /// No `kid`.
    KidMissing,
    /// An `iss` nobody trusts.
    UnknownIssuer,
    /// The issuer is switched off.
    IssuerDisabled,
    /// A `kid` the issuer does not have.
    UnknownKid,
    /// Another algorithm than the key's own.
    AlgDoesNotFitKey,
    /// Not signed by that key.
    BadSignature,
    /// From a page of another issuer.
    OriginOfAnotherIssuer,
    /// Meant for somebody else.
    WrongAud,
    /// A required claim is absent.
    ClaimMissing,
    /// A claim is not what it must be.
    ClaimMalformed,
    /// `exp` is not after `iat`.
    ExpBeforeIat,
    /// `exp` is more than 60 seconds after `iat`.
    LifetimeTooLong,
    /// `iat` is too far in our future.
    IssuedInFuture,
    /// `nbf` is in our future.
    NotYetValid,
    /// More than 30 seconds from the click to the answer.
    TimedOut,
    /// Used before.
    Replayed,
    /// No such provider.
    UnknownProvider,
    /// The provider is deactivated.
    InactiveProvider,
    /// Unified Login is not on for the provider.
    UnifiedLoginOff,
    /// No such user.
    UnknownUser,
    /// The user is deactivated.
    DeactivatedUser,
    /// No handoff opens a Therap Admin's session.
    TherapAdmin,
    /// The `sub` is another user's.
    SubTiedToAnotherUser,
    /// The user is another `sub`'s.
    UserTiedToAnotherSub,
    /// Three wrong passwords.
    PasswordLocked,
    /// An admin's lock.
    AdminLocked,
    /// User, provider or issuer changed between the two steps.
    ChangedMeanwhile,
    /// The second step came without the cookie of the first.
    HandleMissing,
}
words!(Refusal {
    OriginMissing = "origin_missing",
    OriginNull = "origin_null",
    OriginNotRegistered = "origin_not_registered",
    NotATopLevelNavigation = "not_a_top_level_navigation",
    NotPost = "not_post",
    QueryNotAllowed = "query_not_allowed",
    NotAForm = "not_a_form",
    TooLarge = "too_large",
    FieldMissing = "field_missing",
    FieldRepeated = "field_repeated",
    BothFields = "both_fields",
    AssertionTooLarge = "assertion_too_large",
    NotCompactJws = "not_compact_jws",
    NotCanonicalBase64url = "not_canonical_base64url",
    HeaderNotJson = "header_not_json",
    ClaimsNotJson = "claims_not_json",
    DuplicateMember = "duplicate_member",
    NestedTooDeep = "nested_too_deep",
    HeaderMemberNotAllowed = "header_member_not_allowed",
    WrongTyp = "wrong_typ",
    AlgMissing = "alg_missing",
    AlgNotAllowed = "alg_not_allowed",
    KidMissing = "kid_missing",
    UnknownIssuer = "unknown_issuer",
    IssuerDisabled = "issuer_disabled",
    UnknownKid = "unknown_kid",
    AlgDoesNotFitKey = "alg_does_not_fit_key",
    BadSignature = "bad_signature",
    OriginOfAnotherIssuer = "origin_of_another_issuer",
    WrongAud = "wrong_aud",
    ClaimMissing = "claim_missing",
    ClaimMalformed = "claim_malformed",
    ExpBeforeIat = "exp_before_iat",
    LifetimeTooLong = "lifetime_too_long",
    IssuedInFuture = "issued_in_future",
    NotYetValid = "not_yet_valid",
    TimedOut = "timed_out",
    Replayed = "replayed",
    UnknownProvider = "unknown_provider",
    InactiveProvider = "inactive_provider",
    UnifiedLoginOff = "unified_login_off",
    UnknownUser = "unknown_user",
    DeactivatedUser = "deactivated_user",
    TherapAdmin = "therap_admin",
    SubTiedToAnotherUser = "sub_tied_to_another_user",
    UserTiedToAnotherSub = "user_tied_to_another_sub",
    PasswordLocked = "password_locked",
    AdminLocked = "admin_locked",
    ChangedMeanwhile = "changed_meanwhile",
    HandleMissing = "handle_missing",
});

/// What the person reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// U5.
    InvalidCredential,
    /// U6.
    Locked,
    /// U7.
    TimedOut,
}

impl Message {
    /// The exact text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::InvalidCredential => "Invalid Credential",
            Self::Locked => "Your Therap Connect account has been locked. Please contact your agency administrator",
            Self::TimedOut => "Login failed due to request timeout. Please try again from Therap Services",
        }
    }

    /// What the person can do about it (U10). Who is locked is not told to try again.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::InvalidCredential => {
                "Go back to Therap Services and try again from there. If you see this page again, contact your agency \
                 administrator and give the reference number below."
            }
            Self::Locked => {
                "Only an administrator of your agency can unlock the account. Give the reference number below; once it is \
                 unlocked, go back to Therap Services and click “Therap Connect”."
            }
            Self::TimedOut => {
                "Go back to Therap Services and click “Therap Connect” once more. If it happens again, contact your agency \
                 administrator and give the reference number below."
            }
        }
    }
}

impl Refusal {
    /// What was wrong, in the words of the record.
    #[must_use]
    pub fn label(self) -> String {
        reason::label(self.as_str())
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(self) -> &'static str {
        reason::words(self.as_str()).map_or("", |words| words.cure)
    }

    /// What the people who build the sender do about it, to whom `handoff explain` just said what is wrong.
    #[must_use]
    pub fn senders_cure(self) -> &'static str {
        if matches!(self, Self::ClaimMissing | Self::ClaimMalformed) {
            "Write it as is said here."
        } else {
            self.cure()
        }
    }

    /// What the person reads of it.
    #[must_use]
    pub const fn message(self) -> Message {
        if matches!(self, Self::TimedOut) {
            Message::TimedOut
        } else if matches!(self, Self::PasswordLocked | Self::AdminLocked) {
            Message::Locked
        } else {
            Message::InvalidCredential
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLarge => Self::AssertionTooLarge,
            Malformed::NotCompact => Self::NotCompactJws,
            Malformed::NotCanonicalBase64Url => Self::NotCanonicalBase64url,
            Malformed::Header(fault) => Self::of_json(fault, Self::HeaderNotJson),
        }
    }
}

impl Refusal {
    /// What a JSON fault is here; `not_an_object` says of which part.
    #[must_use]
    pub const fn of_json(fault: Fault, not_an_object: Self) -> Self {
        match fault {
            Fault::NotAnObject => not_an_object,
            Fault::DuplicateMember => Self::DuplicateMember,
            Fault::TooDeep => Self::NestedTooDeep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_words_and_a_cure() {
        for refusal in Refusal::ALL {
            assert!(reason::words(refusal.as_str()).is_some(), "{refusal}");
        }
        assert_eq!(Refusal::WrongAud.label(), "Sent to the wrong site (aud)");
    }
}
