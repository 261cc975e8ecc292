//! The sign-ins of days that are over, as they were counted. The record only grows, and at its end: what is over stays
//! as it is, until records are removed by retention, and counting again is slower, never different.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::activity::counts::SignIns;
use crate::time::{Day, Timestamp};

/// The most that are kept (G22): about a month of 2,000 providers, in 10 MiB.
const MOST: usize = 60_000;
/// For so long after its end a day is counted again: the last of its records may still be on their way.
const SETTLES: Duration = Duration::from_hours(1);

/// The counts, by provider (none: of all) and day, and what was removed of the record before they were counted.
#[derive(Debug, Default)]
pub struct DayCounts(Mutex<(i64, HashMap<Key, SignIns>)>);

type Key = (Option<String>, Timestamp, Timestamp);

fn key(provider_id: Option<&str>, day: &Day) -> Key {
    (provider_id.map(str::to_owned), day.begins, day.ends)
}

impl DayCounts {
    /// Forgets what was counted when less of the record was removed: its last place that is gone by now.
    pub fn pruned_to(&self, seq: i64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != seq {
            *kept = (seq, HashMap::new());
        }
    }

    /// What was counted, if it is kept.
    #[must_use]
    pub fn get(&self, provider_id: Option<&str>, day: &Day) -> Option<SignIns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.get(&key(provider_id, day)).copied()
    }

    /// Keeps what was counted, if the day is over.
    pub fn put(&self, provider_id: Option<&str>, day: &Day, counted: SignIns, now: Timestamp) {
        if day.ends.after(SETTLES) > now {
            return;
        }
        let kept = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1;
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key(provider_id, day), counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_day_that_is_over_is_kept() {
        let (counts, now) = (DayCounts::default(), Timestamp(1_800_000_000_000));
        let day = |ends: Timestamp| Day { date: String::new(), label: String::new(), begins: Timestamp(0), ends };
        let (over, young) = (day(now.before(SETTLES)), day(now));
        for day in [&over, &young] {
            counts.put(None, day, SignIns { direct: 1, ..SignIns::default() }, now);
        }
        assert_eq!(counts.get(None, &over).map(|count| count.direct), Some(1));
        assert_eq!(counts.get(None, &young), None);
        assert_eq!(counts.get(Some("a"), &over), None);
        counts.pruned_to(0);
        assert!(counts.get(None, &over).is_some());
        counts.pruned_to(7);
        assert_eq!(counts.get(None, &over), None, "some of what was counted is removed");
        for n in 0..=MOST {
            counts.put(Some(&n.to_string()), &over, SignIns::default(), now);
        }
        assert!(counts.0.lock().unwrap().1.len() <= MOST);
    }
}
