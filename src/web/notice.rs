//! What a page says once: what was just done, or why it was not. A closed list; [`flash`](super::flash) brings one of it
//! from the answer to a form to the page that follows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes [`Notice`] of a table, so that a word without its sentence does not compile.
macro_rules! notices {
    ($($name:ident: $is_good:literal, $text:literal;)*) => {
        /// One sentence for the next page.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Notice {
            /// So many of the ticked users had a lock to take off.
            UsersUnlocked(u16),
            $(#[doc = $text] $name,)*
        }

        impl Notice {
            /// Every sentence once.
            pub const ALL: &[Self] = &[Self::UsersUnlocked(0), $(Self::$name),*];

            /// Whether something was done; otherwise it says why nothing was.
            #[must_use]
            pub const fn is_good(self) -> bool {
                match self {
                    Self::UsersUnlocked(_) => true,
                    $(Self::$name => $is_good,)*
                }
            }
        }

        impl fmt::Display for Notice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::UsersUnlocked(0) => f.write_str("None of them was locked any more."),
                    Self::UsersUnlocked(1) => f.write_str("1 user was unlocked."),
                    Self::UsersUnlocked(count) => write!(f, "{count} users were unlocked."),
                    $(Self::$name => f.write_str($text),)*
                }
            }
        }
    };
}

notices! {
    // Before a sign-in.
    LoggedOut: true, "You have logged out. Please close this tab.";
    PasswordSet: true, "Your password is set. Please sign in with it.";
    ThreeWrongPasswords: true,
        "You were signed out, because a wrong password was typed three times. Please sign in again.";
    LinkRequested: true,
        "If the account has a verified e-mail address, a link to set a new password is on its way. It works once, within 15 minutes.";
    // One's own sessions.
    SessionEnded: true, "The session was ended.";
    OtherSessionsEnded: true, "All other sessions were ended.";
    AccessWithdrawn: true, "The app’s access was withdrawn.";
    PasswordChanged: true, "Your password was changed. Your other sessions were ended.";
    // Any form.
    Saved: true, "The changes were saved.";
    NothingToSave: true, "Nothing was different, so nothing was saved.";
    // Users.
    UserLocked: true, "The user is locked by an admin. Every session was ended.";
    UserUnlocked: true, "The lock is off.";
    UserDeactivated: true, "The user is deactivated. Every session was ended.";
    UserReactivated: true, "The user is active again.";
    UserSessionsEnded: true, "Every session was ended.";
    UserUntied: true, "The account is untied. The next sign-in from Therap Services ties it anew.";
    OwnAccount: false, "You cannot do this to your own account. Ask another Provider Admin.";
    PasswordNotReset: false, "The password was changed meanwhile, so nothing was reset. Reset it again if need be.";
    // Providers.
    ProviderCreated: true, "The provider was created. It needs a Provider Admin of its own now.";
    ProviderActivated: true, "The provider is active.";
    ProviderDeactivated: true, "The provider is inactive. Every session of it was ended.";
    ProviderSessionsEnded: true, "Every session of the provider was ended.";
    ProviderUnlocked: true, "No user of the provider is password locked any more.";
    // Unified Login.
    UnifiedLoginRequested: true, "Unified Login was requested. Therap decides.";
    RequestWithdrawn: true, "The request was withdrawn.";
    RequestApproved: true, "The request was approved: Unified Login is on.";
    RequestDeclined: true, "The request was declined.";
    UnifiedLoginOff: true, "Unified Login was switched off.";
    UnifiedLoginWasOff: false, "Unified Login was not on any more. Nothing was done.";
    UnifiedLoginMovedOn: false, "The state of Unified Login changed meanwhile. This is how it stands now.";
    RequestMovedOn: false,
        "That request is no longer the one that you read: it was withdrawn, changed or decided. Nothing was done.";
    // Clients.
    ClientCreated: true, "The client was created. It can sign people in now.";
    ClientDisabled: true, "The client is switched off. Everything that it was given is dead.";
    ClientEnabled: true, "The client is switched on.";
    ClientDeleted: true, "The client was deleted, with everything that was its.";
    ClientMovedOn: false, "Somebody else changed this client meanwhile. Nothing was done.";
    SecretMovedOn: false, "Somebody gave this client a new secret meanwhile. Nothing was done.";
    NoSecret: false, "This client proves who it is without a secret. Nothing was done.";
    // Trusted issuers.
    IssuerCreated: true, "Handoffs from this issuer are trusted now.";
    IssuerDisabled: true, "The issuer is switched off. No handoff from it is accepted.";
    IssuerEnabled: true, "The issuer is switched on.";
    IssuerSessionsEnded: true, "Every session that came from it was ended.";
    IssuerUntied: true, "Every tie was removed. The next handoffs tie anew.";
    // Signing keys.
    KeyAnnounced: true, "A new key is published. It signs once everybody knows it.";
    KeySignsNow: true, "The new key signs now.";
    KeyRetired: true, "The key was taken back. What it signed is worth nothing any more.";
    KeyPublishedAlready: false, "A new key is published already, or was made meanwhile. Nothing was done.";
    TooManyKeys: false, "So many keys are published that no more may be. Nothing was done.";
    KeyRetiredAlready: false, "The key was taken back or ended already. Nothing was done.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_stands_once_and_is_whole() {
        let mut sentences: Vec<_> = Notice::ALL.iter().map(ToString::to_string).collect();
        assert!(sentences.iter().all(|sentence| sentence.ends_with('.')), "{sentences:?}");
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), Notice::ALL.len());
    }
}
