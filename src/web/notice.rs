//! What a page says once: what was just done, or why it was not. A closed list; [`flash`](super::flash) brings one of
//! it from the answer to a form to the page that follows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::operations::users::email::NotMailed;

/// How a session's time came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUp {
    /// It was not used for this number of minutes.
    Idle(u32),
    /// It was this number of hours old.
    Age(u32),
}

/// What happened to a form that was sent after its session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Typed {
    /// There was none, or nothing was typed.
    Nothing,
    /// It comes back.
    Kept,
    /// It was too long.
    TooLong,
}

/// Makes [`Notice`] of a table, so that a word without its sentence does not compile.
macro_rules! notices {
    ($($name:ident: $is_good:literal, $text:literal;)*) => {
        /// One sentence for the next page.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Notice {
            /// Why somebody has to sign in again.
            SessionOver(TimeUp, Typed),
            $(#[doc = $text] $name,)*
        }

        impl Notice {
            /// Every sentence once.
            pub const ALL: &[Self] = &[Self::SessionOver(TimeUp::Idle(30), Typed::Kept), $(Self::$name),*];

            /// Whether something was done; otherwise it says why nothing was.
            #[must_use]
            pub const fn is_good(self) -> bool {
                match self {
                    Self::SessionOver(..) => true,
                    $(Self::$name => $is_good,)*
                }
            }
        }

        impl fmt::Display for Notice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::SessionOver(time_up, typed) => write!(f, "{time_up}{typed}"),
                    $(Self::$name => f.write_str($text),)*
                }
            }
        }
    };
}

impl fmt::Display for TimeUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: u32| if count == 1 { "" } else { "s" };
        match *self {
            Self::Idle(minutes) => write!(f, "Your session ended after {minutes} minute{} without use.", s(minutes)),
            Self::Age(hours) => {
                write!(f, "Your session ended after {hours} hour{}, the longest that a session can last.", s(hours))
            }
        }
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "",
            Self::Kept => " What you typed is kept.",
            Self::TooLong => " What you typed was too long to be kept.",
        })
    }
}

