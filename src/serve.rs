//! Listens, answers, drains and stops. Every connection has its limits (G22): headers, their time, their number.

mod activation;
mod drain_body;
mod listeners;
mod refusals;
mod supervisor;

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::response::Response;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tower::ServiceExt as _;

pub use self::activation::Handed;
use self::drain_body::drain_body;
use self::listeners::Stream;
pub use self::listeners::{Activation, Listener, Listeners, SocketFile};
pub use self::refusals::MAX_HEADER_BYTES;
use crate::app::App;
use crate::cache::proxies::Proxies;
use crate::config;
use crate::crypto::tls::{Pair, Ssl, SslAcceptor, SslStream};
use crate::outbound::otlp;
use crate::web::client_ip::Peer;
use crate::web::group::Logged;
use crate::web::shares::{Limits, Shares, Use};
use crate::web::{health, request_line};
use crate::{jobs, router};

/// Open connections at most; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 4096;
/// As much of them is read, so that most who send more hear why they are refused; whoever sends more than that is told
/// by the bare status.
const READ_BYTES: usize = 64 * 1024;
/// Open connections of one network at most, unless it is a trusted proxy's or our own.
pub const MAX_CONNECTIONS_OF_ONE: usize = 512;
/// How long headers may take, and nothing may happen on a connection: no request, and no progress of a long answer. It
/// is told then that it ends, and ends after as long again.
const QUIET: Duration = Duration::from_secs(30);
/// How long a connection that has asked for nothing yet may do so when the service stops: it was taken in, so it is
/// answered.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// A connection that is as old is told that it ends: no request begins on it any more, and those under way have
/// `DRAIN`. Then it ends, whatever keeps it open.
const MAX_AGE: Duration = Duration::from_hours(1);
/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long the keys of session tickets are used (RFC 9325 §3.4).
const TICKET_KEYS_LAST: Duration = Duration::from_hours(1);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// How long a stop, and the end of an old connection, wait for answers that are under way: longer than any handoff.
const DRAIN: Duration = Duration::from_secs(35);

/// Binds what was not handed over, serves until SIGTERM or SIGINT, drains and stops.
///
/// # Errors
/// When an address cannot be bound or the certificate is not usable.
pub async fn run(app: App, handed: Handed) -> anyhow::Result<()> {
    outlive_other_signals();
    let listeners = Listeners::bind(&app.config, handed.listeners()?).await?;
    run_on(app, listeners, stop_signal()).await
}

/// Serves on listeners that are bound already, until `stop` completes and those who send requests here had
/// `drain_seconds` to see that this replica is not ready any more.
///
/// # Errors
/// When the certificate is not usable.
pub fn run_on<'a>(
    app: App,
    listeners: Listeners,
    stop: impl Future<Output = ()> + Send + 'a,
) -> BoxFuture<'a, anyhow::Result<()>> {
    boxed(app, listeners, Box::pin(stop))
}

/// Nothing here depends on who calls: else the compiler would make the whole service once more for each of them.
fn boxed(app: App, listeners: Listeners, stop: BoxFuture<'_, ()>) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(serve_until(app, listeners, stop))
}

