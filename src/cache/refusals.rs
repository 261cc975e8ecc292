//! Refused handoffs that wait to be written down (A4). An answer never waits for that, and no stranger brings about
//! more writes than a fixed number a minute: what is beyond is in the log alone.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use super::throttle::{Network, Throttle};
use crate::store::handoffs::refused::Refused;
use crate::time::Timestamp;

/// As many wait.
const MOST: usize = 1000;
/// As many are kept in a minute, of one network and of all.
const OF_ONE: u32 = 30;
const OF_ALL: u32 = 600;

/// The refusals of this process.
#[derive(Debug)]
pub struct Refusals {
    waiting: Mutex<VecDeque<Refused>>,
    of_one: Throttle<Network>,
    of_all: Throttle<()>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { waiting: Mutex::default(), of_one: Throttle::new(Some(OF_ONE)), of_all: Throttle::new(Some(OF_ALL)) }
    }
}

impl Refusals {
    /// Lets a refusal be written down, if there is room.
    pub fn note(&self, refused: Refused, now: Timestamp) {
        let address = refused.address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST && self.of_one.take(address, now).is_ok() && self.of_all.take((), now).is_ok() {
            waiting.push_back(refused);
        }
    }

    /// The oldest of those that wait, up to this number: they wait no longer.
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<Refused> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> Refused {
        Refused {
            id: String::new(),
            at: Timestamp(0),
            reference: String::new(),
            reason: "not_post",
            address: address.into(),
            browser: String::new(),
        }
    }

    #[test]
    fn no_network_and_not_all_of_them_together_bring_about_more_than_so_many() {
        let (refusals, mut now) = (Refusals::default(), Timestamp(0));
        for _ in 0..100 {
            refusals.note(refused("192.0.2.1"), now);
        }
        assert_eq!(refusals.take(1000).len(), 30);
        for number in 0..2000 {
            refusals.note(refused(&format!("192.0.{}.{}", number / 250, number % 250)), now);
        }
        assert_eq!((refusals.take(100).len(), refusals.take(1000).len()), (100, 470));
        for _ in 0..10 {
            now = Timestamp(now.0 + 60_000);
            for number in 0..2000 {
                refusals.note(refused(&format!("198.51.{}.{}", number / 250, number % 250)), now);
            }
        }
        assert_eq!(refusals.take(10_000).len(), 1000);
    }
}
