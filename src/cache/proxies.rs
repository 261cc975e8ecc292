//! The trusted proxies, which may change without a restart; and what one of them said that could not be read.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What cannot be read is noted again after so long.
const NOTE_AGAIN: Duration = Duration::from_hours(1);
/// A note is of the present for so long.
pub const NOTE_COUNTS: Duration = Duration::from_hours(2);
/// As much of what was said is noted.
const CHARS: usize = 100;

/// The proxies whose word is believed (G18). Cheap to clone, and the same in each clone.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    trusted: RwLock<Arc<[IpNet]>>,
    unreadable: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    last: Option<Timestamp>,
    waiting: Option<UnreadableHop>,
}

/// A proxy named a client by something that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableHop {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// The proxy's address.
    pub proxy: IpAddr,
    /// What it said, its foreign bytes escaped.
    pub hop: String,
}

impl Proxies {
    /// These networks' proxies are believed.
    #[must_use]
    pub fn new(trusted: &[IpNet]) -> Self {
        let proxies = Self::default();
        proxies.trust(trusted);
        proxies
    }

    /// From now on these are.
    pub fn trust(&self, trusted: &[IpNet]) {
        *self.0.trusted.write().unwrap_or_else(PoisonError::into_inner) = trusted.into();
    }

    /// Whether an address is a trusted proxy's.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let trusted = Arc::clone(&self.0.trusted.read().unwrap_or_else(PoisonError::into_inner));
        trusted.iter().any(|net| net.contains(&ip))
    }

    /// Notes what could not be read, now and then; whether it is the first time.
    pub fn note_unread(&self, proxy: IpAddr, hop: &[u8], now: Timestamp) -> bool {
        let mut noted = self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = noted.last.is_none();
        if noted.last.is_none_or(|at| at.after(NOTE_AGAIN) <= now) {
            let hop = hop.escape_ascii().to_string().chars().take(CHARS).collect();
            noted.last = Some(now);
            noted.waiting = Some(UnreadableHop { at_ms: now.0, proxy, hop });
        }
        is_first
    }

    /// A note that nobody has written down yet.
    #[must_use]
    pub fn take_unreadable_hop(&self) -> Option<UnreadableHop> {
        self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner).waiting.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_noted_once_an_hour() {
        let (proxies, proxy) = (Proxies::default(), IpAddr::from([10, 0, 0, 1]));
        assert!(proxies.note_unread(proxy, b"caf\xe9", Timestamp(0)));
        assert!(!proxies.note_unread(proxy, b"other", Timestamp(1)));
        assert_eq!(proxies.take_unreadable_hop(), Some(UnreadableHop { at_ms: 0, proxy, hop: "caf\\xe9".into() }));
        assert_eq!(proxies.take_unreadable_hop(), None);
        assert!(!proxies.note_unread(proxy, &[b'a'; 300], Timestamp(3_600_000)));
        assert_eq!(proxies.take_unreadable_hop().unwrap().hop.len(), CHARS);
    }

    #[test]
    fn every_clone_is_told_anew() {
        let proxies = Proxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let clone = proxies.clone();
        proxies.trust(&["192.0.2.0/24".parse().unwrap()]);
        assert!(clone.contains([192, 0, 2, 1].into()) && !clone.contains([10, 0, 0, 1].into()));
    }
}
