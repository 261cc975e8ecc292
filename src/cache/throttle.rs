//! What one address may try, or one client ask: a bucket that refills by the minute. In process, where a restart
//! forgives everybody; and shared by all replicas where there is a Redis, of which the process' own is the floor:
//! whatever Redis says, no process lets more pass than it would alone.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::shared::Redis;
use crate::time::Timestamp;

/// How many are remembered. Full buckets are forgotten first: they remember nothing.
const CAPACITY: usize = 50_000;
/// When this many are remembered, newcomers share this many buckets, by their neighbourhood.
const SHARED: usize = 4096;
const MINUTE_MS: i64 = 60_000;

/// The buckets of this process, or none at all.
#[derive(Debug)]
pub struct Throttle<K> {
    /// 0: none at all.
    per_minute: AtomicU32,
    buckets: Mutex<Buckets<K>>,
    // Keyed by chance, so that nobody chooses whose bucket they share.
    hasher: RandomState,
}

#[derive(Debug)]
struct Buckets<K> {
    own: HashMap<K, Bucket>,
    shared: HashMap<u64, Bucket>,
    swept_at: Timestamp,
}

/// What has neighbours: whoever makes up many of one kind shares with them when there are too many.
pub trait Neighbourhood {
    /// The same for all whom one stranger could make up.
    fn neighbourhood(&self) -> impl Hash;
}

impl Neighbourhood for Network {
    /// A /48, as sites are given, or a /24.
    fn neighbourhood(&self) -> impl Hash {
        match self.0 {
            IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) >> 8 << 8).into()),
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 80 << 80).into()),
        }
    }
}

impl Neighbourhood for () {
    /// There is one.
    fn neighbourhood(&self) -> impl Hash {}
}