async fn serve_until(app: App, listeners: Listeners, stop: BoxFuture<'_, ()>) -> anyhow::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let acceptor = match &app.config.tls {
        Some(files) => {
            let pair = Pair::read(&files.certificate, &files.key)?;
            let (renewing, acceptor) = watch::channel(pair.acceptor()?);
            pair.expiry().into_iter().for_each(|at| app.metrics.certificate_ends(at));
            tokio::spawn(renew_certificate(app.clone(), files.clone(), pair, renewing, stopped.clone()));
            Some(acceptor)
        }
        None => None,
    };
    let limits = Limits { whole: MAX_CONNECTIONS, reserve: 0, each: MAX_CONNECTIONS_OF_ONE };
    let shares = || Shares::new(limits, &app.proxies);
    let headers = Arc::new(refusals::headers(&app.config));
    let place = listeners.public.place();
    let public = Service {
        routes: router::router(&app).into_router(),
        draining: app.draining(),
        shares: shares(),
        proxies: app.proxies.clone(),
        headers: Arc::clone(&headers),
    };
    let internal = Service {
        routes: request_line::around(health::routes(), &app, Logged::AsHealth).with_state(app.clone()),
        draining: app.draining(),
        shares: shares(),
        // They ask in the same way whether this replica is ready.
        proxies: app.proxies.clone(),
        headers,
    };
    let public = tokio::spawn(accept(listeners.public, acceptor, public, stopped.clone()));
    let internal = tokio::spawn(accept(listeners.internal, None, internal, stopped.clone()));
    let logouts = tokio::spawn(jobs::logout::run(app.clone(), stopped.clone()));
    let mails = tokio::spawn(jobs::mail::run(app.clone(), stopped.clone()));
    let sealing = tokio::spawn(jobs::activity::run(app.clone(), stopped.clone()));
    let traces = tokio::spawn(otlp::run(app.collector.clone(), stopped.clone()));
    let jobs = tokio::spawn(jobs::run(app.clone(), stopped));
    tracing::info!(issuer = %app.config.issuer, listen = %place, database = app.db.engine_name(), "ready at {}", app.config.issuer);
    supervisor::ready();
    stop.await;
    supervisor::stopping();
    drain(&app).await;
    tracing::info!("stopping: no new connections, answers under way are finished");
    // Receivers live in the tasks; one that is gone already needs no telling.
    let _ = stopping.send(true);
    app.background.stop();
    for task in [public, internal, logouts, mails, sealing, traces, jobs] {
        if let Err(error) = task.await {
            tracing::error!("a task died: {error}");
        }
    }
    app.background.ended().await;
    otlp::finish(app.collector.as_deref()).await;
    app.db.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Goes on answering while those in front find out that this replica is not ready any more. A second signal ends the
/// wait.
async fn drain(app: &App) {
    app.start_draining();
    let seconds = app.config.drain_seconds;
    if seconds == 0 {
        return;
    }
    tracing::info!("draining: not ready any more, and answering for {seconds} s; another signal ends the wait");
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        () = stop_signal() => {}
    }
}

/// Makes a new acceptor now and then, so that the keys of session tickets change, and when a look at the files, now and then
/// or on SIGHUP, finds another pair. A pair that is not usable is said, and never replaces the one that was.
async fn renew_certificate(
    app: App,
    files: config::Tls,
    mut pair: Pair,
    renewing: watch::Sender<SslAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut asked = asked_to_reload();
    let mut made_at = Instant::now();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = asked.next() => {}
            _ = stopped.changed() => return,
        }
        let found = Pair::read(&files.certificate, &files.key).unwrap_or_else(|error| {
            tracing::warn!("the certificate stays as it was: {error:#}");
            pair.clone()
        });
        if found == pair && made_at.elapsed() < TICKET_KEYS_LAST {
            continue;
        }
        match found.acceptor() {
            Ok(acceptor) => {
                if found != pair {
                    tracing::info!("the new certificate is in use");
                }
                (pair, made_at) = (found, Instant::now());
                pair.expiry().into_iter().for_each(|at| app.metrics.certificate_ends(at));
                renewing.send_replace(acceptor);
            }
            Err(error) => tracing::warn!("the certificate stays as it was: {error:#}"),
        }
    }
}

/// SIGHUP, as renewal hooks, `systemctl reload` and terminals that close send it.
struct Reload(Option<tokio::signal::unix::Signal>);

