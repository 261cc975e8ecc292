//! What the two doors cost: `cargo bench --bench doors`. The method is in benches/README.md.
//!
//! The service is the real binary in a process of its own, so that its CPU time is its own; the load comes from this one.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "figures are printed, and a bench that fails may panic"
)]

#[path = "../house/mod.rs"]
mod house;
mod raw;
mod server;

use std::time::{Duration, Instant};

use house::micros;
use server::Server;

/// How long each load lasts.
const SPAN: Duration = Duration::from_secs(8);
const LOGIN_CLIENTS: usize = 6;
const HANDOFF_CLIENTS: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    println!("raw cost of the cryptography, one thread");
    let hash = raw::argon2();
    let together = raw::argon2_on_every_core();
    println!(
        "  Argon2id m=19456 t=2 p=1          {:>10.1} µs   (on every core at once {:.1} µs)",
        micros(hash),
        micros(together)
    );
    for (name, each) in raw::verify() {
        println!("  verify {name:<26} {:>10.1} µs", micros(each));
    }
    for engine in house::engines() {
        let server = Server::start(&engine).await;
        println!("\n{}: idle memory {:.1} MiB", engine.name, server.memory_mib());
        let logins = load(&server, LOGIN_CLIENTS, Load::Login).await;
        println!(
            "  logins     {:>8.1} /s   server CPU {:>8.1} µs each = {:.2} hashes, {:.2} of those made on every core at once",
            logins.per_second,
            micros(logins.cpu),
            logins.cpu.as_secs_f64() / hash.as_secs_f64(),
            logins.cpu.as_secs_f64() / together.as_secs_f64()
        );
        let handoffs = load(&server, HANDOFF_CLIENTS, Load::Handoff).await;
        println!(
            "  handoffs   {:>8.1} /s   server CPU {:>8.1} µs each (POST + complete + Dashboard)",
            handoffs.per_second,
            micros(handoffs.cpu)
        );
        println!("  refusals, median time (difference beside one hash of {:.1} µs):", micros(hash));
        for (what, median, difference) in refusals(&server).await {
            println!(
                "    {what:<20} {:>9.1} µs   {:>+8.1} µs = {:+.4} hashes",
                micros(median),
                difference,
                difference / micros(hash)
            );
        }
        println!("  after the load: memory {:.1} MiB", server.memory_mib());
    }
}

#[derive(Clone, Copy)]
enum Load {
    Login,
    Handoff,
}

struct Figures {
    per_second: f64,
    cpu: Duration,
}

/// Keeps so many clients busy for [`SPAN`] and divides.
async fn load(server: &Server, clients: usize, load: Load) -> Figures {
    for client in 0..clients {
        server.one(load, client).await;
    }
    let (cpu_before, started) = (server.cpu(), Instant::now());
    let tasks = (0..clients).map(|client| {
        let server = server.handle();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while started.elapsed() < SPAN {
                server.one(load, client).await;
                done += 1;
            }
            done
        })
    });
    let mut done = 0;
    for task in tasks.collect::<Vec<_>>() {
        done += task.await.unwrap();
    }
    let (cpu, elapsed) = (server.cpu().saturating_sub(cpu_before), started.elapsed());
    Figures { per_second: f64::from(done) / elapsed.as_secs_f64(), cpu: cpu / done }
}

/// How long each kind of refusal takes, one at a time and in turn, so that drift meets all alike.
async fn refusals(server: &Server) -> Vec<(&'static str, Duration, f64)> {
    const ROUNDS: usize = 120;
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); server::REFUSALS.len()];
    for round in 0..ROUNDS {
        for (kind, times) in times.iter_mut().enumerate() {
            let started = Instant::now();
            server.refused(kind, round).await;
            times.push(started.elapsed());
        }
    }
    let medians: Vec<Duration> = times
        .into_iter()
        .map(|mut times| {
            times.sort();
            times[times.len() / 2]
        })
        .collect();
    let first = micros(medians[0]);
    server::REFUSALS.iter().zip(medians).map(|(name, median)| (*name, median, micros(median) - first)).collect()
}
