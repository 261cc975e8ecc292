//! `[redis]`: a Redis that replicas share. Without the section each replica counts tries on its own.

use std::fmt;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use url::Url;

use super::fault::must;
use crate::model::address::is_loopback;

/// The longest list of nodes.
const MOST_NODES: usize = 32;
/// Redis has 16 databases unless it is told otherwise.
const MOST_DATABASES: u16 = 10_000;

/// `[redis]`
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// See [`Address`].
    pub url: String,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis(…)")
    }
}

/// Where Redis is: `redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS; several nodes of a
/// cluster with commas between them; `redis+sentinel://[user:password@]host[:port],…/name[/database]`, or
/// `rediss+sentinel://`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Who answers there.
    pub kind: Kind,
    /// Each host as an address of its own, with user, password and database.
    pub nodes: Vec<Url>,
}

/// What listens at the hosts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server.
    Server,
    /// Nodes of a cluster, of which any tells of the others.
    Cluster,
    /// Sentinels that know which server is the master of this name.
    Sentinel(String),
}

/// The address without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |node: &Url| {
            format!(
                "{}:{}",
                node.host_str().unwrap_or_default(),
                node.port().map_or_else(String::new, |p| p.to_string())
            )
        };
        let hosts: Vec<_> = self.nodes.iter().map(host).collect();
        let tls = if self.is_tls() { "s" } else { "" };
        let hosts = hosts.join(",");
        let path = self.nodes.first().map_or("", Url::path);
        match &self.kind {
            Kind::Server => write!(f, "redis{tls}://{hosts}{path}"),
            Kind::Cluster => write!(f, "redis{tls}://{hosts}"),
            Kind::Sentinel(name) => write!(f, "redis{tls}+sentinel://{hosts}/{name}{path}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Address {
    /// Reads an address. What is wrong is said without a piece of it: it may hold a password.
    ///
    /// # Errors
    /// One sentence that says what to write.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        const SCHEMES: &str =
            "redis.url must begin with redis:// or rediss://, or with redis+sentinel:// or rediss+sentinel://";
        let (scheme, rest) = text.split_once("://").context(SCHEMES)?;
        let (tls, sentinels) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis+sentinel" => (false, true),
            "rediss+sentinel" => (true, true),
            _ => anyhow::bail!(SCHEMES),
        };
        ensure!(
            !rest.contains(['?', '#']) && !rest.contains(char::is_whitespace),
            "redis.url holds a ?, a # or a blank, which mean nothing there: in a password write %3F, %23 or %20"
        );
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        ensure!(!path.contains('@'), "redis.url holds a / before its last @: in a password write %2F");
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let hosts: Vec<_> = hosts.split(',').collect();
        ensure!(hosts.len() <= MOST_NODES, "redis.url names more than {MOST_NODES} hosts: name some of them");
        let (kind, database) = if sentinels {
            let (name, database) = path.split_once('/').unwrap_or((path, ""));
            ensure!(!name.is_empty(), "redis.url names no master: write redis+sentinel://HOST:26379,HOST:26379/NAME");
            (Kind::Sentinel(name.to_owned()), database)
        } else if hosts.len() > 1 {
            (Kind::Cluster, path)
        } else {
            (Kind::Server, path)
        };
        let number = if database.is_empty() { Some(0) } else { database.parse::<u16>().ok() };
        let number = number.filter(|number| *number < MOST_DATABASES);
        let number = number.context("redis.url must end with the number of a database: write redis://HOST:6379/0")?;
        ensure!(
            number == 0 || kind != Kind::Cluster,
            "redis.url names several hosts, and so a cluster, which has database 0 alone: write redis://HOST:6379,HOST:6379"
        );
        let port = if sentinels { 26_379 } else { 6379 };
        let node = |host| node(tls, user, host, port, number);
        let nodes = hosts.into_iter().map(node).collect::<anyhow::Result<_>>()?;
        Ok(Self { kind, nodes })
    }

    /// Whether the way there is protected.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.nodes.iter().all(|node| node.scheme() == "rediss")
    }

    /// Whether every host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let here = |node: &Url| {
            // Only addresses of known schemes have hosts that are told from names.
            Url::parse(&format!("http://{}", node.host_str().unwrap_or_default())).is_ok_and(|url| is_loopback(&url))
        };
        self.nodes.iter().all(here)
    }
}