fn asked_to_reload() -> Reload {
    Reload(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
}

impl Reload {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Catches what would end the process without a word: of those that a program may catch and that no fault raises, TERM
/// and INT alone end it.
fn outlive_other_signals() {
    use tokio::signal::unix::{SignalKind, signal};
    let others = [
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        SignalKind::io(),
    ];
    // Not every library has a name for these, and their numbers differ from machine to machine.
    let unnamed = [
        rustix::process::Signal::VTALARM,
        rustix::process::Signal::PROF,
        rustix::process::Signal::XCPU,
        rustix::process::Signal::XFSZ,
        #[cfg(target_os = "linux")]
        rustix::process::Signal::POWER,
    ];
    let unnamed = unnamed.map(|signal| SignalKind::from_raw(signal.as_raw()));
    for kind in others.into_iter().chain(unnamed) {
        match signal(kind) {
            Ok(mut signal) => {
                tokio::spawn(async move { while signal.recv().await.is_some() {} });
            }
            Err(error) => tracing::warn!("a signal cannot be caught and would end this process: {error}"),
        }
    }
}

/// Completes when the process is told to stop. From this call on, not from the first look at what it gives, no such
/// signal ends it without a word: it may answer already.
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::error!("signals cannot be listened for: only a kill stops this process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

async fn accept(
    listener: Listener,
    acceptor: Option<watch::Receiver<SslAcceptor>>,
    service: Service,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
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
        let Ok(share) = service.shares.take(peer.ip(), Use::Ordinary) else {
            tracing::debug!(%peer, "a connection was closed: its network has {MAX_CONNECTIONS_OF_ONE} already");
            continue;
        };
        let acceptor = acceptor.as_ref().map(|acceptor| acceptor.borrow().clone());
        let (service, stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let _held = (place, share);
            let served = async {
                let plain = Protocol::without_tls(peer, &service.proxies);
                match (stream, acceptor) {
                    (Stream::Unix(stream), _) => serve_connection(stream, peer, service, stop, plain).await,
                    (Stream::Tcp(stream), None) => serve_connection(stream, peer, service, stop, plain).await,
                    (Stream::Tcp(stream), Some(acceptor)) => {
                        let stream = handshake(&acceptor, stream).await?;
                        let protocol = Protocol::negotiated(&stream);
                        serve_connection(stream, peer, service, stop, protocol).await
                    }
                }
            };
            if let Err(error) = served.await {
                tracing::debug!(%peer, "a connection ended early: {error}");
            }
        });
    }
    drop(listener);
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    if tokio::time::timeout(DRAIN, places.acquire_many(all)).await.is_err() {
        tracing::warn!("some connections did not finish within {} seconds", DRAIN.as_secs());
    }
}

/// What one listener serves, and who has how much of it.
#[derive(Clone)]
struct Service {
    routes: Router,
    /// During a drain each answer over HTTP/1.1 is the last of its connection, so that the next request goes elsewhere.
    draining: Arc<AtomicBool>,
    shares: Arc<Shares>,
    /// Who may speak HTTP/2 without TLS.
    proxies: Proxies,
    /// What stands on an answer that no route gives.
    headers: Arc<HeaderMap>,
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

/// What a connection speaks. A stranger's is known before its first byte: nothing waits to find out.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
    /// HTTP/2 where the connection begins with its preface (RFC 9113 §3.3), HTTP/1.1 where it begins with anything
    /// else.
    Either,
}

impl Protocol {
    /// A listed proxy may bundle many people's requests on one connection.
    fn without_tls(peer: Peer, proxies: &Proxies) -> Self {
        if peer.is_trusted(proxies) { Self::Either } else { Self::Http1 }
    }

    fn negotiated(stream: &SslStream<TcpStream>) -> Self {
        if stream.ssl().selected_alpn_protocol() == Some(b"h2") { Self::Http2 } else { Self::Http1 }
    }
}

async fn serve_connection<S>(
    stream: S,
    peer: Peer,
    service: Service,
    mut stop: watch::Receiver<bool>,
    protocol: Protocol,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity =
        Arc::new(Activity { running: AtomicUsize::new(0), last: Mutex::new(Instant::now()), asked: Notify::new() });
    let seen = Arc::clone(&activity);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (Service { routes, headers, draining, .. }, request) = (service.clone(), request.map(Body::new));
        let (running, is_http1) = (seen.run(), request.version() <= Version::HTTP_11);
        let answered = drain_body(request, async move |request| match refusals::of(&request, &headers) {
            Some(refusal) => Ok(refusal),
            None => routes.oneshot(request).await,
        });
        async move {
            let mut answer = answered.await?;
            if is_http1 && draining.load(Ordering::Relaxed) {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(running.answered(answer))
        }
    });
    let builder = builder(protocol);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let told_at = Instant::now() + MAX_AGE;
    let mut is_ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            was_asked = activity.over(&mut stop), if !is_ending => {
                // Of a handshake that never ends hyper takes no shutdown.
                if !was_asked {
                    return Ok(());
                }
            }
            () = tokio::time::sleep_until(if is_ending { told_at + DRAIN } else { told_at }) => {
                if is_ending {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "it grew too old").into());
                }
            }
            () = activity.quiet() => {
                if is_ending {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
                activity.touch();
            }
        }
        is_ending = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// What serves a connection that speaks this, within its limits.
