//! Listens, answers, drains and stops. Every connection has its limits (G22): headers, their time, their number.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use crate::app::App;
use crate::crypto::tls::{self, Ssl, SslAcceptor, SslStream};
use crate::web::client_ip::Peer;
use crate::web::{health, unread};
use crate::{jobs, router};

/// Open connections at most; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 4096;
/// All headers of a request together.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Open connections of one address at most, unless it is a trusted proxy's or our own.
pub const MAX_CONNECTIONS_OF_ONE: usize = 512;
/// How long a connection may be silent before a request, and its headers may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// No connection is older: whatever keeps it open, it ends.
const MAX_AGE: Duration = Duration::from_hours(1);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// How long a stop waits for answers that are under way: longer than any handoff.
const DRAIN: Duration = Duration::from_secs(35);

/// The two listeners, bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    /// For browsers.
    pub public: TcpListener,
    /// For health and metrics.
    pub internal: TcpListener,
}

impl Listeners {
    /// Binds the addresses of the configuration.
    ///
    /// # Errors
    /// When an address is taken or not ours, naming its key.
    pub async fn bind(listen: SocketAddr, internal: SocketAddr) -> anyhow::Result<Self> {
        let bind = async |key: &str, address: SocketAddr| {
            TcpListener::bind(address).await.with_context(|| {
                format!("{key} {address} cannot be listened on, choose another address or end what uses it")
            })
        };
        Ok(Self { public: bind("listen", listen).await?, internal: bind("internal_listen", internal).await? })
    }
}

/// Binds, serves until SIGTERM or SIGINT, drains and stops.
///
/// # Errors
/// When an address cannot be bound or the certificate is not usable.
pub async fn run(app: App) -> anyhow::Result<()> {
    let listeners = Listeners::bind(app.config.listen, app.config.internal_listen).await?;
    run_on(app, listeners, stop_signal()).await
}

