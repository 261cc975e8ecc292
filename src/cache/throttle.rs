//! What one address may try, or one client ask: a bucket that refills by the minute. In process; a restart forgives
//! everybody.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::time::Timestamp;

/// How many are remembered. Full buckets are forgotten first: they remember nothing.
const CAPACITY: usize = 50_000;
const MINUTE_MS: i64 = 60_000;

/// The buckets of this process, or none at all.
#[derive(Debug)]
pub struct Throttle<K> {
    per_minute: Option<u32>,
    buckets: Mutex<HashMap<K, Bucket>>,
}

/// What counts as one address: an IPv6 customer has a /64 to choose addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(v4)),
            IpAddr::V6(v6) => Self(IpAddr::V6((u128::from(v6) >> 64 << 64).into())),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    // In thousandths of a try, so that refilling by the millisecond loses nothing.
    left: i64,
    at: Timestamp,
}

impl<K: Eq + Hash> Throttle<K> {
    /// A throttle of so many tries a minute, with as many in reserve; `None` lets everything pass.
    #[must_use]
    pub fn new(per_minute: Option<u32>) -> Self {
        Self { per_minute, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one try from an address or a client.
    ///
    /// # Errors
    /// How many seconds until the next one is free.
    pub fn take(&self, whose: impl Into<K>, now: Timestamp) -> Result<(), u64> {
        let whose = whose.into();
        let Some(per_minute) = self.per_minute.map(i64::from) else {
            return Ok(());
        };
        let full = per_minute * 1000;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CAPACITY {
            buckets.retain(|_, b| refilled(*b, per_minute, now) < full);
            // Still full: whoever is remembered stays so, and a newcomer passes.
            if buckets.len() >= CAPACITY && !buckets.contains_key(&whose) {
                return Ok(());
            }
        }
        let bucket = buckets.entry(whose).or_insert(Bucket { left: full, at: now });
        let left = refilled(*bucket, per_minute, now);
        if left < 1000 {
            let wait_ms = (1000 - left) * 60 / per_minute;
            return Err(u64::try_from(wait_ms / 1000 + 1).unwrap_or(1));
        }
        *bucket = Bucket { left: left - 1000, at: now };
        Ok(())
    }
}

fn refilled(bucket: Bucket, per_minute: i64, now: Timestamp) -> i64 {
    let elapsed = (now.0 - bucket.at.0).clamp(0, MINUTE_MS);
    (bucket.left + elapsed * per_minute / 60).min(per_minute * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_stopped_at_its_limit_and_let_go_with_time() {
        let throttle = Throttle::<Network>::new(Some(2));
        let (a, b) = (address("192.0.2.1"), address("192.0.2.2"));
        let now = Timestamp(0);
        assert_eq!((throttle.take(a, now), throttle.take(a, now)), (Ok(()), Ok(())));
        assert_eq!(throttle.take(a, now), Err(31));
        assert_eq!(throttle.take(b, now), Ok(()));
        assert_eq!(throttle.take(a, Timestamp(30_000)), Ok(()));
        assert!(throttle.take(a, Timestamp(30_001)).is_err());
    }

    #[test]
    fn a_whole_v6_network_is_one_address_and_off_is_off() {
        let throttle = Throttle::<Network>::new(Some(1));
        let now = Timestamp(0);
        assert!(throttle.take(address("2001:db8::1"), now).is_ok());
        assert!(throttle.take(address("2001:db8::2"), now).is_err());
        let off = Throttle::<Network>::new(None);
        assert!((0..1000).all(|_| off.take(address("192.0.2.1"), now).is_ok()));
    }
}