fn builder(protocol: Protocol) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(QUIET).max_buf_size(READ_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(READ_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(QUIET);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Either => builder,
    }
}

/// What happens on one connection. Neither protocol's own time limits see a peer that opens no stream and answers
/// pings, or that asks and does not read.
struct Activity {
    running: AtomicUsize,
    last: Mutex<Instant>,
    /// Has a permit once there was a request.
    asked: Notify,
}

impl Activity {
    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn run(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.touch();
        self.asked.notify_one();
        Running(Arc::clone(self))
    }

    /// Waits until the service stops, and then for a first request, for which whoever connected had no time yet: both
    /// protocols close what was never asked on, and the request would find nobody. Whether there was one.
    async fn over(&self, stop: &mut watch::Receiver<bool>) -> bool {
        // A sender that is gone stops everything too.
        let _ = stop.wait_for(|stops| *stops).await;
        tokio::time::timeout(FIRST_REQUEST, self.asked.notified()).await.is_ok()
    }

    /// Waits until nothing has happened for a while; a request that is worked on has time limits of its own.
    async fn quiet(&self) {
        loop {
            let over = *self.last.lock().unwrap_or_else(PoisonError::into_inner) + QUIET;
            let is_running = self.running.load(Ordering::Relaxed) > 0;
            if !is_running && over <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(if is_running { Instant::now() + QUIET } else { over }).await;
        }
    }
}

/// One request that is worked on.
struct Running(Arc<Activity>);

