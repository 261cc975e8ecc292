//! What the third door costs: `cargo bench --bench provider`. The method is in benches/README.md.
//!
//! Each figure is the service's own CPU time per request, and the requests per second that one core of it bears.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "figures are printed, and a bench that fails may panic"
)]

mod bare;
#[path = "../house/mod.rs"]
mod house;
mod relying_party;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use connect_idp::crypto::jws::Algorithm;
use connect_idp::crypto::signing::{SigningKey, generate};
use house::{House, micros};
use relying_party::{RelyingParty, Work};

/// Clients at once.
const CLIENTS: usize = 8;
/// How many codes are exchanged for a figure.
const CODES: usize = 2000;
/// How many of any other request.
const REQUESTS: usize = 6000;
/// How many of those that cost least: the kernel counts CPU time in hundredths of a second.
const DOCUMENTS: usize = 40_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    if bare::is_child() {
        return bare::serve().await;
    }
    println!("raw cost of the cryptography, one thread");
    let raw: Vec<(Algorithm, Duration)> = [Algorithm::Rs256, Algorithm::Es256].map(|alg| (alg, sign(alg))).into();
    for (alg, each) in &raw {
        println!("  sign {:<8} {:>10.1} µs", alg.name(), micros(*each));
    }
    for engine in house::engines() {
        let house = House::start(&engine, &relying_party::seed(), "[tokens]\ncode_seconds = 300\n").await;
        let rp = Arc::new(RelyingParty::sign_in(&house).await);
        println!("\n{}: memory {:.1} MiB", engine.name, house.memory_mib());
        println!("  {:<34} {:>13}   {:>12}", "", "server CPU", "/s a core");
        for (alg, raw) in &raw {
            let codes = rp.codes(*alg, CODES).await;
            let cpu = measure(&house, CODES, |n| {
                let (rp, code, alg) = (Arc::clone(&rp), codes[n].clone(), *alg);
                async move { rp.exchange(alg, &code).await }
            })
            .await;
            let more = micros(cpu) - micros(*raw);
            print_line(&format!("code exchange, {}", alg.name()), cpu, &format!("the signature + {more:.1} µs"));
        }
        for work in Work::ALL {
            let cpu = measure(&house, REQUESTS, |_| {
                let rp = Arc::clone(&rp);
                async move { rp.one(work).await }
            })
            .await;
            print_line(work.name(), cpu, "");
        }
        for path in ["/.well-known/openid-configuration", "/oauth2/jwks"] {
            let body = rp.get(path).await;
            let cpu = measure(&house, DOCUMENTS, |_| {
                let rp = Arc::clone(&rp);
                async move { drop(rp.get(path).await) }
            })
            .await;
            let bare = bare::cost(&body, DOCUMENTS).await;
            print_line(path, cpu, &format!("{:.2} of a bare axum route", bare.as_secs_f64() / cpu.as_secs_f64()));
        }
    }
}

fn print_line(what: &str, cpu: Duration, note: &str) {
    println!("  {what:<34} {:>10.1} µs   {:>12.0}   {note}", micros(cpu), 1.0 / cpu.as_secs_f64());
}

/// The service's CPU time for each of so many requests by [`CLIENTS`] at once.
async fn measure<F>(house: &House, count: usize, request: impl Fn(usize) -> F) -> Duration
where
    F: Future<Output = ()>,
{
    let before = house.cpu();
    all(count, request).await;
    house.cpu().saturating_sub(before) / u32::try_from(count).unwrap()
}

/// Sends so many requests, [`CLIENTS`] at once.
async fn all<F: Future<Output = ()>>(count: usize, request: impl Fn(usize) -> F) {
    let next = AtomicUsize::new(0);
    let client = async || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return;
            }
            request(n).await;
        }
    };
    futures_util::future::join_all((0..CLIENTS).map(|_| client())).await;
}

/// One signature of an ID token's size, the key parsed once.
fn sign(alg: Algorithm) -> Duration {
    const TIMES: u32 = 1000;
    let made = generate(alg, 2048).unwrap();
    let key = SigningKey::parse(&made.kid, alg, made.private_jwk.as_bytes()).unwrap();
    let claims = serde_json::json!({
        "iss": "http://localhost:8080", "sub": "0197b2f0-0000-7000-8000-000000000000", "aud": "bench", "exp": 1, "iat": 1,
        "auth_time": 1, "acr": "urn:therap-connect:acr:password", "amr": ["pwd"], "at_hash": "0123456789012345678901",
        "sid": "0197b2f0-0000-7000-8000-000000000000", "nonce": "0123456789",
    });
    for _ in 0..50 {
        key.sign("JWT", &claims).unwrap();
    }
    let started = Instant::now();
    for _ in 0..TIMES {
        black_box(key.sign("JWT", black_box(&claims)).unwrap());
    }
    started.elapsed() / TIMES
}
