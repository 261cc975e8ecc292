//! How long each kind of refused login takes: the time must not say which names exist (L3 of docs/rules.md).

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::http::{Http, Request};
use crate::machine::micros;
use crate::sender::PROVIDER;
use crate::site::{OTHERS, PASSWORD, Site};

const KINDS: [(&str, &str, &str, &str); 5] = [
    ("wrong password", PROVIDER, "user", "Wrong-Horse-9"),
    ("unknown user", PROVIDER, "nobody", PASSWORD),
    ("unknown provider", "NOWHERE", "user", PASSWORD),
    ("deactivated user", PROVIDER, "gone", PASSWORD),
    ("inactive provider", "CLOSED", "user", PASSWORD),
];

/// Of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    pub kind: String,
    /// Median time of an answer.
    pub median_us: f64,
    /// How far that is from a wrong password, in hashes.
    pub hashes_apart: f64,
}

/// One at a time and in turn, so that drift meets all alike. None of them comes to its third strike.
pub fn measure(site: &Site, rounds: usize, hash_us: f64) -> Result<Vec<Refused>, String> {
    let mut http = Http::open(site.port);
    let mut times: [Vec<Duration>; KINDS.len()] = Default::default();
    for round in 0..rounds.min(OTHERS) {
        for ((_, provider, name, password), times) in KINDS.iter().zip(&mut times) {
            let name = format!("{name}{round}");
            let form = [("login_name", name.as_str()), ("password", password), ("provider_code", provider)];
            let request = Request::post("/login", &form).with("origin", &site.issuer);
            let started = Instant::now();
            http.send(&request)?.expect(403)?;
            times.push(started.elapsed());
        }
    }
    let medians = times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    });
    let refused = KINDS.iter().zip(medians).map(|((kind, ..), median)| Refused {
        kind: (*kind).to_owned(),
        median_us: micros(median),
        hashes_apart: (micros(median) - micros(medians[0])) / hash_us,
    });
    Ok(refused.collect())
}
