//! When a session ends: what a page says of it, and what its script counts down.

use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::model::session::Session;
use crate::operations::sessions::open::limits;
use crate::time::Timestamp;

/// A page warns so long before the end, or half the idle limit before where that is less.
pub const WARNING: Duration = Duration::from_mins(2);

/// What is left of a session, in whole seconds: 0 when it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeLeft {
    /// Until it ends unless it is used.
    pub idle_seconds: u64,
    /// Until it ends in any case.
    pub absolute_seconds: u64,
}

impl TimeLeft {
    /// Of a session that lives now.
    #[must_use]
    pub fn of(session: &Session, now: Timestamp) -> Self {
        let left = |until: i64| u64::try_from(until - now.0).unwrap_or_default().div_ceil(1000);
        Self { idle_seconds: left(session.idle_until), absolute_seconds: left(session.expires_at) }
    }
}

/// What a page says of the end of its session.
#[derive(Clone, Debug)]
pub struct SessionEnd {
    /// What is left.
    pub left: TimeLeft,
    /// The script warns so many seconds before.
    pub warn_seconds: u64,
    /// What everybody reads.
    pub line: String,
}

impl SessionEnd {
    /// Of a session that lives now.
    #[must_use]
    pub fn of(app: &App, session: &Session, now: Timestamp) -> Self {
        let (idle, _) = limits(app, session.idle_minutes, None);
        let at = |until: i64| Timestamp(until).in_zone(&session.time_zone);
        let line = if session.expires_at <= session.idle_until {
            format!("Your session ends at {}. It cannot be extended.", at(session.expires_at))
        } else {
            format!("Your session ends at {} unless you use this site before then.", at(session.idle_until))
        };
        Self { left: TimeLeft::of(session, now), warn_seconds: WARNING.min(idle / 2).as_secs(), line }
    }
}
