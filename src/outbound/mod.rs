//! The one guarded HTTP client (G19): https only (loopback http where the configuration allows it), the resolved
//! address checked when connecting, no redirects, no proxies, 64 KiB, 5 seconds. The collector of traces and the mail
//! server are the configuration's own, and are reached where it says.

pub mod mail;
pub mod otlp;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AGE, DATE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response};
use url::{Host, Url};

use crate::config::Config;
use crate::log;
use crate::model::address::is_loopback;
use crate::model::header_text::ascii;
use crate::model::trace_context::{TRACEPARENT, TRACESTATE};
use crate::time::Timestamp;

const MAX_BODY: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches what the configuration lets it reach.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    loopback: bool,
    internal_hosts: HashSet<String>,
}

impl Outbound {
    /// A client under the configuration's rules.
    ///
    /// # Errors
    /// When a certificate file of `outbound.ca_files` is not usable.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let rules = Arc::new(Rules {
            loopback: config.may_weaken(),
            internal_hosts: config.outbound.internal_hosts.iter().cloned().collect(),
        });
        let builder = builder(config)?.timeout(TIMEOUT).dns_resolver(Arc::new(Guarded(Arc::clone(&rules))));
        Ok(Self { client: builder.build()?, rules })
    }

    /// Fetches a small text.
    ///
    /// # Errors
    /// When the address is not allowed, does not answer with 200 in time, or answers too much.
    pub async fn get(&self, address: &str) -> anyhow::Result<String> {
        Ok(self.get_dated(address).await?.0)
    }

    /// The same with the server's own time, where it gave one and none of a cache between.
    ///
    /// # Errors
    /// As [`Outbound::get`].
    pub async fn get_dated(&self, address: &str) -> anyhow::Result<(String, Option<Timestamp>)> {
        let url = Url::parse(address).context("not an address")?;
        self.rules.check(&url)?;
        let mut response = self.send(self.client.get(url)).await?;
        ensure!(response.status() == reqwest::StatusCode::OK, "answered {}", response.status());
        let date = their_time(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
            ensure!(body.len() + chunk.len() <= MAX_BODY, "answered more than {MAX_BODY} bytes");
            body.extend_from_slice(&chunk);
        }
        Ok((String::from_utf8(body).context("the answer is not UTF-8")?, date))
    }
}

impl Outbound {
    /// Sends a form; what comes back does not matter beyond its status.
    ///
    /// # Errors
    /// When the address is not allowed, or does not answer with a 2xx in time.
    pub async fn post_form(&self, address: &str, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        let url = Url::parse(address).context("not an address")?;
        self.rules.check(&url)?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = self.send(request).await?;
        ensure!(response.status().is_success(), "answered {}", response.status());
        Ok(())
    }

    /// Sends a request; one that is made for a request at hand belongs to its trace.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let Some(at_hand) = log::at_hand() else { return request.send().await.context("no answer") };
        let mut request = request.build().context("no request")?;
        let call = at_hand.begin_call(request.method().as_str(), request.url());
        let headers = request.headers_mut();
        headers.insert(TRACEPARENT, HeaderValue::from_str(&at_hand.traceparent(&call))?);
        if let Some(state) = at_hand.ids.trace.tracestate() {
            headers.insert(TRACESTATE, HeaderValue::from_str(state)?);
        }
        let response = self.client.execute(request).await;
        at_hand.end_call(call, response.as_ref().ok().map(|response| response.status().as_u16()));
        response.context("no answer")
    }
}

/// What every client of ours has in common: no redirects, no proxies, the authorities of the configuration.
fn builder(config: &Config) -> anyhow::Result<reqwest::ClientBuilder> {
    let redirects = reqwest::redirect::Policy::none();
    let mut builder = reqwest::Client::builder().user_agent("connect-idp").redirect(redirects).no_proxy();
    for file in &config.outbound.ca_files {
        let shown = file.display();
        let pem = std::fs::read(file).with_context(|| format!("outbound.ca_files: {shown} cannot be read"))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("outbound.ca_files: {shown} is not a PEM certificate"))?;
        builder = roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    Ok(builder)
}

