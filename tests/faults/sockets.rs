//! The service at a Unix socket, with HTTP/2 without TLS, and with a socket that is handed over and held while it
//! restarts.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, PASSWORD, PROVIDER, eventually};
use crate::visitors::Visitors;

const VISITOR: &str = "203.0.113.9";
const ENDED: Duration = Duration::from_secs(10);
/// Requests at a time while it restarts, and how often it does.
const AT_ONCE: usize = 4;
const RESTARTS: usize = 3;

fn log_in(setup: &Setup, forwarded: Option<&str>) -> Request<Full<Bytes>> {
    let form = format!("login_name=user0&password={PASSWORD}&provider_code={PROVIDER}");
    let mut request = Request::post(format!("{}/login", setup.issuer))
        .header("origin", &setup.issuer)
        .header("content-type", "application/x-www-form-urlencoded");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    request.body(Full::from(form)).unwrap()
}

/// The status of a sign-in by the socket.
async fn by_socket(setup: &Setup, path: &Path, forwarded: Option<&str>) -> u16 {
    let stream = UnixStream::connect(path).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = log_in(setup, forwarded);
    request.headers_mut().insert("host", "localhost".parse().unwrap());
    let answer = sender.send_request(request).await.unwrap();
    answer.status().as_u16()
}

fn socket_of(setup: &Setup) -> (PathBuf, String) {
    let path = setup.folder.path().join("http.sock");
    let listen = format!("unix:{}", path.display());
    (path, listen)
}

/// The addresses of those who signed in.
async fn addresses(setup: &Setup) -> Vec<String> {
    let rows =
        setup.pairs("SELECT address, outcome FROM activity WHERE outcome = 'success' AND session_id IS NOT NULL").await;
    rows.into_iter().map(|(address, _)| address).collect()
}

on_engines! { a_proxy_comes_by_a_unix_socket: sqlite, postgres }
async fn a_proxy_comes_by_a_unix_socket(engine: Engine) {
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    let (path, listen) = socket_of(&setup);
    let variables = [("CONNECT_IDP__LISTEN", listen.as_str())];
    let mut service = setup.serve_with(&variables).await;

    assert_eq!(by_socket(&setup, &path, Some(VISITOR)).await, 303);
    assert_eq!(by_socket(&setup, &path, None).await, 303);
    let (mut seen, mut expected) = (addresses(&setup).await, vec![VISITOR.to_owned(), "127.0.0.1".to_owned()]);
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);

    let mut second = setup.start(1, &variables);
    assert_eq!(second.ended(ENDED).await.code(), Some(1));
    let said = second.said();
    assert!(said.contains(&format!("listen {listen}")) && said.contains("listens there already"), "{said}");
    assert_eq!(by_socket(&setup, &path, Some(VISITOR)).await, 303, "the second one took nothing away");

    service.kill();
    assert!(path.exists());
    let mut service = setup.serve_with(&variables).await;
    assert_eq!(by_socket(&setup, &path, Some(VISITOR)).await, 303, "what a killed one left is replaced");
    service.terminate();
    assert_eq!(service.ended(ENDED).await.code(), Some(0));
    assert!(!path.exists());

    std::fs::write(&path, "somebody's").unwrap();
    let mut third = setup.start(1, &variables);
    assert_eq!(third.ended(ENDED).await.code(), Some(1));
    let said = third.said();
    assert!(said.contains("is not a socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
}

// RFC 9113 §3.3, for listed proxies: `:authority` stands for the host, and the person behind the proxy is who signs in.
on_engines! { a_listed_proxy_speaks_http_2_without_tls: sqlite }
async fn a_listed_proxy_speaks_http_2_without_tls(engine: Engine) {
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    let service = setup.serve_with(&[("CONNECT_IDP__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let stream = TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answers = futures_util::future::join_all(
        (0..4).map(|number| sender.send_request(log_in(&setup, Some(&format!("203.0.113.{number}"))))),
    );
    for answer in answers.await {
        assert_eq!(answer.unwrap().status(), 303);
    }
    let mut seen = addresses(&setup).await;
    seen.sort();
    assert_eq!(seen, ["203.0.113.0", "203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    // Larger headers than there may be: refused on their own stream, with words.
    let long = Request::get(format!("{}/login", setup.issuer)).header("cookie", "x".repeat(40_000));
    let refused = sender.send_request(long.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), 431);
    let words = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(words.starts_with(b"The headers of the request"), "{}", words.escape_ascii());
    let page = Request::get(format!("{}/login", setup.issuer)).body(Full::default()).unwrap();
    assert_eq!(sender.send_request(page).await.unwrap().status(), 200, "the connection lives on");
    drop(sender);
    drop(service);

    let service = setup.serve().await;
    let mut stranger = TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap();
    stranger.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut answer = Vec::new();
    let _ = stranger.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "a stranger is not answered in HTTP/2: {}", answer.escape_ascii());
}

// Who comes while nobody serves waits, and is served by the next one.
on_engines! { a_restart_with_its_socket_held_refuses_nobody: sqlite, postgres }
async fn a_restart_with_its_socket_held_refuses_nobody(engine: Engine) {
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", held.local_addr().unwrap());
    let start = || setup.start_handed(OwnedFd::from(held.try_clone().unwrap()));
    let mut service: Service = setup.ready(start()).await;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visits: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let visitors = Visitors::new(&address, &setup.issuer);
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(visitors.get("/login", None).await.unwrap().status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..RESTARTS {
        service.terminate();
        assert_eq!(service.ended(ENDED).await.code(), Some(0));
        let before = asked.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(asked.load(Ordering::Relaxed) <= before + AT_ONCE, "nobody serves now");
        service = setup.ready(start()).await;
        eventually("they are served again", ENDED, async || asked.load(Ordering::Relaxed) > before + 20).await;
    }
    stop.store(true, Ordering::Relaxed);
    for visit in visits {
        visit.await.unwrap();
    }
}

// What is handed over and cannot be served stops the start with one sentence.
on_engines! { a_wrong_socket_is_named: sqlite }
async fn a_wrong_socket_is_named(engine: Engine) {
    let setup = Setup::new(engine, 0, CHEAP, "").await;
    let refused = async |socket: OwnedFd, words: &str| {
        let mut service = setup.start_handed(socket);
        assert_eq!(service.ended(ENDED).await.code(), Some(1));
        let said = service.said();
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("connect-idp: the socket \"http\"") && last.contains(words), "{said}");
    };
    refused(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into(), "neither TCP nor a Unix stream").await;
    refused(std::os::unix::net::UnixStream::pair().unwrap().0.into(), "does not listen").await;
    let (path, _) = socket_of(&setup);
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // As systemd makes it where its unit does not say.
    std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    refused(unix.try_clone().unwrap().into(), "SocketMode=0660").await;
    std::fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
    let mut service = setup.ready(setup.start_handed(unix.into())).await;
    assert_eq!(by_socket(&setup, &path, Some(VISITOR)).await, 403, "nobody has this name");
    service.terminate();
    service.ended(ENDED).await;
    assert!(path.exists(), "it belongs to whoever made it");
}