impl Running {
    /// The answer; the parts of one that is made as it is read are activity too.
    fn answered(self, response: Response) -> Response {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let activity = Arc::clone(&self.0);
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                activity.touch();
                frame
            }))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.touch();
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use axum::http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const STRANGER: Peer = Peer::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 443));

    fn service(routes: Router) -> Service {
        let limits = Limits { whole: 1, reserve: 0, each: 1 };
        let (proxies, headers, draining) = (Proxies::default(), Arc::default(), Arc::default());
        Service { routes, draining, shares: Shares::new(limits, &proxies), proxies, headers }
    }

    /// Whoever is refused before all is read hears it, and asks again on the same connection.
    #[tokio::test]
    async fn a_refusal_breaks_no_connection() {
        let routes = Router::new().route("/", axum::routing::post(async || StatusCode::UNAUTHORIZED));
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let (_stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve_connection(ours, STRANGER, service(routes), stopped, Protocol::Http1));
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

    #[tokio::test]
    async fn a_request_names_exactly_one_host() {
        for (hosts, status) in [("", "400"), ("host: a\r\nhost: a\r\n", "400"), ("host: a\r\n", "200")] {
            let routes = Router::new().route("/", axum::routing::get(async || StatusCode::OK));
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let (_stop, stopped) = watch::channel(false);
            let served = tokio::spawn(serve_connection(ours, STRANGER, service(routes), stopped, Protocol::Http1));
            theirs.write_all(format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{hosts:?}: {answer}");
            served.await.unwrap().unwrap();
        }
    }

    /// Of one field, of many and of the target; as much as may be, and more, up to what no buffer holds.
    #[tokio::test]
    async fn the_headers_of_a_request_are_bounded() {
        let served = async |request: String| {
            let routes = Router::new().fallback(async || StatusCode::OK);
            let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
            let (_stop, stopped) = watch::channel(false);
            let served = tokio::spawn(serve_connection(ours, STRANGER, service(routes), stopped, Protocol::Http1));
            theirs.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = theirs.read_to_end(&mut answer).await;
            let _ = served.await.unwrap();
            String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::to_owned).unwrap_or_default()
        };
        let request = |target: usize, fields: usize, each: usize| {
            let field = format!("x: {}\r\n", "x".repeat(each));
            format!(
                "GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{}\r\n",
                "x".repeat(target),
                field.repeat(fields)
            )
        };
        assert_eq!(served(request(0, 1, 32_000)).await, "200");
        assert_eq!(served(request(0, 30, 1000)).await, "200");
        for long in [33_000, 40_000, 50_000, 60_000, 100_000] {
            assert_eq!(served(request(0, 1, long)).await, "431", "a field of {long}");
            assert_eq!(served(request(0, long / 1000, 1000)).await, "431", "fields of {long}");
            let status = served(request(long, 0, 0)).await;
            assert!(matches!(status.as_str(), "431" | "414"), "a target of {long}: {status}");
        }
    }

    /// Whoever is refused before any route hears what to do.
    #[tokio::test]
    async fn a_refusal_of_the_headers_says_what_to_do() {
        for (headers, words) in [(format!("host: a\r\nx: {}", "x".repeat(40_000)), "cookies"), ("x: 1".into(), "Host")]
        {
            let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
            let (_stop, stopped) = watch::channel(false);
            let service =
                Service { headers: Arc::new(refusals::headers(&config::Config::default())), ..service(Router::new()) };
            let served = tokio::spawn(serve_connection(ours, STRANGER, service, stopped, Protocol::Http1));
            theirs.write_all(format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            for line in
                ["connection: close", "content-type: text/plain", "cache-control: no-store", "x-content-type-options"]
            {
                assert!(head.contains(line), "{line}: {head}");
            }
            assert!(body.contains(words) && head.contains(&format!("content-length: {}", body.len())), "{answer}");
            served.await.unwrap().unwrap();
        }
    }

    /// Whoever connected before a stop and sends the request after it is answered; whoever sends nothing holds nothing
    /// up.
    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_first_request() {
        for protocol in [Protocol::Http1, Protocol::Either] {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let (stop, stopped) = watch::channel(false);
            let routes = Router::new().route("/", axum::routing::get(async || StatusCode::OK));
            let served = tokio::spawn(serve_connection(ours, STRANGER, service(routes), stopped, protocol));
            tokio::task::yield_now().await;
            stop.send(true).unwrap();
            tokio::time::sleep(FIRST_REQUEST / 2).await;
            theirs.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            served.await.unwrap().unwrap();
        }
        for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Either] {
            let (ours, _silent) = tokio::io::duplex(1024);
            let (_stop, stopped) = watch::channel(true);
            let started = Instant::now();
            let _ = serve_connection(ours, STRANGER, service(Router::new()), stopped, protocol).await;
            // Timers go by milliseconds.
            assert!(started.elapsed() < FIRST_REQUEST * 2, "{:?}", started.elapsed());
        }
    }

    /// RFC 9113 §3.3: with prior knowledge, from listed proxies alone. They may speak HTTP/1.1 all the same.
    #[tokio::test]
    async fn http_2_without_tls_is_for_listed_proxies() {
        let proxies = Proxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let listed = Peer::Address(([10, 0, 0, 1], 443).into());
        for (peer, begins, expected) in [
            (listed, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "HTTP/2"),
            (Peer::Socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "HTTP/2"),
            (STRANGER, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "nothing"),
            (listed, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1"),
            (listed, "PROPFIND / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1"),
            (STRANGER, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1"),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
            let (_stop, stopped) = watch::channel(false);
            let routes = Router::new().fallback(async || StatusCode::OK);
            let protocol = Protocol::without_tls(peer, &proxies);
            let served = tokio::spawn(serve_connection(ours, peer, service(routes), stopped, protocol));
            theirs.write_all(begins.as_bytes()).await.unwrap();
            let mut answer = [0; 9];
            let read = theirs.read_exact(&mut answer).await;
            let found = match answer {
                _ if read.is_err() => "nothing",
                // The server's own preface: a frame of SETTINGS.
                [0, 0, _, 4, 0, 0, 0, 0, 0] => "HTTP/2",
                _ if answer.starts_with(b"HTTP/1.1") => "HTTP/1.1",
                _ => "something else",
            };
            assert_eq!(found, expected, "{peer}: {begins:?}");
            drop(theirs);
            let _ = served.await.unwrap();
        }
    }

    /// A connection that asks for nothing, whatever it speaks, and one that does not read what it asked for.
    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_happens_ends() {
        let served = |protocol| {
            let routes = Router::new().route("/", axum::routing::get(async || "x".repeat(100_000)));
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let (stop, stopped) = watch::channel(false);
            let ended = tokio::spawn(async move {
                let (started, _stop) = (Instant::now(), stop);
                let _ = serve_connection(ours, STRANGER, service(routes), stopped, protocol).await;
                started.elapsed()
            });
            (theirs, ended)
        };
        let (_silent, ended) = served(Protocol::Http1);
        assert!(ended.await.unwrap() <= QUIET * 2);
        let (_silent, ended) = served(Protocol::Http2);
        assert!(ended.await.unwrap() <= QUIET * 2);
        let (_silent, ended) = served(Protocol::Either);
        assert!(ended.await.unwrap() <= QUIET * 2);
        for protocol in [Protocol::Http1, Protocol::Either] {
            let (mut half_a_preface, ended) = served(protocol);
            half_a_preface.write_all(b"PRI * HT").await.unwrap();
            assert!(ended.await.unwrap() <= QUIET * 2);
        }
        let (mut preface_alone, ended) = served(Protocol::Either);
        preface_alone.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(ended.await.unwrap() <= QUIET * 2);
        let (mut preface_alone, ended) = served(Protocol::Http2);
        preface_alone.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(ended.await.unwrap() <= QUIET * 2);
        let (mut never_reads, ended) = served(Protocol::Http1);
        never_reads.write_all("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100).as_bytes()).await.unwrap();
        assert!(ended.await.unwrap() <= QUIET * 2);
    }

    /// An old connection is told that it ends: what is under way on it is answered, and what never ends is cut off
    /// later.
    #[tokio::test(start_paused = true)]
    async fn an_old_connection_finishes_what_is_under_way() {
        let served = |protocol| {
            let routes = Router::new()
                .route("/slow", axum::routing::get(async || tokio::time::sleep(MAX_AGE + DRAIN / 2).await))
                .route("/never", axum::routing::get(std::future::pending::<()>));
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let (stop, stopped) = watch::channel(false);
            let ended = tokio::spawn(async move {
                let (started, _stop) = (Instant::now(), stop);
                let _ = serve_connection(ours, STRANGER, service(routes), stopped, protocol).await;
                started.elapsed()
            });
            (theirs, ended)
        };
        let (mut theirs, ended) = served(Protocol::Http1);
        theirs.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        assert!(ended.await.unwrap() < MAX_AGE + DRAIN);

        let (theirs, ended) = served(Protocol::Http2);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs)).await.unwrap();
        tokio::spawn(connection);
        let [one, other] =
            [(); 2].map(|()| sender.send_request(Request::get("http://a/slow").body(Body::empty()).unwrap()));
        let (one, other) = tokio::join!(one, other);
        assert_eq!([one.unwrap().status(), other.unwrap().status()], [StatusCode::OK; 2]);
        assert!(ended.await.unwrap() < MAX_AGE + DRAIN);

        let (mut theirs, ended) = served(Protocol::Http1);
        theirs.write_all(b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let lasted = ended.await.unwrap();
        assert!((MAX_AGE + DRAIN..MAX_AGE + DRAIN * 2).contains(&lasted), "{lasted:?}");
    }
}