/// The `Date` of an answer (RFC 9110 §6.6.1); what a cache kept for a while is not of this moment.
fn their_time(headers: &HeaderMap) -> Option<Timestamp> {
    let text = ascii(headers.get(DATE).filter(|_| !headers.contains_key(AGE))?)?;
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp(time.timestamp().as_millisecond()))
}

impl Rules {
    fn check(&self, url: &Url) -> anyhow::Result<()> {
        match url.scheme() {
            "https" => {}
            "http" if self.loopback && is_loopback(url) => {}
            _ => bail!("only https is allowed"),
        }
        // Names are checked when they are resolved; addresses are not resolved at all.
        match url.host() {
            Some(Host::Ipv4(ip)) => ensure!(self.allows(None, ip.into()), "{ip} is not a public address"),
            Some(Host::Ipv6(ip)) => ensure!(self.allows(None, ip.into()), "{ip} is not a public address"),
            Some(Host::Domain(_)) => {}
            None => bail!("the address names no host"),
        }
        Ok(())
    }

    fn allows(&self, name: Option<&str>, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip)
            || (self.loopback && ip.is_loopback())
            || self.internal_hosts.contains(name.unwrap_or(&ip.to_string()))
    }
}

/// Resolves a name and drops every address that may not be reached.
struct Guarded(Arc<Rules>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| rules.allows(Some(&name), a.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("{name} has no address that may be reached").into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet (IANA special-purpose registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast is 2000::/3, less documentation, benchmarking, 6to4 and Teredo.
            (first & 0xe000) == 0x2000
                && !(first == 0x2001 && (second == 0xdb8 || second < 0x200))
                && first != 0x2002
                && first != 0x3fff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(loopback: bool) -> Rules {
        Rules { loopback, internal_hosts: HashSet::from(["keys.internal".to_owned()]) }
    }

    #[test]
    fn the_time_of_an_answer_is_its_senders() {
        let mut headers = HeaderMap::new();
        assert_eq!(their_time(&headers), None);
        headers.insert(DATE, "Fri, 15 Jan 2027 08:00:00 GMT".parse().unwrap());
        assert_eq!(their_time(&headers), Some(Timestamp(1_800_000_000_000)));
        headers.insert(AGE, "7".parse().unwrap());
        assert_eq!(their_time(&headers), None, "of a cache");
        headers.remove(AGE);
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(their_time(&headers), None);
    }

    #[test]
    fn private_addresses_are_not_reached() {
        for ip in [
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.168.1.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2002:a00:1::",
            "224.0.0.1",
        ] {
            assert!(!rules(false).allows(None, ip.parse().unwrap()), "{ip}");
        }
        for ip in ["93.184.216.34", "2606:2800:220:1::1"] {
            assert!(rules(false).allows(None, ip.parse().unwrap()), "{ip}");
        }
        assert!(rules(true).allows(None, "127.0.0.1".parse().unwrap()));
        assert!(rules(false).allows(Some("keys.internal"), "10.0.0.1".parse().unwrap()));
        assert!(!rules(false).allows(Some("other.internal"), "10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn http_is_for_loopback_where_allowed() {
        let check = |loopback, url: &str| rules(loopback).check(&Url::parse(url).unwrap()).is_ok();
        assert!(check(false, "https://keys.example.net/jwks"));
        assert!(!check(false, "http://localhost/jwks"));
        assert!(check(true, "http://localhost:4000/jwks"));
        assert!(!check(true, "http://keys.example.net/jwks"));
        assert!(!check(true, "https://10.0.0.1/jwks"));
        assert!(!check(true, "ftp://localhost/jwks"));
    }
}
