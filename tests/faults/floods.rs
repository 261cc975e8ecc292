//! One stranger asks for everything there is: somebody else is served within a second all the while (G30).

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::setup::{Service, Setup};
use crate::support::{CHEAP, DEFAULT, Engine, PASSWORD, PROVIDER, hash, user};
use crate::visitors::{SENDER, TIMED_OUT};

const STRANGER: &str = "203.0.113.66";
/// More than one network may have on its way, and fewer than there may be descriptors.
const UNFINISHED: usize = 700;
/// A second, twice as long in a program that is not optimised.
const SOON: Duration = Duration::from_secs(2);

/// Behind a proxy that streams, so that addresses can be told apart.
async fn serve(setup: &Setup) -> Service {
    setup.serve_with(&[("CONNECT_IDP__TRUSTED_PROXIES", r#"["127.0.0.0/8"]"#)]).await
}

fn post(path: &str, from: &str, origin: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {from}\r\nOrigin: {origin}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    )
}

async fn send(service: &Service, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // What was refused before it was read may end in a reset.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// A sign-in of somebody else.
async fn log_in(service: &Service, setup: &Setup, number: usize) -> String {
    let form = format!("login_name=user{number}&password={PASSWORD}&provider_code={PROVIDER}");
    let head = post("/login", &format!("198.51.100.{number}"), &setup.issuer, form.len());
    answer(send(service, &(head + &form)).await).await
}

on_engines! { bodies_that_never_come_keep_nobody_out: sqlite, postgres }
async fn bodies_that_never_come_keep_nobody_out(engine: Engine) {
    let setup = Setup::new(engine, 20, CHEAP, "").await;
    let service = serve(&setup).await;
    let head = post("/login", STRANGER, &setup.issuer, 4000) + "login_name=";
    let flood = join_all((0..UNFINISHED).map(|_| send(&service, &head))).await;
    let flood: Vec<_> = flood.into_iter().map(|stream| tokio::spawn(answer(stream))).collect();

    let started = Instant::now();
    for number in 0..20 {
        let said = timeout(SOON, log_in(&service, &setup, number)).await.expect("somebody else waits");
        assert!(said.starts_with("HTTP/1.1 303"), "{said}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "the flood was over: this shows nothing");

    let (mut late, mut no_room) = (0, 0);
    for said in join_all(flood).await {
        match said.unwrap() {
            said if said.starts_with("HTTP/1.1 408") => late += 1,
            said if said.starts_with("HTTP/1.1 429") => no_room += 1,
            said => panic!("{said}"),
        }
    }
    println!("{late} answered 408, {no_room} answered 429");
    assert!(late > 0 && no_room > 0);
    assert!(!service.said().contains("ERROR"), "a sender's fault is logged as ours");
}

on_engines! { one_user_with_a_temporary_password_takes_nobody_elses_turn: sqlite, postgres }
async fn one_user_with_a_temporary_password_takes_nobody_elses_turn(engine: Engine) {
    let setup = Setup::new(engine, 20, DEFAULT, "").await;
    setup.apply(&user("tina", &hash(DEFAULT).await).replace("temporary = false", "temporary = true"));
    let service = setup.serve().await;
    let visitors = service.visitors();
    let update = visitors.log_in("tina").await.cookie("connect-update").unwrap();
    let form = [("new_password", PASSWORD), ("confirm_new_password", PASSWORD)];
    let flood: Vec<_> = (0..300)
        .map(|_| {
            let (visitors, update) = (visitors.clone(), update.clone());
            tokio::spawn(async move { visitors.post("/password/update", &form, &update).await.unwrap().status })
        })
        .collect();
    for number in 0..20 {
        let answer = visitors.log_in(&format!("user{number}")).await;
        assert_eq!(answer.status, 303, "user{number} is kept out");
    }
    let answers: Vec<_> = join_all(flood).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|status| [422, 503].contains(status)), "{answers:?}");
}

on_engines! { a_handoff_whose_body_trickles_is_answered_in_time: sqlite }
async fn a_handoff_whose_body_trickles_is_answered_in_time(engine: Engine) {
    let setup = Setup::new(engine, 1, CHEAP, "[handoff]\ntimeout_seconds = 5").await;
    let service = serve(&setup).await;
    let started = Instant::now();
    let mut stream = send(&service, &post("/unified-login", STRANGER, SENDER, 4000)).await;
    let (mut said, mut buffer, mut ticks) = (Vec::new(), [0; 4096], tokio::time::interval(Duration::from_millis(100)));
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(count) if count > 0 => said.extend_from_slice(&buffer[..count]),
                _ => break,
            },
            _ = ticks.tick() => { let _ = stream.write_all(b"a").await; }
        }
    }
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 403") && said.contains(TIMED_OUT), "{said}");
    let took = started.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(6), "{took:?}");
}
