//! The same act on several users: each a transaction and a record of its own, done or not done by itself, and the answer says
//! of each which.

use zeroize::Zeroizing;

use super::{Ended, Locks, Reset, Unlocked, end_sessions, generate_password, lock_because, reset_password, unlock};
use crate::model::user::Account;
use crate::model::words;
use crate::operations::admin_context::{AdminContext, Switched, Version};
use crate::store::Error;
use crate::time::Timestamp;

/// As many users are acted on at once.
pub const MOST: usize = 25;

/// What is done to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// An admin's lock.
    Lock,
    /// Every lock is removed.
    Unlock,
    /// Every session is ended.
    EndSessions,
    /// A temporary password.
    ResetPassword,
}
words!(Selected {
    Lock = "lock",
    Unlock = "unlock",
    EndSessions = "end-sessions",
    ResetPassword = "reset-password",
});

/// The result for one user.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, and recorded.
    Done,
    /// The sessions are ended, and that is recorded: the number that was open.
    Ended(u64),
    /// The user has this temporary password now.
    Reset {
        /// To be shown once.
        password: Zeroizing<String>,
        /// Until when it works.
        until: Timestamp,
        /// An admin's lock still stands.
        still_locked: bool,
    },
    /// It was so already; nothing is recorded.
    Already,
    /// It is the admin's own account.
    Own,
    /// Somebody changed the user since this was confirmed.
    Changed,
    /// There is no such user here any more.
    NotFound,
    /// The service was too busy; nothing was written.
    Busy,
    /// What the act rested on was taken away meanwhile; nothing was written.
    NoAuthority,
    /// The database failed: it may or may not be done.
    Unknown,
}

impl Outcome {
    /// Whether it is done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Ended(_) | Self::Reset { .. })
    }

    /// Whether trying again later may help.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Busy | Self::Unknown)
    }
}

/// Does it to one user who was seen in a version; a lock may have a reason that was checked. No error: of the users before
/// this one much may be done, and is to be told.
pub async fn act_on(
    act: &AdminContext,
    provider_id: &str,
    what: Selected,
    user: &Account,
    seen: Version,
    reason: Option<String>,
) -> Outcome {
    let act = act.clone().of(seen);
    let done = match what {
        Selected::Lock => lock_because(&act, provider_id, &user.id, reason).await.map(Outcome::from),
        Selected::Unlock => unlock(&act, provider_id, &user.id, Locks::Both).await.map(Outcome::from),
        Selected::EndSessions => end_sessions(&act, provider_id, &user.id).await.map(Outcome::from),
        Selected::ResetPassword => reset(&act, provider_id, user).await,
    };
    done.unwrap_or_else(|error| {
        tracing::warn!(%error, "an act on one of several users failed: {error}");
        match error {
            Error::NoAuthority => Outcome::NoAuthority,
            Error::Late | Error::Stalled(_) | Error::Contended(_) | Error::Unreachable(_) | Error::ReadOnly(_) => {
                Outcome::Busy
            }
            Error::Unavailable(_)
            | Error::Parted(_)
            | Error::Unexpected(_)
            | Error::Damaged(_)
            | Error::Withdrawn
            | Error::Silent
            | Error::Full
            | Error::TaskDied => Outcome::Unknown,
        }
    })
}

async fn reset(act: &AdminContext, provider_id: &str, user: &Account) -> Result<Outcome, Error> {
    let password = generate_password(&act.app.random);
    let reset = reset_password(act, provider_id, &user.id, &password, Some(user.password_version)).await?;
    Ok(match reset {
        Reset::Yes { until, still_locked, .. } => Outcome::Reset { password, until, still_locked },
        Reset::Before => Outcome::Changed,
        Reset::NotFound => Outcome::NotFound,
        Reset::Own => Outcome::Own,
        Reset::Busy => Outcome::Busy,
    })
}

impl From<Switched> for Outcome {
    fn from(switched: Switched) -> Self {
        match switched {
            Switched::Done => Self::Done,
            Switched::Already => Self::Already,
            Switched::Own => Self::Own,
            Switched::Stale => Self::Changed,
            Switched::NotFound | Switched::OperatorRealm | Switched::LastAdmin => Self::NotFound,
        }
    }
}

impl From<Unlocked> for Outcome {
    fn from(unlocked: Unlocked) -> Self {
        match unlocked {
            Unlocked::Yes { .. } => Self::Done,
            Unlocked::WasNot => Self::Already,
            Unlocked::Stale => Self::Changed,
            Unlocked::NotFound => Self::NotFound,
        }
    }
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Yes(count) => Self::Ended(count),
            Ended::Stale => Self::Changed,
            Ended::NotFound => Self::NotFound,
        }
    }
}
