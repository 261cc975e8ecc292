//! What a run found, as it is written to `report.json`: benches/README.md says what each member means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::machine::Facts;
use crate::refusals::Refused;
use crate::relay::Counts;

/// Of the form: another number, another meaning.
pub const SCHEMA: u32 = 1;
/// The share of the best rate that latencies are compared at, in percent.
pub const NAMED_SHARE: u32 = 70;

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub schema: u32,
    /// The measured program's.
    pub version: String,
    pub machine: Facts,
    pub settings: Settings,
    /// What the cryptography costs alone, in µs of CPU time.
    pub raw_us: BTreeMap<String, f64>,
    pub sites: Vec<SiteReport>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Settings {
    pub seconds: f64,
    pub runs: usize,
    /// Clients of the closed loop.
    pub clients: usize,
    /// What the database held before: providers, users, records, sessions; none where it was empty.
    pub filled: Option<[i64; 4]>,
}

/// On one database, or of the other provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct SiteReport {
    pub name: String,
    pub facts: String,
    pub idle_mib: f64,
    pub loaded_mib: f64,
    pub journeys: Vec<JourneyReport>,
    pub refusals: Vec<Refused>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct JourneyReport {
    pub name: String,
    /// Which row of `raw_us` is in it.
    pub raw: Option<String>,
    pub raw_us: Option<f64>,
    /// How often each session, token or account was used, where they are used by turns; none where each is used up.
    pub reuse: Option<f64>,
    /// One after the other.
    pub database: Counts,
    /// A bare axum route that answers the same text, in µs of CPU time.
    pub bare_us: Option<f64>,
    /// The closed loop.
    pub runs: Vec<Run>,
    /// Fixed rates.
    pub open: Vec<Open>,
    /// Why an answer was not right, if one was not.
    pub failure: Option<String>,
}

/// As fast as answers come, once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    pub requests: usize,
    pub per_second: f64,
    /// The server's CPU time for each.
    pub cpu_us: f64,
    /// The database's own processes'.
    pub database_cpu_us: Option<f64>,
    /// SQLite: transactions that wrote, for each; under load many requests share one.
    pub commits: Option<f64>,
    /// For each: PostgreSQL's write-ahead log; what SQLite's process wrote to its disk.
    pub written_bytes: Option<f64>,
    /// How much of its core the server used, and of theirs the clients: 1 is all.
    pub server_busy: f64,
    pub load_busy: f64,
}

/// A number a second, whatever comes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Open {
    /// In percent of the best rate.
    pub share: u32,
    pub rate: f64,
    pub per_second: f64,
    pub requests: usize,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// The share of requests that left more than 1 ms after their time.
    pub late: f64,
}

/// Of repeated runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            *values.get(middle)?
        } else {
            f64::midpoint(*values.get(middle)?, values[middle - 1])
        };
        Some(Self { least: *values.first()?, median, most: *values.last()? })
    }
}

impl JourneyReport {
    pub fn of_runs(&self, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(figure))
    }

    /// At a share of the best rate.
    pub fn of_open(&self, share: u32, figure: impl Fn(&Open) -> f64) -> Option<Spread> {
        Spread::of(self.open.iter().filter(|open| open.share == share).map(figure))
    }

    pub fn median(&self, figure: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        Spread::of(self.runs.iter().filter_map(figure)).map(|spread| spread.median)
    }

    pub fn cpu_us(&self) -> Option<f64> {
        self.median(|run| Some(run.cpu_us))
    }
}

impl SiteReport {
    pub fn journey(&self, name: &str) -> Option<&JourneyReport> {
        self.journeys.iter().find(|journey| journey.name == name)
    }
}

impl Report {
    pub fn site(&self, name: &str) -> Option<&SiteReport> {
        self.sites.iter().find(|site| site.name == name)
    }

    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.sites.iter().flat_map(|site| {
            let failed = site.journeys.iter().filter_map(|journey| Some((&journey.name, journey.failure.as_ref()?)));
            failed.map(|(journey, why)| format!("{}, {journey}: {why}", site.name))
        })
    }
}