/// Serves on listeners that are bound already, until `stop` completes.
///
/// # Errors
/// When the certificate is not usable.
pub async fn run_on(app: App, listeners: Listeners, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let acceptor = match &app.config.tls {
        Some(tls) => Some(tls::acceptor(&tls.certificate, &tls.key)?),
        None => None,
    };
    let (stopping, stopped) = watch::channel(false);
    let shares = || Arc::new(Shares { unlimited: app.config.trusted_proxies.clone(), taken: Mutex::default() });
    let public = Service { routes: router::router(&app), shares: shares() };
    let internal = Service { routes: health::routes().with_state(app.clone()), shares: shares() };
    let public = tokio::spawn(accept(listeners.public, acceptor, public, stopped.clone()));
    let internal = tokio::spawn(accept(listeners.internal, None, internal, stopped.clone()));
    let logouts = tokio::spawn(jobs::logout::run(app.clone(), stopped.clone()));
    let mails = tokio::spawn(jobs::mail::run(app.clone(), stopped.clone()));
    let sealing = tokio::spawn(jobs::sealing::run(app.clone(), stopped.clone()));
    let jobs = tokio::spawn(jobs::run(app.clone(), stopped));
    tracing::info!(issuer = %app.config.issuer, listen = %app.config.listen, database = app.db.engine_name(), "ready at {}", app.config.issuer);
    stop.await;
    tracing::info!("stopping: no new connections, answers under way are finished");
    // Receivers live in the tasks; one that is gone already needs no telling.
    let _ = stopping.send(true);
    for task in [public, internal, logouts, mails, sealing, jobs] {
        if let Err(error) = task.await {
            tracing::error!("a task died: {error}");
        }
    }
    app.db.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be listened for: only a kill stops this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<SslAcceptor>,
    service: Service,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            io::Result::Ok((place, stream, peer))
        };
        let (place, stream, peer) = tokio::select! {
            accepted = next => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or the client is gone: pause instead of spinning.
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        let Some(share) = service.shares.take(peer.ip()) else {
            tracing::debug!(%peer, "a connection was closed: its address has {MAX_CONNECTIONS_OF_ONE} already");
            continue;
        };
        // Small answers leave at once; a socket that refuses this is gone already.
        let _ = stream.set_nodelay(true);
        let (routes, acceptor, watcher) = (service.routes.clone(), acceptor.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _held = (place, share);
            let served = async {
                match acceptor {
                    None => serve_connection(stream, peer, routes, watcher, Protocol::Http1).await,
                    Some(acceptor) => {
                        let stream = handshake(&acceptor, stream).await?;
                        let protocol = Protocol::negotiated(&stream);
                        serve_connection(stream, peer, routes, watcher, protocol).await
                    }
                }
            };
            match tokio::time::timeout(MAX_AGE, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%peer, "a connection ended early: {error}"),
                Err(_) => tracing::debug!(%peer, "a connection grew too old"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not finish within {} seconds", DRAIN.as_secs());
    }
}

/// What one listener serves, and who has how much of it.
#[derive(Clone)]
struct Service {
    routes: Router,
    shares: Arc<Shares>,
}

/// How many connections each address has.
struct Shares {
    unlimited: Vec<IpNet>,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Shares {
    /// Takes one more for an address; `None` when it has its share.
    fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Share> {
        let ip = ip.to_canonical();
        let limit = if ip.is_loopback() || self.unlimited.iter().any(|net| net.contains(&ip)) {
            MAX_CONNECTIONS
        } else {
            MAX_CONNECTIONS_OF_ONE
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(ip).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Share { shares: Arc::clone(self), ip })
    }
}

/// One connection of an address, given back when dropped.
struct Share {
    shares: Arc<Shares>,
    ip: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.ip);
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn handshake(acceptor: &SslAcceptor, stream: TcpStream) -> Result<SslStream<TcpStream>, Failure> {
    let ssl = Ssl::new(acceptor.context())?;
    let mut stream = SslStream::new(ssl, stream)?;
    tokio::time::timeout(HANDSHAKE_TIMEOUT, Pin::new(&mut stream).accept())
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(stream)
}

/// What a connection speaks, known before its first byte: nothing waits to find out.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    fn negotiated(stream: &SslStream<TcpStream>) -> Self {
        if stream.ssl().selected_alpn_protocol() == Some(b"h2") { Self::Http2 } else { Self::Http1 }
    }
}

async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    routes: Router,
    watcher: Watcher,
    protocol: Protocol,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let (routes, request) = (routes.clone(), request.map(Body::new));
        unread::taken_in(request, |request| routes.oneshot(request))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    let builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    watcher.watch(connection).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Whoever is refused before all is read hears it, and asks again on the same connection.
    #[tokio::test]
    async fn a_refusal_breaks_no_connection() {
        let routes = Router::new().route("/", axum::routing::post(async || StatusCode::UNAUTHORIZED));
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let (peer, graceful) = (([192, 0, 2, 1], 443).into(), GracefulShutdown::new());
        let served = tokio::spawn(serve_connection(ours, peer, routes, graceful.watcher(), Protocol::Http1));
        for _ in 0..2 {
            theirs.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
            theirs.write_all(&vec![b'x'; 100_000]).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(theirs.read_u8().await.unwrap());
            }
            assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", answer.escape_ascii());
        }
        drop(theirs);
        served.await.unwrap().unwrap();
    }

    #[test]
    fn one_address_has_its_share_and_a_proxy_as_much_as_there_is() {
        let shares = Arc::new(Shares { unlimited: vec!["10.0.0.0/8".parse().unwrap()], taken: Mutex::default() });
        let stranger = "192.0.2.1".parse().unwrap();
        let held: Vec<Share> = (0..MAX_CONNECTIONS_OF_ONE).map(|_| shares.take(stranger).unwrap()).collect();
        assert!(shares.take(stranger).is_none());
        assert!(shares.take("192.0.2.2".parse().unwrap()).is_some());
        let proxied: Vec<_> = (0..1000).map(|_| shares.take("10.1.2.3".parse().unwrap())).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop(held);
        assert!(shares.take(stranger).is_some());
    }
}
