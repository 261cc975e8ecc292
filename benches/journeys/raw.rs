//! The raw cost of the cryptography on this machine, in this run, on the server's core: the CPU time of one thread.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use argon2::{Algorithm as Hash, Argon2, Block, Params, Version};
use connect_idp::crypto::jws::{Algorithm, Unverified};
use connect_idp::crypto::key_set::VerifyingKeys;
use connect_idp::crypto::signing::{SigningKey, generate};
use rustix::time::{ClockId, clock_gettime};

use crate::machine::{Cores, micros};
use crate::sender::Sender;

/// The hash that a sign-in by password costs.
pub const HASH: &str = "Argon2id m=19456 t=2 p=1";
const HASH_EVERYWHERE: &str = "Argon2id, on every core at once";

/// What each costs, in µs.
pub fn measure(cores: &Cores) -> BTreeMap<String, f64> {
    let mut raw = cores.on_the_servers(|| {
        let mut raw = BTreeMap::from([(HASH.to_owned(), micros(hash_time()))]);
        for algorithm in Algorithm::ALL {
            raw.insert(format!("verify {}", algorithm.name()), micros(verify(algorithm)));
            raw.insert(format!("sign {}", algorithm.name()), micros(sign(algorithm)));
        }
        raw
    });
    raw.insert(HASH_EVERYWHERE.to_owned(), micros(hash_everywhere(cores)));
    raw
}

/// As the service's pool makes them where it has all cores: they share the memory's bandwidth.
fn hash_everywhere(cores: &Cores) -> Duration {
    let others = (0..cores.load_count).map(|_| std::thread::spawn(hash_time)).collect::<Vec<_>>();
    let here = if cores.apart { vec![cores.on_the_servers(hash_time)] } else { Vec::new() };
    let times: Vec<Duration> =
        here.into_iter().chain(others.into_iter().map(|thread| thread.join().unwrap())).collect();
    times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap()
}

/// In memory that is there already, as the service's own.
fn hash_time() -> Duration {
    let params = Params::new(19_456, 2, 1, Some(32)).unwrap();
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Hash::Argon2id, Version::V0x13, params);
    each(30, || {
        let mut out = [0; 32];
        argon2.hash_password_into_with_memory(b"Correct-Horse-9", b"0123456789abcdef", &mut out, &mut memory).unwrap();
        black_box(out);
    })
}

/// Of an assertion, the key parsed once.
fn verify(algorithm: Algorithm) -> Duration {
    let sender = Sender::new(algorithm);
    let keys = VerifyingKeys::parse(&sender.jwks()).unwrap();
    let text = sender.assertion("https://connect.example.org", "amina");
    each(1000, || {
        let jws = Unverified::parse(&text, 8192).unwrap();
        assert!(keys.get("bench").unwrap().verify(black_box(&jws)));
    })
}

/// Of an ID token's size, the key parsed once.
fn sign(algorithm: Algorithm) -> Duration {
    let made = generate(algorithm, 2048).unwrap();
    let key = SigningKey::parse(&made.kid, algorithm, made.private_jwk.as_bytes()).unwrap();
    let claims = serde_json::json!({
        "iss": "http://localhost:8080", "sub": "0197b2f0-0000-7000-8000-000000000000", "aud": "bench", "exp": 1, "iat": 1,
        "auth_time": 1, "acr": "urn:therap-connect:acr:password", "amr": ["pwd"], "at_hash": "0123456789012345678901",
        "sid": "0197b2f0-0000-7000-8000-000000000000", "nonce": "0123456789",
    });
    each(1000, || drop(black_box(key.sign("JWT", black_box(&claims)).unwrap())))
}

/// The CPU time that this thread takes for it: what else runs does not count.
fn each(times: u32, mut work: impl FnMut()) -> Duration {
    for _ in 0..=times / 10 {
        work();
    }
    let before = thread_cpu();
    for _ in 0..times {
        work();
    }
    thread_cpu().saturating_sub(before) / times
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}
