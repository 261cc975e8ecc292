//! `trusted_proxies`: networks, each written in one way.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Reads the networks.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| network(text).map_err(D::Error::custom)).collect()
}

/// A network, or the one of a single address. Peers' addresses are canonical, and so is what they are compared with.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let net: IpNet = text.parse().map_err(|_| format!("{text:?} is neither an address nor a network"))?;
    if net.trunc() != net {
        return Err(format!("{text:?} names an address within a network: write {} for the network", net.trunc()));
    }
    Ok(canonical(net))
}

/// An IPv4 network that is written as IPv6 (RFC 4291 §2.5.5.2) is an IPv4 one.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.network().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(network, prefix)| Ipv4Net::new(network, prefix).ok()).map_or(net, IpNet::V4)
}

/// Whether networks together are all of IPv4 or all of IPv6: then everybody's word is taken for where they come from.
pub(super) fn are_everybody(networks: &[IpNet]) -> bool {
    IpNet::aggregate(&networks.to_vec()).iter().any(|net| net.prefix_len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_in_one_way() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read, "{text}");
        }
        assert!(network("10.0.0.1/8").unwrap_err().contains("10.0.0.0/8"));
        assert!(network("proxy.example.org").is_err());
    }

    #[test]
    fn everybody_is_found_in_pieces_too() {
        let are = |texts: &[&str]| are_everybody(&texts.iter().map(|text| network(text).unwrap()).collect::<Vec<_>>());
        assert!(are(&["0.0.0.0/0"]) && are(&["::/0"]) && are(&["::ffff:0:0/96"]));
        assert!(are(&["0.0.0.0/1", "10.0.0.0/8", "128.0.0.0/2", "192.0.0.0/2"]));
        assert!(are(&["::/1", "8000::/1"]));
        assert!(!are(&[]) && !are(&["0.0.0.0/1"]) && !are(&["10.0.0.0/8", "fd00::/8"]));
    }
}