impl Neighbourhood for String {
    /// Nobody makes up what we gave.
    fn neighbourhood(&self) -> impl Hash {
        self.as_str()
    }
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

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Network {
    /// The /48 that it is of, as a site is given one; an IPv4 address stands for itself.
    #[must_use]
    pub fn site(self) -> Self {
        match self.0 {
            IpAddr::V4(_) => self,
            IpAddr::V6(v6) => Self(IpAddr::V6((u128::from(v6) >> 80 << 80).into())),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    // In thousandths of a try, so that refilling by the millisecond loses nothing.
    left: i64,
    at: Timestamp,
}

impl<K: Eq + Hash + Neighbourhood> Throttle<K> {
    /// A throttle of a given number of tries a minute, with as many in reserve; `None` lets everything pass.
    #[must_use]
    pub fn new(per_minute: Option<u32>) -> Self {
        let buckets = Buckets { own: HashMap::new(), shared: HashMap::new(), swept_at: Timestamp(0) };
        Self {
            per_minute: AtomicU32::new(per_minute.unwrap_or(0)),
            buckets: Mutex::new(buckets),
            hasher: RandomState::new(),
        }
    }

    fn per_minute(&self) -> Option<u32> {
        Some(self.per_minute.load(Ordering::Relaxed)).filter(|rate| *rate != 0)
    }

    /// From now on this many.
    pub fn set(&self, per_minute: Option<u32>) {
        self.per_minute.store(per_minute.unwrap_or(0), Ordering::Relaxed);
    }

    /// Takes one try from an address or a client.
    ///
    /// # Errors
    /// How many seconds until the next one is free.
    pub fn take(&self, whose: impl Into<K>, now: Timestamp) -> Result<(), u64> {
        let Some(per_minute) = self.per_minute().map(i64::from) else {
            return Ok(());
        };
        self.with_bucket(whose.into(), now, |bucket| {
            let left = refilled(*bucket, per_minute, now);
            if left < 1000 {
                let wait_ms = (1000 - left) * 60 / per_minute;
                return Err(u64::try_from(wait_ms / 1000 + 1).unwrap_or(1));
            }
            *bucket = Bucket { left: left - 1000, at: now };
            Ok(())
        })
    }

    /// Gives a try back that was taken a moment ago, and not used.
    fn give_back(&self, whose: K, now: Timestamp) {
        self.with_bucket(whose, now, |bucket| bucket.left += 1000);
    }

    fn with_bucket<T>(&self, whose: K, now: Timestamp, change: impl FnOnce(&mut Bucket) -> T) -> T {
        let per_minute = self.per_minute().map_or(0, i64::from);
        let full = per_minute * 1000;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Looking through all of them takes a moment: not for every newcomer.
        if buckets.own.len() >= CAPACITY && buckets.swept_at.after(Duration::from_secs(1)) <= now {
            buckets.swept_at = now;
            buckets.own.retain(|_, b| refilled(*b, per_minute, now) < full);
        }
        let new = Bucket { left: full, at: now };
        let bucket = if buckets.own.len() < CAPACITY || buckets.own.contains_key(&whose) {
            buckets.own.entry(whose).or_insert(new)
        } else {
            let place = self.hasher.hash_one(whose.neighbourhood()) % SHARED as u64;
            buckets.shared.entry(place).or_insert(new)
        };
        change(bucket)
    }
}

/// A throttle that all replicas share where there is a Redis.
#[derive(Debug)]
pub struct SharedThrottle<K> {
    /// Which of the throttles it is.
    name: &'static str,
    own: Throttle<K>,
    redis: Option<Arc<Redis>>,
}

impl<K: Clone + Display + Eq + Hash + Neighbourhood> SharedThrottle<K> {
    /// A throttle of a given number of tries a minute, with as many in reserve; `None` lets everything pass.
    #[must_use]
    pub fn new(name: &'static str, per_minute: Option<u32>, redis: Option<&Arc<Redis>>) -> Self {
        Self { name, own: Throttle::new(per_minute), redis: redis.cloned() }
    }

    /// From now on this many a minute.
    pub fn set(&self, per_minute: Option<u32>) {
        self.own.set(per_minute);
    }

    /// Takes one try from an address or a client.
    ///
    /// # Errors
    /// How many seconds until the next one is free.
    pub async fn take(&self, whose: impl Into<K>, now: Timestamp) -> Result<(), u64> {
        let whose = whose.into();
        self.own.take(whose.clone(), now)?;
        let (Some(redis), Some(per_minute)) = (&self.redis, self.own.per_minute()) else {
            return Ok(());
        };
        let shared = redis.take(self.name, &whose.to_string(), per_minute).await.unwrap_or(Ok(()));
        if shared.is_err() {
            self.own.give_back(whose, now);
        }
        shared
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
    fn whoever_fills_the_memory_does_not_pass_for_that() {
        let throttle = Throttle::<Network>::new(Some(2));
        let now = Timestamp(0);
        let one_of_48 = |n: usize| address(&format!("2001:db8:1:{n:x}::1"));
        assert!((0..CAPACITY).all(|n| throttle.take(one_of_48(n), now).is_ok()));
        assert!((0..2).all(|n| throttle.take(one_of_48(CAPACITY + n), now).is_ok()));
        assert!((2..1000).all(|n| throttle.take(one_of_48(CAPACITY + n), now).is_err()));
        assert!(throttle.take(one_of_48(1), now).is_ok(), "whoever is remembered stays so");
        assert!(throttle.take(address("192.0.2.1"), now).is_ok(), "others come in");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more_than_that() {
        let throttle = Throttle::<Network>::new(Some(2));
        let (whose, now) = (address("192.0.2.1"), Timestamp(0));
        for _ in 0..10 {
            assert_eq!(throttle.take(whose, now), Ok(()));
            throttle.give_back(whose.into(), now);
        }
        throttle.give_back(whose.into(), now);
        assert_eq!((throttle.take(whose, now), throttle.take(whose, now)), (Ok(()), Ok(())));
        assert!(throttle.take(whose, now).is_err());
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