fn node(tls: bool, user: &str, host: &str, port: u16, database: u16) -> anyhow::Result<Url> {
    const WRONG: &str = "redis.url does not name a host and port: write redis://HOST:6379, or redis://USER:PASSWORD@HOST:6379, \
                         with % and two digits for signs other than letters and digits in the password";
    let scheme = if tls { "rediss" } else { "redis" };
    let at = if user.is_empty() { "" } else { "@" };
    let mut url = Url::parse(&format!("{scheme}://{user}{at}{host}/{database}")).ok().context(WRONG)?;
    ensure!(url.host_str().is_some_and(|host| !host.is_empty()) && url.port() != Some(0), WRONG);
    ensure!(
        url.username().is_empty() || url.password().is_some_and(|password| !password.is_empty()),
        "redis.url has a user without a password: write redis://USER:PASSWORD@HOST:6379, or redis://:PASSWORD@HOST:6379 for the \
         default user"
    );
    if url.port().is_none() {
        url.set_port(Some(port)).ok().context(WRONG)?;
    }
    Ok(url)
}

impl Redis {
    /// The address.
    ///
    /// # Errors
    /// One sentence that names the key and what to do.
    pub fn address(&self) -> anyhow::Result<Address> {
        ensure!(!self.url.is_empty(), "redis.url is missing: write redis://HOST:6379, or remove the section [redis]");
        Address::parse(&self.url)
    }

    /// Refuses what is no address.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let wrong = self.address().err().map(|error| error.to_string()).unwrap_or_default();
        must(wrong.is_empty(), "redis.url", wrong.strip_prefix("redis.url ").unwrap_or(&wrong))
    }
}

/// Of an address that may hold a password, what is none.
pub(super) fn without_password(text: &str) -> String {
    Address::parse(text).map_or_else(|_| "hidden".into(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address::parse(text).unwrap().to_string()
    }

    #[test]
    fn an_address_is_one_server_a_cluster_or_sentinels() {
        for (text, wanted) in [
            ("redis://cache", "redis://cache:6379/0"),
            ("redis://10.0.0.5:7000/3", "redis://10.0.0.5:7000/3"),
            ("rediss://[::1]/", "rediss://[::1]:6379/0"),
            ("redis://a:1,b,c:3", "redis://a:1,b:6379,c:3"),
            ("rediss://u:p@a,b/0", "rediss://a:6379,b:6379"),
            ("redis+sentinel://a,b:7/main", "redis+sentinel://a:26379,b:7/main/0"),
            ("rediss+sentinel://u:p@a/main/2", "rediss+sentinel://a:26379/main/2"),
        ] {
            assert_eq!(shown(text), wanted);
        }
        let address = Address::parse("redis://idp:p%40ss@a,b").unwrap();
        assert!(address.nodes.iter().all(|node| node.username() == "idp" && node.password() == Some("p%40ss")));
        assert!(!format!("{address:?} {address}").contains("ss@"));
        assert!(Address::parse("redis://127.0.0.1").unwrap().is_loopback());
        assert!(Address::parse("redis://localhost,[::1]").unwrap().is_loopback());
        assert!(!Address::parse("redis://localhost,10.0.0.1").unwrap().is_loopback());
    }

    #[test]
    fn what_is_no_address_is_refused_in_one_line_that_says_redis_and_no_password() {
        for text in [
            "",
            "cache:6379",
            "http://:pa55@cache",
            "postgres://u:pa55@cache",
            "unix:///run/redis.sock",
            "redis:cache",
            "redis://",
            "redis://:6379",
            "redis://:pa55@",
            "redis://:pa55@/0",
            "redis://cache:port",
            "redis://cache:0",
            "redis://cache:70000",
            "redis://pa55@cache",
            "redis://u:@cache",
            "redis://:pa55/x@cache",
            "redis+sentinel://idp:12/pa55@cache",
            "redis+sentinel://idp:12/pa55@cache/main",
            "redis://:pa55@cache/main",
            "redis://:pa55@cache/-1",
            "redis://:pa55@cache/0?db=3",
            "redis://:pa55@cache#insecure",
            "redis://:pa 55@cache",
            "redis://a,b/1",
            "redis://a,",
            "redis+sentinel://:pa55@a",
            "redis+sentinel://a/main/x",
        ] {
            let why = format!("{:#}", Address::parse(text).unwrap_err());
            assert!(why.contains("redis") && !why.contains('\n') && !why.contains("pa55"), "{text}: {why}");
            assert_eq!(without_password(text), "hidden");
        }
    }

    #[test]
    fn a_section_without_an_address_is_refused() {
        assert!(Redis::default().address().unwrap_err().to_string().contains("missing"));
        assert!(Redis { url: "redis://cache".into() }.check().is_ok());
    }
}
