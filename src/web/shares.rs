//! Shares: what is bounded as a whole is bounded for each network too, so that one stranger cannot stop everybody
//! (G30).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::proxies::Proxies;
use crate::cache::throttle::Network;

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For everybody together.
    pub whole: usize,
    /// Of the whole, for what is urgent alone: people on their way in, and the apps that wait for their tokens.
    pub reserve: usize,
    /// For one network, unless it is a trusted proxy's or our own; a site, which may have many, has twice as much.
    pub each: usize,
}

/// What a place is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// As there is room.
    Ordinary,
    /// The reserve too.
    Urgent,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Their network has its share.
    Theirs,
    /// Nothing is left.
    Whole,
}

/// Who has how much.
#[derive(Debug)]
pub struct Shares {
    limits: Limits,
    unlimited: Proxies,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    whole: usize,
    by: HashMap<Network, usize>,
    by_site: HashMap<Network, usize>,
}

/// One place of a network, given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    network: Network,
}

impl Shares {
    /// None is taken yet. Networks of trusted proxies have as much as there is: behind them is everybody.
    #[must_use]
    pub fn new(limits: Limits, unlimited: &Proxies) -> Arc<Self> {
        Arc::new(Self { limits, unlimited: unlimited.clone(), taken: Mutex::default() })
    }

    /// Takes a place for an address.
    ///
    /// # Errors
    /// When its network has its share, or nothing is left.
    pub fn take(self: &Arc<Self>, ip: IpAddr, purpose: Use) -> Result<Share, Full> {
        let ip = ip.to_canonical();
        let Limits { whole, reserve, each } = self.limits;
        let whole = if purpose == Use::Urgent { whole } else { whole - reserve };
        let is_unlimited = ip.is_loopback() || self.unlimited.contains(ip);
        let network = Network::from(ip);
        let has = |taken: &HashMap<Network, usize>, whose, most| taken.get(&whose).is_some_and(|count| *count >= most);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.whole >= whole {
            return Err(Full::Whole);
        }
        if !is_unlimited && (has(&taken.by, network, each) || has(&taken.by_site, network.site(), 2 * each)) {
            return Err(Full::Theirs);
        }
        taken.whole += 1;
        *taken.by.entry(network).or_insert(0) += 1;
        *taken.by_site.entry(network.site()).or_insert(0) += 1;
        drop(taken);
        Ok(Share { shares: Arc::clone(self), network })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.whole -= 1;
        give_back(&mut taken.by, self.network);
        give_back(&mut taken.by_site, self.network.site());
    }
}

fn give_back(taken: &mut HashMap<Network, usize>, whose: Network) {
    if let Some(count) = taken.get_mut(&whose) {
        *count -= 1;
        if *count == 0 {
            taken.remove(&whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { whole: 100, reserve: 10, each: 20 };

    fn take(shares: &Arc<Shares>, address: &str, purpose: Use, count: usize) -> Vec<Share> {
        (0..count).filter_map(|_| shares.take(address.parse().unwrap(), purpose).ok()).collect()
    }

    #[test]
    fn one_network_has_its_share_and_a_proxy_as_much_as_there_is() {
        let shares = Shares::new(LIMITS, &Proxies::new(&["10.0.0.0/8".parse().unwrap()]));
        let held = take(&shares, "192.0.2.1", Use::Ordinary, 30);
        assert_eq!(held.len(), 20);
        assert_eq!(take(&shares, "192.0.2.2", Use::Ordinary, 30).len(), 20);
        assert_eq!(take(&shares, "10.1.2.3", Use::Ordinary, 200).len(), 70);
        drop(held);
        assert_eq!(take(&shares, "192.0.2.1", Use::Ordinary, 30).len(), 20);
    }

    #[test]
    fn the_addresses_of_one_v6_network_share_one_share() {
        let shares = Shares::new(LIMITS, &Proxies::default());
        let held: Vec<_> = (0..8).flat_map(|n| take(&shares, &format!("2001:db8::{n}"), Use::Ordinary, 20)).collect();
        assert_eq!(held.len(), 20);
        let site: Vec<_> =
            (1..9).flat_map(|n| take(&shares, &format!("2001:db8:0:{n}::1"), Use::Ordinary, 20)).collect();
        assert_eq!(site.len(), 20, "a site has twice as much as a network");
        assert_eq!(take(&shares, "2001:db8:1::1", Use::Ordinary, 1).len(), 1);
    }

    #[test]
    fn the_reserve_is_for_what_is_urgent() {
        let shares = Shares::new(LIMITS, &Proxies::default());
        let _held: Vec<_> = (0..10).flat_map(|n| take(&shares, &format!("192.0.2.{n}"), Use::Ordinary, 20)).collect();
        assert!(take(&shares, "198.51.100.1", Use::Ordinary, 1).is_empty());
        assert_eq!(take(&shares, "198.51.100.1", Use::Urgent, 20).len(), 10);
    }
}
