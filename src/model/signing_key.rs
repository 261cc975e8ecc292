//! The life of our signing keys (G20): announced → signing → verifying → retired. A state is never stored: it is read off
//! the dates of all keys of one algorithm.

use std::time::Duration;

use super::words;
use crate::time::Timestamp;

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published ahead of its use.
    Announced,
    /// Signs.
    Signing,
    /// Replaced; what it signed may still be good.
    Verifying,
    /// Nothing it signed is good any more.
    Retired,
}
words!(State { Announced = "announced", Signing = "signing", Verifying = "verifying", Retired = "retired" });

/// The dates of one key.
#[derive(Clone, Copy, Debug)]
pub struct Dates {
    /// From when it may sign.
    pub signs_from: Timestamp,
    /// When it was retired by hand.
    pub retired_at: Option<Timestamp>,
}

/// The states at `now` of one algorithm's keys, which are given by generation, oldest first. `longest` is the longest life
/// of anything that is signed.
#[must_use]
pub fn states(keys: &[Dates], longest: Duration, now: Timestamp) -> Vec<State> {
    let may_sign = |key: &Dates| key.retired_at.is_none() && key.signs_from <= now;
    let signing = keys.iter().rposition(may_sign);
    let state = |(index, key): (usize, &Dates)| {
        if key.retired_at.is_some() {
            State::Retired
        } else if key.signs_from > now {
            State::Announced
        } else if Some(index) == signing {
            State::Signing
        } else if replaced_at(keys, index).is_some_and(|at| at.after(longest) <= now) {
            State::Retired
        } else {
            State::Verifying
        }
    };
    keys.iter().enumerate().map(state).collect()
}

/// When the next generation took over.
fn replaced_at(keys: &[Dates], index: usize) -> Option<Timestamp> {
    keys.get(index + 1).map(|next| next.signs_from)
}

/// Whether an algorithm is due for a new key, so that the one that signs is replaced `every` so long.
#[must_use]
pub fn is_due(keys: &[Dates], every: Duration, announce: Duration, now: Timestamp) -> bool {
    let waiting = keys.iter().any(|key| key.retired_at.is_none() && key.signs_from > now);
    let newest = keys.iter().rfind(|key| key.retired_at.is_none());
    !waiting && newest.is_some_and(|key| key.signs_from.after(every).before(announce) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn key(signs_from: i64) -> Dates {
        Dates { signs_from: Timestamp(signs_from * 3_600_000), retired_at: None }
    }

    fn at(keys: &[Dates], hour: i64) -> Vec<State> {
        states(keys, 2 * HOUR, Timestamp(hour * 3_600_000))
    }

    #[test]
    fn a_key_goes_through_its_states_by_its_dates() {
        use State::{Announced, Retired, Signing, Verifying};
        let keys = [key(0), key(10)];
        assert_eq!(at(&keys[..1], 5), [Signing]);
        assert_eq!(at(&keys, 9), [Signing, Announced]);
        assert_eq!(at(&keys, 10), [Verifying, Signing]);
        assert_eq!(at(&keys, 11), [Verifying, Signing]);
        assert_eq!(at(&keys, 12), [Retired, Signing]);
        let compromised = [key(0), Dates { retired_at: Some(Timestamp(0)), ..key(10) }, key(11)];
        assert_eq!(at(&compromised, 11), [Verifying, Retired, Signing]);
        assert_eq!(at(&[], 1), []);
    }

    #[test]
    fn a_new_key_is_due_once_and_ahead_of_time() {
        let due = |keys: &[Dates], hour: i64| is_due(keys, 10 * HOUR, 3 * HOUR, Timestamp(hour * 3_600_000));
        assert!(!due(&[key(0)], 6));
        assert!(due(&[key(0)], 7));
        assert!(!due(&[key(0), key(10)], 8), "one is announced already");
        assert!(!due(&[], 100), "the first key is made on first need");
    }
}
