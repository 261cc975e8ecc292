//! One stranger opens as many HTTP/2 connections and streams as there may be, and finishes nothing: somebody else is
//! served within a second all the while (G30).

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{Pending, pending};
use http_body_util::{Either, Full, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use openssl::ssl::{SslConnector, SslMethod};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_openssl::SslStream;

use crate::certificates::Certificates;
use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, PASSWORD, PROVIDER};

const STRANGER: &str = "203.0.113.66";
const CONNECTIONS: usize = 33;
const STREAMS: usize = 64;
/// A second, twice as long in a program that is not optimised.
const SOON: Duration = Duration::from_secs(2);

/// A whole body, or one of which nothing ever comes.
type Body = Either<Full<Bytes>, StreamBody<Pending<Result<Frame<Bytes>, Infallible>>>>;

/// By TLS, or with prior knowledge of HTTP/2.
async fn connect(service: &Service, trusted: Option<&Path>) -> SendRequest<Body> {
    let Some(trusted) = trusted else {
        let stream = TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap();
        return begin(stream).await;
    };
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_ca_file(trusted).unwrap();
    connector.set_alpn_protos(b"\x02h2").unwrap();
    let ssl = connector.build().configure().unwrap().into_ssl("localhost").unwrap();
    let stream = TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap();
    let mut stream = SslStream::new(ssl, stream).unwrap();
    Pin::new(&mut stream).connect().await.unwrap();
    assert_eq!(stream.ssl().selected_alpn_protocol(), Some(b"h2".as_slice()));
    begin(stream).await
}

async fn begin(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Body> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn post(setup: &Setup, from: &str, length: usize, body: Body) -> Request<Body> {
    Request::post(format!("{}/login", setup.issuer))
        .header("x-forwarded-for", from)
        .header("origin", &setup.issuer)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("content-length", length)
        .body(body)
        .unwrap()
}

on_engines! { streams_that_never_end_keep_nobody_out: sqlite, postgres }
async fn streams_that_never_end_keep_nobody_out(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let pair = Certificates::make(folder.path());
    let settings =
        format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", pair.certificate.display(), pair.key.display());
    keep_nobody_out(Setup::new(engine, 20, CHEAP, &settings).await, Some(&pair.authority)).await;
}

// The proxy may bundle everybody's streams on one connection: the bounds of each person behind it hold.
on_engines! { streams_without_tls_keep_nobody_out: sqlite }
async fn streams_without_tls_keep_nobody_out(engine: Engine) {
    keep_nobody_out(Setup::new(engine, 20, CHEAP, "").await, None).await;
}

async fn keep_nobody_out(setup: Setup, trusted: Option<&Path>) {
    // Behind a proxy that streams, so that addresses can be told apart.
    let service = setup.serve_with(&[("CONNECT_IDP__TRUSTED_PROXIES", r#"["127.0.0.0/8"]"#)]).await;
    let mut flood = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut sender = connect(&service, trusted).await;
        for _ in 0..STREAMS {
            let never = Either::Right(StreamBody::new(pending()));
            let answered = sender.send_request(post(&setup, STRANGER, 4000, never));
            flood.push(tokio::spawn(async move { answered.await.map(|answer| answer.status().as_u16()) }));
        }
    }

    let started = Instant::now();
    for number in 0..20 {
        let form = format!("login_name=user{number}&password={PASSWORD}&provider_code={PROVIDER}");
        let (length, from) = (form.len(), format!("198.51.100.{number}"));
        let signed_in = async {
            let mut sender = connect(&service, trusted).await;
            sender.send_request(post(&setup, &from, length, Either::Left(Full::from(form)))).await.unwrap()
        };
        let answer = timeout(SOON, signed_in).await.expect("somebody else waits");
        assert_eq!(answer.status(), 303);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "the flood was over: this shows nothing");

    let answers: Vec<_> = join_all(flood).await.into_iter().map(|answer| answer.unwrap()).collect();
    let count =
        |wanted: u16| answers.iter().filter(|answer| answer.as_ref().is_ok_and(|status| *status == wanted)).count();
    let (late, no_room) = (count(408), count(429));
    println!("{late} answered 408, {no_room} answered 429, of {}", answers.len());
    assert!(late > 0 && no_room > 0 && late + no_room == answers.len(), "{answers:?}");
    assert!(!service.said().contains("ERROR"), "a sender's fault is logged as ours");
}
