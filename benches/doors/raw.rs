//! The raw cost of the cryptography on this machine, in this run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use connect_idp::crypto::jws::{Unverified, VerifyingKeys};

use crate::server::Signer;

/// One Argon2id hash with the default cost.
pub fn argon2() -> Duration {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, Some(32)).unwrap());
    let mut out = [0; 32];
    each(60, || argon2.hash_password_into(b"Correct-Horse-9", b"0123456789abcdef", black_box(&mut out)).unwrap())
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
