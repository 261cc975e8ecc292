//! The life of a signing key (G20): announced → signing → verifying → retired, read off its dates.

use std::time::Duration;

use super::{words, words_in_json};
use crate::time::Timestamp;

/// Nobody is told to keep our JWK Set for longer.
const LONGEST_CACHED: Duration = Duration::from_hours(1);

/// Where in its life a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published, so that whoever keeps our JWK Set knows it before it signs.
    Announced,
    /// Signs.
    Signing,
    /// Signs no more; what it signed may still be good.
    Verifying,
    /// Everything it signed is over, or somebody took it back.
    Retired,
}
words!(State { Announced = "announced", Signing = "signing", Verifying = "verifying", Retired = "retired" });
words_in_json!(State as "SigningKeyState");

impl State {
    /// Whether the JWK Set holds such a key.
    #[must_use]
    pub const fn is_published(self) -> bool {
        match self {
            Self::Announced | Self::Signing | Self::Verifying => true,
            Self::Retired => false,
        }
    }

    /// Whether its private half may still sign; when not, it is soon forgotten.
    #[must_use]
    pub const fn may_sign(self) -> bool {
        match self {
            Self::Announced | Self::Signing => true,
            Self::Verifying | Self::Retired => false,
        }
    }
}

/// The dates of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// It signs from then on, while no newer key does.
    pub signs_from: Timestamp,
    /// Until then something that it signed may be good; open while it has no successor.
    pub verifies_until: Option<Timestamp>,
    /// When somebody took it back: it is worth nothing from then on.
    pub retired_at: Option<Timestamp>,
}

impl Dates {
    fn is_retired(&self, now: Timestamp) -> bool {
        self.retired_at.is_some() || self.verifies_until.is_some_and(|until| until <= now)
    }
}

/// The states of all keys of one algorithm at `now`, in the order of `keys`, which is oldest first. One at most is
/// [`State::Signing`].
#[must_use]
pub fn states(keys: &[Dates], now: Timestamp) -> Vec<State> {
    let signing = signing(keys, now);
    let state = |(at, key): (usize, &Dates)| {
        if key.is_retired(now) {
            State::Retired
        } else if signing.is_some_and(|signing| at < signing) {
            State::Verifying
        } else if signing == Some(at) {
            State::Signing
        } else {
            State::Announced
        }
    };
    keys.iter().enumerate().map(state).collect()
}

/// Which of an algorithm's keys, oldest first, signs: the newest whose time has come. Where a clock was put back, and
/// no key's time has come, the oldest.
#[must_use]
pub fn signing(keys: &[Dates], now: Timestamp) -> Option<usize> {
    let alive = |key: &Dates| !key.is_retired(now);
    let come = keys.iter().rposition(|key| alive(key) && key.signs_from <= now);
    come.or_else(|| keys.iter().position(alive))
}

/// When the successor of an algorithm's newest key is to be announced: `announce` before the newest has signed for
/// `lasts`.
#[must_use]
pub fn successor_due(newest: &Dates, lasts: Duration, announce: Duration) -> Timestamp {
    newest.signs_from.after(lasts).before(announce)
}

/// How long the JWK Set may be kept: whoever keeps it twice that long still knows a key before it signs.
#[must_use]
pub fn max_age(announce: Duration) -> Duration {
    LONGEST_CACHED.min(announce / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(signs_from: i64, verifies_until: Option<i64>) -> Dates {
        let verifies_until = match verifies_until {
            Some(until) => Some(Timestamp(until)),
            None => None,
        };
        Dates { signs_from: Timestamp(signs_from), verifies_until, retired_at: None }
    }

    #[test]
    fn a_key_is_announced_signs_verifies_and_retires_on_its_dates() {
        use State::{Announced, Retired, Signing, Verifying};
        let keys = [key(0, Some(150)), key(100, Some(250)), key(200, None)];
        for (now, wanted) in [
            (0, [Signing, Announced, Announced]),
            (99, [Signing, Announced, Announced]),
            (100, [Verifying, Signing, Announced]),
            (149, [Verifying, Signing, Announced]),
            (150, [Retired, Signing, Announced]),
            (200, [Retired, Verifying, Signing]),
            (250, [Retired, Retired, Signing]),
            (i64::MAX, [Retired, Retired, Signing]),
        ] {
            assert_eq!(states(&keys, Timestamp(now)), wanted, "at {now}");
        }
    }

    #[test]
    fn a_key_that_was_taken_back_is_retired_whatever_its_dates_say() {
        let mut keys = [key(0, Some(150)), key(100, None)];
        keys[0].retired_at = Some(Timestamp(120));
        assert_eq!(states(&keys, Timestamp(120)), [State::Retired, State::Signing]);
        keys[0].retired_at = None;
        keys[1].retired_at = Some(Timestamp(50));
        assert_eq!(states(&keys, Timestamp(60)), [State::Signing, State::Retired]);
    }

    #[test]
    fn where_a_clock_was_put_back_the_oldest_key_signs() {
        assert_eq!(states(&[key(100, None)], Timestamp(40)), [State::Signing]);
        assert_eq!(signing(&[key(100, Some(900)), key(200, None)], Timestamp(40)), Some(0));
        assert_eq!(signing(&[], Timestamp(40)), None);
    }

    #[test]
    fn a_successor_is_announced_ahead_and_the_set_is_kept_half_as_long_at_most() {
        let (day, days) = (Duration::from_hours(24), |n: u64| Duration::from_hours(24 * n));
        assert_eq!(successor_due(&key(0, None), days(90), day), Timestamp(0).after(days(89)));
        assert_eq!(max_age(day), Duration::from_hours(1));
        assert_eq!(max_age(Duration::from_hours(1)), Duration::from_mins(30));
        assert_eq!(max_age(Duration::ZERO), Duration::ZERO);
    }
}
