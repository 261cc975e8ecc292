//! Bodies on their way. A request is checked when its body is there, so that a slow sender cannot choose the moment
//! (G28), and it is in hand only then (G30).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::{iter, once};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::shares::{Full, Limits, Shares, Use};
use crate::cache::proxies::Proxies;
use crate::model::header_text;

/// Bodies that may be on their way at once, where they are small…
pub const MAX_ARRIVING: usize = 4096;
/// …of these for handoffs and the token endpoint alone…
pub const RESERVED_ARRIVING: usize = 512;
/// …of one network…
pub const MAX_ARRIVING_OF_ONE: usize = 512;
/// …and where they are large, or do not say how long they are.
pub const MAX_LARGE_ARRIVING: usize = 64;
/// See [`MAX_LARGE_ARRIVING`].
pub const MAX_LARGE_ARRIVING_OF_ONE: usize = 8;

/// Why a body is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It did not come in time.
    Late,
    /// Too many others are on their way.
    NoRoom(Full),
}

/// Of an answer: its sender did not send on, so nothing more is waited for.
#[derive(Clone, Copy)]
struct GivenUp;

/// Marks an answer to somebody who stopped sending: the connection ends with it (RFC 9110 §15.5.9).
pub fn given_up(mut response: Response) -> Response {
    response.extensions_mut().insert(GivenUp);
    response
}

/// Whether an answer is so marked.
pub fn is_given_up(response: &Response) -> bool {
    response.extensions().get::<GivenUp>().is_some()
}

/// How many bodies are on their way.
#[derive(Debug)]
pub struct Bodies {
    small: Arc<Shares>,
    large: Arc<Shares>,
    /// A body of this length is small.
    most_small: usize,
}

impl Bodies {
    /// None is on its way yet.
    #[must_use]
    pub fn new(most_small: usize, trusted: &Proxies) -> Self {
        let shares = |whole, reserve, each| Shares::new(Limits { whole, reserve, each }, trusted);
        Self {
            small: shares(MAX_ARRIVING, RESERVED_ARRIVING, MAX_ARRIVING_OF_ONE),
            large: shares(MAX_LARGE_ARRIVING, 0, MAX_LARGE_ARRIVING_OF_ONE),
            most_small,
        }
    }

    /// Waits until a body is whole, or longer than `most`: then its reader refuses it, and need not wait for that.
    ///
    /// # Errors
    /// When it does not come within `patience`, or there is no room for one more.
    pub async fn arrive(
        &self,
        headers: &HeaderMap,
        body: Body,
        from: (IpAddr, Use),
        most: usize,
        patience: Duration,
    ) -> Result<Body, Missing> {
        if body.is_end_stream() {
            return Ok(body);
        }
        let said = headers.get(header::CONTENT_LENGTH).and_then(header_text::ascii).and_then(|text| text.parse().ok());
        let is_small = most <= self.most_small || said.is_some_and(|length: usize| length <= self.most_small);
        let shares = if is_small { &self.small } else { &self.large };
        let _share = shares.take(from.0, from.1).map_err(Missing::NoRoom)?;
        tokio::time::timeout(patience, collect(body, most)).await.map_err(|_| Missing::Late)
    }
}

/// The body with what has come of it in one piece; one that broke off breaks off for its reader too.
async fn collect(mut body: Body, most: usize) -> Body {
    let mut here = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => here.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(error) => return Body::from_stream(iter([Ok(Bytes::from(here)), Err(error)])),
        }
        if here.len() > most {
            return Body::from_stream(once(async { Ok(Bytes::from(here)) }).chain(body.into_data_stream()));
        }
    }
    Body::from(here)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::stream::pending;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    fn from() -> (IpAddr, Use) {
        ("192.0.2.1".parse().unwrap(), Use::Ordinary)
    }

    fn never() -> Body {
        Body::from_stream(iter([Ok::<_, axum::Error>(Bytes::from_static(b"login_name="))]).chain(pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_late() {
        let bodies = Bodies::new(100, &Proxies::default());
        let late = bodies.arrive(&HeaderMap::new(), never(), from(), 100, PATIENCE).await;
        assert_eq!(late.err(), Some(Missing::Late));
    }

    #[tokio::test]
    async fn what_is_too_long_or_breaks_off_is_its_readers_to_refuse() {
        let bodies = Bodies::new(100, &Proxies::default());
        let parts = |parts: Vec<Result<&'static str, &'static str>>| {
            Body::from_stream(iter(parts).map(|part| part.map_err(std::io::Error::other)))
        };
        let arrive = async |body| bodies.arrive(&HeaderMap::new(), body, from(), 5, PATIENCE).await.unwrap();
        assert_eq!(to_bytes(arrive(parts(vec![Ok("ab"), Ok("cd")])).await, 5).await.unwrap(), "abcd");
        assert_eq!(to_bytes(arrive(parts(vec![Ok("ab"), Ok("cdef"), Ok("gh")])).await, 9).await.unwrap(), "abcdefgh");
        assert!(to_bytes(arrive(parts(vec![Ok("ab"), Ok("cdef")])).await, 5).await.is_err());
        assert!(to_bytes(arrive(parts(vec![Ok("ab"), Err("broke off")])).await, 5).await.is_err());
    }

    #[tokio::test]
    async fn one_network_keeps_nobody_elses_body_out() {
        let (bodies, headers) = (Bodies::new(100, &Proxies::default()), HeaderMap::new());
        let mut waiting: Vec<_> = (0..MAX_ARRIVING_OF_ONE)
            .map(|_| Box::pin(bodies.arrive(&headers, never(), from(), 100, PATIENCE)))
            .collect();
        for one in &mut waiting {
            assert!(tokio::time::timeout(Duration::ZERO, one).await.is_err());
        }
        let arrive = async |address: &str| {
            bodies.arrive(&headers, Body::from("a=b"), (address.parse().unwrap(), Use::Ordinary), 100, PATIENCE).await
        };
        assert_eq!(arrive("192.0.2.1").await.err(), Some(Missing::NoRoom(Full::Theirs)));
        assert!(arrive("192.0.2.2").await.is_ok());
        drop(waiting);
        assert!(arrive("192.0.2.1").await.is_ok());
    }
}
