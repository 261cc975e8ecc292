//! The reasons in the record, in words: what was wrong, and what to do about it. One list for the pages, the command
//! line and `handoff explain`.

use super::text::capitalized;

/// A reason in words.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// As it is stored.
    pub reason: &'static str,
    /// What a person reads.
    pub label: &'static str,
    /// What to do about it: a sentence or two.
    pub cure: &'static str,
}

/// The words of a stored reason; what an older version wrote may have none.
#[must_use]
pub fn words(reason: &str) -> Option<&'static Words> {
    WORDS.iter().find(|words| words.reason == reason)
}

/// What a person reads of a stored reason.
#[must_use]
pub fn label(reason: &str) -> String {
    words(reason).map_or_else(|| readable(reason), |words| words.label.to_owned())
}

/// A stored word as words.
fn readable(reason: &str) -> String {
    capitalized(&reason.replace('_', " "))
}

macro_rules! list {
    ($($reason:literal: $label:literal, $cure:literal;)*) => {
        &[$(Words { reason: $reason, label: $label, cure: $cure }),*]
    };
}

const WORDS: &[Words] = list! {
    // The way a handoff came.
    "origin_missing": "Sent without an Origin header",
        "The sending page must send a form from a browser. A proxy on the way may have removed the header.";
    "origin_null": "Sent from a page that hides its origin",
        "The sending page needs the Referrer-Policy strict-origin, and no sandbox or redirect on the way.";
    "origin_not_registered": "Sent from a page that is not registered",
        "If the page is the issuer’s, a Therap Admin adds its origin to the trusted issuer. Scheme, host and port count.";
    "not_a_top_level_navigation": "Sent from a frame or by a script",
        "The sending page must let its form open a tab.";
    "not_post": "Opened without the button",
        "Click the button in Therap Services again. If it happens each time, the sending page does not POST its form, or something redirects it.";
    "query_not_allowed": "The assertion stood in the address",
        "The sending page must put it into the form. Whoever reads that address can see it: let the sender know.";
    "not_a_form": "Not sent as a form", "The sending form must have no enctype.";
    "too_large": "More was sent than a form may hold", "The sending page must send the assertion alone.";
    "field_missing": "Sent without an assertion", "The sending form must have a field named assertion.";
    "field_repeated": "A field was sent twice", "The sending form must have each field once.";
    "both_fields": "Sent with an assertion and a handle", "The sending form must have the field assertion alone.";
    // The form of an assertion, and its signature.
    "assertion_too_large": "The assertion is larger than 8 KiB", "The sender must use fewer or shorter claims.";
    "not_compact_jws": "The assertion is not a signed token", "The sender must send a signed JWS in compact form.";
    "not_canonical_base64url": "The assertion is not written in base64url",
        "The sender must write it as RFC 7515 says: no padding, no white space, no line end.";
    "header_not_json": "The assertion’s header is not JSON", "The sender must let a library write it.";
    "claims_not_json": "The assertion’s claims are not JSON", "The sender must let a library write them.";
    "duplicate_member": "A name stands twice in the assertion", "The sender must write each name once.";
    "nested_too_deep": "The assertion is nested too deep", "The sender must use flatter claims.";
    "header_member_not_allowed": "The assertion’s header holds too much",
        "The sender must write typ, alg and kid there and nothing else.";
    "wrong_typ": "Not a handoff assertion (typ)", "The sender must set typ to therap-handoff+jwt.";
    "alg_missing": "The assertion names no algorithm (alg)", "The sender must set alg.";
    "alg_not_allowed": "Signed with an algorithm that is not accepted (alg)",
        "The sender must sign with ES256, PS256, RS256 or EdDSA.";
    "kid_missing": "The assertion names no key (kid)", "The sender must set kid to the key it signs with.";
    "unknown_issuer": "Sent by an issuer that is not trusted (iss)",
        "Compare iss with the trusted issuers, letter by letter. A trailing slash counts.";
    "issuer_disabled": "The trusted issuer is switched off", "A Therap Admin can switch it on again.";
    "unknown_kid": "Signed with a key that is not known (kid)",
        "The sender must publish a key before signing with it. Where the keys are not fetched, a Therap Admin adds it.";
    "alg_does_not_fit_key": "Signed with another algorithm than the key’s (alg)",
        "The sender must sign with the key’s own algorithm, or publish the key with the right one.";
    "bad_signature": "The signature does not fit",
        "Either somebody else made it, or the sender signs with another key than the published one. The sender’s engineers find out which.";
    "origin_of_another_issuer": "Sent from a page of another issuer",
        "If the page is this issuer’s, a Therap Admin adds its origin to the trusted issuer.";
    // The claims.
    "wrong_aud": "Sent to the wrong site (aud)",
        "The sender must set aud to this site’s issuer identifier, letter by letter. Beta and production differ.";
    "claim_missing": "A required claim is missing", "The sender’s engineers see which with handoff explain.";
    "claim_malformed": "A claim is not written as it must be",
        "The sender’s engineers see which with handoff explain.";
    "exp_before_iat": "Expired before it was issued (exp)", "The sender must set exp 30 seconds after iat.";
    "lifetime_too_long": "Good for more than 60 seconds (exp)", "The sender must set exp 30 seconds after iat.";
    "issued_in_future": "Issued in the future (iat)", "The clock of the sender’s servers is ahead: set it by NTP.";
    "not_yet_valid": "Not valid yet (nbf)", "The sender should leave nbf out.";
    "timed_out": "Took too long",
        "The user clicks the button in Therap Services again. If it happens often, something on the way is slow, or the sender’s clock is behind.";
    "replayed": "Used before (jti)",
        "The user clicks the button in Therap Services again: going back or reloading uses the same click twice.";
    // The provider and the user.
    "unknown_provider": "No provider has this Provider Code",
        "Compare the Provider Code in both products. It is case-sensitive.";
    "inactive_provider": "The provider is deactivated", "A Therap Admin can activate it again.";
    "unified_login_off": "Unified Login is off",
        "A Provider Admin asks for it on the page Provider, and a Therap Admin approves it.";
    "unknown_user": "No user has this Login Name",
        "Create the user here under the Login Name of Therap Services, or correct the Login Name.";
    "deactivated_user": "The user is deactivated", "An administrator can activate the user again.";
    "therap_admin": "Therap Admins cannot use Unified Login", "Therap Admins sign in with their password.";
    "sub_tied_to_another_user": "Therap Services ID belongs to another user",
        "If the person was renamed or has a new account, an administrator removes the link from the other user.";
    "user_tied_to_another_sub": "The user is linked to another Therap Services ID",
        "If the person has a new account in Therap Services, an administrator removes the link from this user.";
    "password_locked": "Locked after three wrong passwords",
        "An administrator unlocks the account or resets the password.";
    "admin_locked": "Locked by an administrator", "An administrator unlocks the account.";
    "changed_meanwhile": "Changed during the sign-in",
        "The user, the provider or the issuer was changed at that moment. The user tries again.";
    "handle_missing": "Came back without its cookie",
        "The user clicks the button in Therap Services again, in a browser that accepts cookies from this site.";
    // Passwords.
    "wrong_password": "Wrong password",
        "The user tries again; after the third wrong password in a row the account is locked. An administrator can reset the password.";
    "unknown_user_or_provider": "No such user or provider",
        "The user checks Login Name and Provider Code. The Provider Code is case-sensitive.";
    "temporary_password": "Signed in with a temporary password", "The user chooses a new password on the page that follows.";
    "temporary_password_expired": "The temporary password expired", "An administrator resets the password.";
    "three_wrong_passwords": "Three wrong passwords in a row",
        "If it was the user, an administrator unlocks the account or resets the password.";
    // Endings.
    "another_user_signed_in": "Another user signed in with the same browser", "Nothing is to be done.";
    "ended_from_another_session": "Ended by the user from another session", "Nothing is to be done.";
    "all_others_ended": "The user ended all other sessions", "Nothing is to be done.";
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_once_and_reads_as_sentences() {
        for (at, words) in WORDS.iter().enumerate() {
            assert!(WORDS[..at].iter().all(|other| other.reason != words.reason), "{}", words.reason);
            assert!(!words.label.ends_with('.') && words.cure.ends_with('.'), "{}", words.reason);
        }
    }

    #[test]
    fn a_reason_without_words_is_read_as_words() {
        assert_eq!(
            (label("wrong_aud").as_str(), label("long_gone").as_str()),
            ("Sent to the wrong site (aud)", "Long gone")
        );
    }
}
