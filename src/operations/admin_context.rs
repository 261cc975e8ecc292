//! An administrative act: who does it, by what authority, when, and until when it is worth doing. Pages and commands
//! make one and hand it to the operation; the operation's transaction reads the authority again (`in_act!`), and writes
//! its record from it.

use super::Actor;
use crate::app::App;
use crate::model::activity::{Event, Kind, Outcome};
use crate::model::provider::Provider;
use crate::model::user::{Account, UserType};
pub use crate::model::validation_error::ValidationError;
pub use crate::model::version::Version;
use crate::store::{self, Tx};
use crate::time::{Deadline, Timestamp};

/// One act. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminContext {
    /// The service it is done in.
    pub app: App,
    /// Who does it.
    pub actor: Actor,
    /// By what.
    pub authority: Authority,
    /// When.
    pub now: Timestamp,
    /// Until when its transaction may commit.
    pub deadline: Deadline,
    /// Which version of its object was shown when it was confirmed (G34); another one stays as it is.
    pub seen: Option<Version>,
}

/// What an act rests on. It was checked when the request arrived; whoever took it away since has the last word (G28).
#[derive(Clone, Debug)]
pub enum Authority {
    /// Whoever can run commands on this machine, and the service itself.
    Machine,
    /// An admin's session.
    Session {
        /// As it lives through renewals.
        sid: String,
        /// Whose session it is.
        user_id: String,
        /// As who the admin acts.
        user_type: UserType,
    },
    /// A program's token.
    Token {
        /// The digest under which it is remembered.
        hash: String,
        /// What it was checked by: the client's metadata, JSON.
        metadata: String,
    },
}

impl Authority {
    /// Reads it again where it counts, and holds it until the transaction ends.
    ///
    /// # Errors
    /// [`store::Error::NoAuthority`] when it was taken away.
    pub async fn prove(&self, tx: &mut Tx, now: Timestamp) -> Result<(), store::Error> {
        let stands = match self {
            Self::Machine => true,
            Self::Session { sid, user_type, .. } => store::sessions::may_act(tx, sid, *user_type, now).await?,
            Self::Token { hash, metadata } => store::tokens::access::may_act(tx, hash, metadata, now).await?,
        };
        if stands { Ok(()) } else { Err(store::Error::NoAuthority) }
    }
}

/// The one transaction of an act: `in_act!(act, [user_id, draft], |tx| { … Ok(x) })`, as `in_transaction!` does it,
/// once its authority is proven in it. What an act changes may be what its authority rests on, as an admin's own
/// provider: such a row is held to be changed before it is held to be read, `in_act!(act, holding
/// providers(provider_id), [provider_id], …)`. Two that read it first could each wait for the other.
macro_rules! in_act {
    ($act:ident, holding $table:ident($key:ident), [$($captured:ident),* $(,)?], |$tx:ident| $body:expr) => {
        $crate::store::in_transaction!($act.app.db, $act.deadline, [$act, $($captured),*], |$tx| {
            $crate::store::$table::lock_for_update($tx, &$key).await?;
            $act.authority.prove($tx, $act.now).await?;
            $body
        })
    };
    ($act:ident, [$($captured:ident),* $(,)?], |$tx:ident| $body:expr) => {
        $crate::store::in_transaction!($act.app.db, $act.deadline, [$act, $($captured),*], |$tx| {
            $act.authority.prove($tx, $act.now).await?;
            $body
        })
    };
}
pub(crate) use in_act;

impl AdminContext {
    /// The same act of an object that was seen in this version.
    #[must_use]
    pub fn of(self, seen: Version) -> Self {
        Self { seen: Some(seen), ..self }
    }

    /// Whether its object is not the version that was seen any more.
    #[must_use]
    pub fn is_stale(&self, version: Version) -> bool {
        self.seen.is_some_and(|seen| seen != version)
    }

    /// Whether it is done by this user: an admin's own account is not the admin's to lock, deactivate or reset.
    #[must_use]
    pub fn is_by(&self, user: &Account) -> bool {
        matches!(&self.authority, Authority::Session { user_id, .. } if *user_id == user.id)
    }

    /// The record of what this act did, with nobody named yet.
    #[must_use]
    pub fn event(&self, kind: Kind) -> Event {
        Event::new(kind, Outcome::Success, &self.actor.name, &self.actor.visitor, self.now, &self.app.random)
    }

    /// The record of what this act did to a provider.
    #[must_use]
    pub fn event_of(&self, kind: Kind, provider: &Provider) -> Event {
        let mut event = self.event(kind);
        event.provider_id = Some(provider.id.clone());
        event.provider_code = Some(provider.code.clone());
        event
    }
}

/// The result of switching something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It is so now, and recorded.
    Done,
    /// It was so already; nothing is recorded.
    Already,
    /// There is no such thing here.
    NotFound,
    /// The operator realm stays as it is.
    OperatorRealm,
    /// It is the last Therap Admin who can sign in.
    LastAdmin,
    /// It is the admin's own account.
    Own,
    /// Somebody changed it since it was seen; it stays as it is.
    Stale,
}

/// The result of an edit of data that were read in a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited<C> {
    /// They were still in that revision.
    Changed(C),
    /// Somebody else changed them since; nothing was written.
    Stale,
}

/// The result of a change of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These keys have new values now, and that is recorded; when it is empty, nothing was new and nothing is recorded.
    Keys(Vec<&'static str>),
    /// There is no such thing here.
    NotFound,
    /// The operator realm keeps its name.
    OperatorRealm,
}

/// What somebody writes to an act has so many characters at most.
const LONGEST: usize = 500;

/// How many lines may be written to an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// One.
    One,
    /// Several.
    Several,
}

/// Checks what somebody wrote to an act in words of their own; empty is nothing.
///
/// # Errors
/// What it must be.
pub fn check_words(key: &'static str, words: &str, lines: Lines) -> Result<Option<String>, ValidationError> {
    let words = words.replace("\r\n", "\n");
    let words = words.trim();
    if words.chars().count() > LONGEST {
        return Err(ValidationError::new(key, format!("must be at most {LONGEST} characters")));
    }
    let (may_break, why) = match lines {
        Lines::One => (false, "must be on one line, without control characters or tabs"),
        Lines::Several => (true, "must not contain control characters or tabs, but for line breaks"),
    };
    if words.chars().any(|c| c.is_control() && !(may_break && c == '\n')) {
        return Err(ValidationError::new(key, why));
    }
    Ok((!words.is_empty()).then(|| words.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_and_may_have_lines() {
        assert_eq!(check_words("note", " a\r\nb ", Lines::Several), Ok(Some("a\nb".into())));
        assert_eq!(check_words("note", " \n ", Lines::Several), Ok(None));
        assert_eq!(check_words("reason", " on leave ", Lines::One), Ok(Some("on leave".into())));
        for lines in [Lines::One, Lines::Several] {
            for (text, why) in [("a\0b", "control"), ("a\tb", "control"), (&"x".repeat(501), "at most 500")] {
                assert!(check_words("note", text, lines).unwrap_err().why.contains(why));
            }
        }
        assert!(check_words("reason", "a\nb", Lines::One).unwrap_err().why.contains("one line"));
    }
}
