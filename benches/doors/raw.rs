//! The raw cost of the cryptography on this machine, in this run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use connect_idp::crypto::jws::Unverified;
use connect_idp::crypto::key_set::VerifyingKeys;

use crate::server::Signer;

/// One Argon2id hash with the default cost, on a machine that does nothing else.
pub fn argon2() -> Duration {
    each(60, hash)
}

/// The same on every core at once, as the service's pool runs them: they share the memory's bandwidth.
pub fn argon2_on_every_core() -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..cores).map(|_| std::thread::spawn(|| each(60, hash))).collect();
    let times: Vec<Duration> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap()
}

fn hash() {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, Some(32)).unwrap());
    let mut out = [0; 32];
    argon2.hash_password_into(b"Correct-Horse-9", b"0123456789abcdef", black_box(&mut out)).unwrap();
}

/// One verification of each algorithm, the key parsed once.
pub fn verify() -> Vec<(&'static str, Duration)> {
    Signer::all()
        .into_iter()
        .map(|signer| {
            let keys = VerifyingKeys::parse(&signer.jwks()).unwrap();
            let text = signer.assertion("https://connect.example.org", "https://secure.example.net", "A", "amina");
            let cost = each(2000, || {
                let jws = Unverified::parse(&text, 8192).unwrap();
                assert!(keys.get("bench").unwrap().verify(black_box(&jws)));
            });
            (signer.name, cost)
        })
        .collect()
}

fn each(times: u32, mut work: impl FnMut()) -> Duration {
    for _ in 0..=times / 10 {
        work();
    }
    let started = Instant::now();
    for _ in 0..times {
        work();
    }
    started.elapsed() / times
}
