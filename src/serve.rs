//! Listens, answers, drains and stops. Every connection has its limits (G22): headers, their time, their number.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt as _;

use crate::app::App;
use crate::crypto::tls;
use crate::web::client_ip::Peer;
use crate::web::health;
use crate::{jobs, router};

/// Open connections at most; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 4096;
/// All headers of a request together.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// How long the headers of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
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
            TcpListener::bind(address).await.with_context(|| format!("{key} {address} cannot be listened on"))
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
    let public = tokio::spawn(accept(listeners.public, acceptor, router::router(&app), stopped.clone()));
    let internal_routes = health::routes().with_state(app.clone());
    let internal = tokio::spawn(accept(listeners.internal, None, internal_routes, stopped.clone()));
    let jobs = tokio::spawn(jobs::run(app.clone(), stopped));
    tracing::info!(issuer = %app.config.issuer, listen = %app.config.listen, database = app.db.engine_name(), "ready at {}", app.config.issuer);
    stop.await;
    tracing::info!("stopping: no new connections, answers under way are finished");
    // Receivers live in the tasks; one that is gone already needs no telling.
    let _ = stopping.send(true);
    for task in [public, internal, jobs] {
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

async fn accept(listener: TcpListener, acceptor: Option<SslAcceptor>, routes: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
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
        // Small answers leave at once; a socket that refuses this is gone already.
        let _ = stream.set_nodelay(true);
        let (routes, acceptor, watcher) = (routes.clone(), acceptor.clone(), graceful.watcher());
        tokio::spawn(async move {
            let served = match acceptor {
                None => serve_connection(stream, peer, routes, watcher, place).await,
                Some(acceptor) => match handshake(&acceptor, stream).await {
                    Ok(stream) => serve_connection(stream, peer, routes, watcher, place).await,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = served {
                tracing::debug!(%peer, "a connection ended early: {error}");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not finish within {} seconds", DRAIN.as_secs());
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn handshake(acceptor: &SslAcceptor, stream: TcpStream) -> Result<tokio_openssl::SslStream<TcpStream>, Failure> {
    let ssl = Ssl::new(acceptor.context())?;
    let mut stream = tokio_openssl::SslStream::new(ssl, stream)?;
    tokio::time::timeout(HANDSHAKE_TIMEOUT, Pin::new(&mut stream).accept())
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(stream)
}

async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    routes: Router,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        routes.clone().oneshot(request.map(Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    watcher.watch(connection).await
}