notices! {
    // Before a sign-in.
    LoggedOut: true, "You have logged out. Please close this tab.";
    PasswordSet: true, "Your password is set. Please sign in with it.";
    ThreeWrongPasswords: true,
        "You were signed out because a wrong password was entered three times. Please sign in again.";
    LinkRequested: true,
        "If the account has a verified e-mail address, a link to set a new password is on its way. It works once, within 15 minutes.";
    EmailVerified: true, "Your e-mail address is verified.";
    // One's own e-mail address.
    VerificationSent: true, "A verification e-mail is on its way. Its link works once, within 7 days.";
    NoMoreMails: false, "Enough e-mails were sent to this address. Try again in an hour.";
    MailsWait: false, "Too many e-mails are waiting to be sent. Try again later.";
    NotMailed: false, "No e-mail was sent: there is nobody to send it to, or it is no longer needed.";
    // One's own sessions.
    SessionEnded: true, "The session was ended.";
    OtherSessionsEnded: true, "All other sessions were ended.";
    AccessWithdrawn: true, "The app’s access was withdrawn.";
    PasswordChanged: true, "Your password was changed. Your other sessions were ended.";
    // Any form.
    Saved: true, "The changes were saved.";
    NothingToSave: true, "No changes to save.";
    FormIsBack: true, "What you typed before your session ended is back. Nothing was saved yet: check it, then send it.";
    // A confirmation.
    AlreadyDone: false, "That has already been done. Nothing was changed.";
    ChangedSince: false, "It has been changed since you opened that page. Nothing was done.";
    // Users.
    NobodySelected: false, "No users were selected. Select at least one, then try again.";
    UserLocked: true, "The user is locked by an admin. Every session was ended.";
    UserUnlocked: true, "The account is unlocked.";
    UserDeactivated: true, "The user is deactivated. Every session was ended.";
    UserReactivated: true, "The user is active again.";
    UserSessionsEnded: true, "Every session was ended.";
    UserInvited: true, "The user was created. An invitation to set a password is on its way by e-mail.";
    InvitationSent: true, "An invitation to set a password is on its way by e-mail.";
    EmailChecked: true, "The e-mail address is marked as checked. E-mails about the account are sent to it.";
    UserUntied: true, "The account is unlinked. The next sign-in from Therap Services links it again.";
    OwnAccount: false, "You cannot do this to your own account. Ask another Provider Admin.";
    PasswordNotReset: false, "The password has been changed since, so it was not reset. Reset it again if needed.";
    // Providers.
    ProviderCreated: true, "The provider was created. Next, create its first Provider Admin.";
    ProviderActivated: true, "The provider is active.";
    ProviderDeactivated: true, "The provider is inactive. Every session of the provider was ended.";
    ProviderSessionsEnded: true, "Every session of the provider was ended.";
    ProviderUnlocked: true, "All password locks of the provider were removed.";
    // Unified Login.
    UnifiedLoginRequested: true, "Request sent. Therap will review it.";
    RequestWithdrawn: true, "The request was withdrawn.";
    RequestApproved: true, "The request was approved: Unified Login is on.";
    RequestDeclined: true, "The request was declined.";
    UnifiedLoginOff: true, "Unified Login was switched off.";
    UnifiedLoginWasOff: false, "Unified Login was already off. Nothing was done.";
    UnifiedLoginMovedOn: false, "The state of Unified Login has changed since. This is its current state.";
    RequestMovedOn: false,
        "That request has since been withdrawn, changed or decided. Nothing was done.";
    // Clients.
    ClientCreated: true, "The client was created. It can be used now.";
    ClientDisabled: true, "The client is switched off. All its tokens are revoked.";
    ClientEnabled: true, "The client is switched on.";
    ClientDeleted: true, "Client deleted, with its secrets, consents and tokens.";
    ClientMovedOn: false, "Somebody else has changed this client since. Nothing was done.";
    SecretMovedOn: false, "Somebody has rotated this client’s secret since. Nothing was done.";
    NoSecret: false, "This client authenticates without a secret. Nothing was changed.";
    // Trusted issuers.
    IssuerCreated: true, "Handoffs from this issuer are now trusted.";
    IssuerDisabled: true, "The issuer is switched off. No handoff from it is accepted.";
    IssuerEnabled: true, "The issuer is switched on.";
    IssuerSessionsEnded: true, "Every session that it opened was ended.";
    IssuerUntied: true, "All links were removed. The next handoffs link users again.";
    // Signing keys.
    KeyAnnounced: true, "A new key is published. It starts signing once every app knows it.";
    KeySignsNow: true, "The new key is signing now.";
    KeyRetired: true, "The key is revoked. Tokens that it signed are no longer valid.";
    KeyPublishedAlready: false, "A new key has already been published. Nothing was done.";
    TooManyKeys: false, "The limit of published keys is reached. Wait until one is retired, or revoke one.";
    KeyRetiredAlready: false, "The key is already revoked or retired. Nothing was done.";
}

impl Notice {
    /// Why an e-mail was not sent that a button asked for.
    #[must_use]
    pub const fn of_not_mailed(why: NotMailed) -> Self {
        match why {
            NotMailed::TooMany => Self::NoMoreMails,
            NotMailed::Full => Self::MailsWait,
            // No button offers these: something has changed since.
            NotMailed::NoMail
            | NotMailed::NotFound
            | NotMailed::NoAddress
            | NotMailed::Verified
            | NotMailed::NotActive
            | NotMailed::HasPassword
            | NotMailed::TherapAdmin => Self::NotMailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_is_told_in_whole_words() {
        let said = |time_up, typed| Notice::SessionOver(time_up, typed).to_string();
        assert_eq!(
            said(TimeUp::Idle(30), Typed::Kept),
            "Your session ended after 30 minutes without use. What you typed is kept."
        );
        assert_eq!(said(TimeUp::Idle(1), Typed::Nothing), "Your session ended after 1 minute without use.");
        assert_eq!(
            said(TimeUp::Age(12), Typed::TooLong),
            "Your session ended after 12 hours, the longest that a session can last. What you typed was too long to be kept."
        );
    }

    #[test]
    fn a_sentence_stands_once_and_is_whole() {
        let mut sentences: Vec<_> = Notice::ALL.iter().map(ToString::to_string).collect();
        assert!(sentences.iter().all(|sentence| sentence.ends_with('.')), "{sentences:?}");
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), Notice::ALL.len());
    }
}
