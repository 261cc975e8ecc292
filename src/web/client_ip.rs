//! Whose request it is: the peer, or what trusted proxies say of it (G18).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{Extensions, HeaderMap, HeaderName, header};

use crate::cache::proxies::Proxies;
use crate::model::header_text;
use crate::time::Timestamp;

/// The other end of the connection, put into every request by `serve`.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// A program with an address.
    Address(SocketAddr),
    /// A program on this machine, by a Unix socket. Who may open it says who they are: it is a listed proxy.
    Socket,
}

impl Peer {
    /// Its address; of one without any, this machine's.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        match self {
            Self::Address(address) => address.ip().to_canonical(),
            Self::Socket => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// Whether its word is believed for others.
    #[must_use]
    pub fn is_trusted(&self, trusted: &Proxies) -> bool {
        match self {
            Self::Address(_) => trusted.contains(self.ip()),
            Self::Socket => true,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket => f.write_str("a program at the Unix socket"),
        }
    }
}

/// The client's address. `X-Forwarded-For`, or `Forwarded` (RFC 7239) where that does not stand, is read from its end,
/// as long as listed proxies vouch for it. Where the nearest one names nobody, the request is its own.
#[must_use]
pub fn client_ip(extensions: &Extensions, headers: &HeaderMap, trusted: &Proxies, now: Timestamp) -> IpAddr {
    let own = Peer::Address((Ipv4Addr::LOCALHOST, 0).into());
    let peer = extensions.get::<Peer>().copied().unwrap_or(own);
    let (mut client, mut is_trusted) = (peer.ip(), peer.is_trusted(trusted));
    if !is_trusted {
        return client;
    }
    for hop in hops(headers).iter().rev() {
        if !is_trusted {
            break;
        }
        let Some(ip) = address(hop) else {
            if trusted.note_unread(client, hop, now) {
                warn(client, hop);
            }
            break;
        };
        client = ip;
        is_trusted = trusted.contains(client);
    }
    client
}

/// What the proxies wrote, the nearest one last.
fn hops(headers: &HeaderMap) -> Vec<&[u8]> {
    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let listed = |name| header_text::items(headers, name, b',').filter(|item| !item.is_empty());
    if headers.contains_key(X_FORWARDED_FOR) {
        return listed(X_FORWARDED_FOR).collect();
    }
    listed(header::FORWARDED).map(forwarded_for).collect()
}

/// The node that an element of `Forwarded` was received from; nothing where it does not say.
fn forwarded_for(element: &[u8]) -> &[u8] {
    let mut pairs = element.split(|byte| *byte == b';').filter_map(|pair| pair.trim_ascii().split_at_checked(4));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(b"for=")).map_or(b"", |(_, node)| node)
}

/// An address with or without a port, in brackets and quotes or not.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

/// Whoever stands behind such a proxy shares its address in the record and in the throttle: said once, for whoever
/// operates it; `doctor` says it too.
fn warn(proxy: IpAddr, hop: &[u8]) {
    tracing::warn!(
        "the proxy {proxy} names a client that cannot be read as an address ({}): such visitors are recorded, and limited \
         together, under the proxy's own address; let it write X-Forwarded-For as nginx or HAProxy do",
        hop.escape_ascii()
    );
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn seen_in(peer: &str, name: &'static str, lines: &[&[u8]]) -> String {
        let mut extensions = Extensions::new();
        let peer = peer.parse().map_or(Peer::Socket, |ip| Peer::Address(SocketAddr::new(ip, 1)));
        extensions.insert(peer);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line).unwrap());
        }
        let trusted = Proxies::new(&["10.0.0.0/8".parse().unwrap()]);
        client_ip(&extensions, &headers, &trusted, Timestamp(0)).to_string()
    }

    fn seen(peer: &str, forwarded: &str) -> String {
        seen_in(peer, "x-forwarded-for", &[forwarded.as_bytes()])
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        assert_eq!(seen("192.0.2.1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", "203.0.113.9, nonsense"), "10.0.0.1");
    }

    /// Who may open the socket is a listed proxy; what it says of others holds no further than its own word.
    #[test]
    fn a_program_at_a_unix_socket_is_believed() {
        assert_eq!(seen("socket", "203.0.113.9"), "203.0.113.9");
        assert_eq!(seen("socket", "198.51.100.1, 203.0.113.9"), "203.0.113.9");
        assert_eq!(seen("socket", "198.51.100.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(seen_in("socket", "forwarded", &[b"for=198.51.100.1, for=203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("socket", "203.0.113.9, nonsense"), "127.0.0.1");
        assert_eq!(seen("socket", ""), "127.0.0.1");
    }

    #[test]
    fn an_address_is_read_as_proxies_write_it() {
        for (written, address) in [
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("\"[2001:db8::10]:4711\"", "2001:db8::10"),
            ("203.0.113.12,", "203.0.113.12"),
            ("203.0.113.12:80 , ", "203.0.113.12"),
            ("::ffff:203.0.113.12", "203.0.113.12"),
        ] {
            assert_eq!(seen("10.0.0.1", written), address, "{written}");
        }
        let forwarded = |lines: &[&[u8]]| seen_in("10.0.0.1", "forwarded", lines);
        assert_eq!(forwarded(&[b"for=\"[2001:db8::17]:4711\""]), "2001:db8::17");
        assert_eq!(
            forwarded(&[b"for=198.51.100.1", b"proto=https; For=203.0.113.9;by=10.0.0.1, for=10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(forwarded(&[b"for=_hidden"]), "10.0.0.1");
        assert_eq!(forwarded(&[b"for=198.51.100.1, proto=https"]), "10.0.0.1");
    }

    #[test]
    fn a_foreign_byte_hides_no_hop_that_a_proxy_wrote() {
        assert_eq!(seen_in("10.0.0.1", "x-forwarded-for", &[b"caf\xe9, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen_in("10.0.0.1", "x-forwarded-for", &[b"198.51.100.1", b"\xff", b"203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen_in("10.0.0.1", "x-forwarded-for", &[b"198.51.100.1, \xff"]), "10.0.0.1");
    }
}
