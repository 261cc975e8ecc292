//! Clients that dawdle, send too much, or are still waiting when the service is told to stop.

use std::time::Duration;

use connect_idp::crypto::password::Cost;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, PASSWORD, eventually, hash, user};
use crate::visitors::{NOT_VALID, SENDER};

const HALF_OPEN: usize = 300;
const DAWDLERS: usize = 50;
/// A connection may be silent, and headers may take, 30 seconds; a request 15; the machine may be busy.
const HEADERS_OVER: Duration = Duration::from_secs(34);
const REQUEST_OVER: Duration = Duration::from_secs(19);

const HEAD: &str = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";

async fn connect(service: &Service) -> TcpStream {
    TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap()
}

/// Sends a beginning, then a byte at a time until the server has enough; what it said, and how long it bore it.
async fn dawdle(mut stream: TcpStream, beginning: &str, byte: Option<&[u8]>) -> (String, Duration) {
    let (started, mut said, mut buffer) = (Instant::now(), Vec::new(), [0; 4096]);
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut ticks = interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(count) if count > 0 => said.extend_from_slice(&buffer[..count]),
                _ => break,
            },
            // A server that closed its side is read from next.
            _ = ticks.tick() => if let Some(byte) = byte { let _ = stream.write_all(byte).await; },
        }
    }
    (String::from_utf8_lossy(&said).into_owned(), started.elapsed())
}

on_engines! { dawdlers_keep_nobody_waiting_and_are_shown_out: sqlite }
async fn dawdlers_keep_nobody_waiting_and_are_shown_out(engine: Engine) {
    let setup = Setup::new(engine, 20, CHEAP, "").await;
    let service = setup.serve().await;
    let visitors = service.visitors();
    assert_eq!(visitors.log_in("user0").await.status, 303);
    let descriptors = service.descriptors();

    let mut silent = Vec::new();
    for _ in 0..HALF_OPEN {
        silent.push(tokio::spawn(dawdle(connect(&service).await, "", None)));
    }
    let (mut in_headers, mut in_bodies) = (Vec::new(), Vec::new());
    let with_body = format!("{HEAD}Content-Length: 4000\r\n\r\nlogin_name=");
    for _ in 0..DAWDLERS {
        let (first, second, body) = (connect(&service).await, connect(&service).await, with_body.clone());
        in_headers.push(tokio::spawn(dawdle(first, HEAD, Some(b"a"))));
        in_bodies.push(tokio::spawn(async move { dawdle(second, &body, Some(b"a")).await }));
    }
    // One byte that may still become HTTP/2's preface.
    in_headers.push(tokio::spawn(dawdle(connect(&service).await, "P", None)));

    for number in 0..20 {
        let login = timeout(Duration::from_secs(2), visitors.log_in(&format!("user{number}"))).await;
        assert_eq!(login.expect("others wait for dawdlers").status, 303);
    }

    for (what, clients, within) in
        [("silent", silent, HEADERS_OVER), ("headers", in_headers, HEADERS_OVER), ("bodies", in_bodies, REQUEST_OVER)]
    {
        let ended = timeout(Duration::from_secs(40), join_all(clients)).await;
        let ended = ended.unwrap_or_else(|_| panic!("{what}: some are still connected"));
        let longest = ended.into_iter().map(|client| client.unwrap().1).max().unwrap();
        println!("{what}: shown out after {longest:?} at most");
        assert!(longest < within, "{what}: {longest:?}");
    }
    eventually("descriptors are given back", Duration::from_secs(10), async || {
        service.descriptors() <= descriptors + 5
    })
    .await;
}

/// The whole answer to a request, or nothing where the server closed the connection without one.
async fn ask(service: &Service, head: &str, body: &[u8]) -> String {
    let mut stream = connect(service).await;
    let mut said = Vec::new();
    // The server may have had enough before all is sent.
    let _ =
        stream.write_all(format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).as_bytes()).await;
    let _ = stream.write_all(body).await;
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await.expect("no answer");
    String::from_utf8_lossy(&said).into_owned()
}

on_engines! { what_is_too_large_is_refused: sqlite }
async fn what_is_too_large_is_refused(engine: Engine) {
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    let service = setup.serve().await;

    let headers = ask(&service, &format!("{HEAD}X-Large: {}\r\n", "a".repeat(64 * 1024)), b"").await;
    assert!(headers.starts_with("HTTP/1.1 431"), "{headers:?}");

    let form = |name: &str| format!("{name}={}", "a".repeat(1024 * 1024)).into_bytes();
    let login = ask(&service, HEAD, &form("login_name")).await;
    assert!(login.starts_with("HTTP/1.1 4") && login.contains("error-page"), "{login:?}");

    let head = HEAD.replace("/login", "/unified-login") + &format!("Origin: {SENDER}\r\n");
    let handoff = ask(&service, &head, &form("assertion")).await;
    assert!(handoff.starts_with("HTTP/1.1 403") && handoff.contains(NOT_VALID), "{handoff:?}");

    assert_eq!(service.visitors().log_in("user0").await.status, 303);
}

on_engines! { a_login_in_hand_is_answered_before_the_service_stops: sqlite, postgres }
async fn a_login_in_hand_is_answered_before_the_service_stops(engine: Engine) {
    let setup = Setup::new(engine, 0, CHEAP, "").await;
    // A comparison takes what the stored hash asks for: about a second and a half.
    setup.apply(&user("slow", &hash(Cost { memory_kib: 64 * 1024, iterations: 24, parallelism: 1 }).await));
    let mut service = setup.serve().await;
    let visitors = service.visitors();
    let waiting = connect(&service).await;

    let login = tokio::spawn({
        let visitors = visitors.clone();
        async move { visitors.log_in("slow").await }
    });
    eventually("the login is in hand", Duration::from_secs(5), async || setup.count("strike_slots").await == 1).await;
    service.terminate();

    let answer = login.await.unwrap();
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(visitors.try_log_in("slow", PASSWORD, None).await.is_err(), "nobody new is let in");
    drop(waiting);
    assert_eq!(service.ended(Duration::from_secs(10)).await.code(), Some(0));
    let service = setup.serve().await;
    assert!(service.visitors().is_signed_in(&answer.session().unwrap()).await);
}
