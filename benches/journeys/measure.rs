//! One journey on one site: warmed up, counted, as fast as it goes, and at fixed rates.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bare;
use crate::database::{Database, WalIndex};
use crate::http::{Http, Request};
use crate::journeys::Journey;
use crate::load::{self, Outcome, Stock};
use crate::machine::{Cores, Process, cpu_of, micros};
use crate::options::Options;
use crate::progress::Progress;
use crate::relay::{Counts, Relay};
use crate::report::{JourneyReport, NAMED_SHARE, Open, Run, Spread};
use crate::site::Site;

/// Journeys of a count, after some that are not counted.
const COUNTED: usize = 40;
const BEFORE_COUNTING: usize = 10;

/// A running provider, and what a measurement needs beside it.
pub struct Subject<'a> {
    pub site: &'a Site,
    pub process: &'a Process,
    /// None of the other provider's.
    pub database: Option<&'a Database>,
    pub cores: &'a Cores,
    pub options: &'a Options,
    pub raw: &'a BTreeMap<String, f64>,
    pub progress: &'a Progress,
}

/// What each journey needs of its database, nobody else being there.
pub fn count(site: &Site, journey: &Journey, database: &Database, relay: Option<&Relay>) -> Result<Counts, String> {
    let mut items = journey.make(site, COUNTED + BEFORE_COUNTING)?;
    let counted = items.split_off(BEFORE_COUNTING.min(items.len()));
    load::alone(site, journey, items)?;
    let each = |total: f64| Some(total / COUNTED as f64);
    match (database, relay) {
        (Database::Sqlite(file), _) => {
            let (first, mut last, mut bytes) = (WalIndex::of(file), WalIndex::of(file), 0.0);
            for item in counted {
                load::alone(site, journey, vec![item])?;
                let now = WalIndex::of(file);
                bytes += now.bytes_since(&last);
                last = now;
            }
            let commits = each(f64::from(last.changes.wrapping_sub(first.changes)));
            Ok(Counts { commits, wal_bytes: each(bytes), ..Counts::default() })
        }
        (Database::Postgres { .. }, Some(relay)) => {
            let wal = database.read().wal;
            let mut seen = Vec::with_capacity(COUNTED);
            for item in counted {
                let before = relay.counts();
                load::alone(site, journey, vec![item])?;
                let after = relay.counts();
                seen.push(std::array::from_fn::<_, 4, _>(|at| (after[at] - before[at]) as f64));
            }
            // The usual one: what the service does automatically meanwhile is not the journey's.
            let usual = |at: usize| Spread::of(seen.iter().map(|counts| counts[at])).map(|spread| spread.median);
            let [round_trips, statements, commits, rows] = [usual(0), usual(1), usual(2), usual(3)];
            let wal_bytes = database.read().wal.zip(wal).and_then(|(after, before)| each(after - before));
            Ok(Counts { round_trips, statements, commits, rows, wal_bytes })
        }
        (Database::Postgres { .. }, None) => Ok(Counts::default()),
    }
}

/// How far a measurement has come.
struct Measured {
    report: JourneyReport,
    /// What is used by turns.
    pool: Option<Stock>,
}

impl Subject<'_> {
    pub fn measure(&self, journey: &Journey, database: Counts) -> JourneyReport {
        let raw = journey.raw_cost(self.site, self.raw);
        let report = JourneyReport {
            name: journey.name.to_owned(),
            raw: raw.as_ref().map(|(name, _)| name.clone()),
            raw_us: raw.map(|(_, cost)| cost),
            reuse: None,
            database,
            bare_us: None,
            runs: Vec::new(),
            open: Vec::new(),
            failure: None,
        };
        let mut measured = Measured { report, pool: None };
        if let Err(why) = self.all_of(journey, &mut measured) {
            measured.report.failure.get_or_insert(why);
        }
        measured.report
    }

    fn all_of(&self, journey: &Journey, measured: &mut Measured) -> Result<(), String> {
        let span = Duration::from_secs_f64(self.options.seconds);
        self.progress.begin(journey.name);
        let warm = Stock::new(journey.make(self.site, 200)?);
        let warm = load::closed(self.site, journey, &warm, (span / 3).min(Duration::from_secs(1)));
        let mut best = warm.per_second();
        if let Some(failure) = warm.failure {
            return Err(failure);
        }
        for _ in 0..self.options.runs() {
            let run = self.closed(journey, measured, best, span)?;
            measured.report.runs.push(run);
            self.progress.step();
        }
        best = measured.report.of_runs(|run| run.per_second).map_or(best, |runs| runs.median);
        for share in self.options.shares() {
            let times = if share == NAMED_SHARE { self.options.runs() } else { 1 };
            for _ in 0..times {
                let open = self.open(journey, measured, best, share, span)?;
                measured.report.open.push(open);
                self.progress.step();
            }
        }
        if let Some(pool) = &measured.pool {
            let requests: usize = measured.report.runs.iter().map(|run| run.requests).sum::<usize>()
                + measured.report.open.iter().map(|open| open.requests).sum::<usize>();
            measured.report.reuse = Some(requests as f64 / pool.len().max(1) as f64);
        }
        if journey.is_document && self.database.is_some() {
            measured.report.bare_us = Some(self.bare(journey, span)?);
        }
        Ok(())
    }

    /// Enough for a number a second, for a time: made beforehand, or what is there already.
    fn with_stock<T>(
        &self,
        journey: &Journey,
        measured: &mut Measured,
        count: f64,
        work: impl FnOnce(&Stock) -> T,
    ) -> Result<T, String> {
        if !journey.pooled {
            return Ok(work(&Stock::new(journey.make(self.site, whole(count))?)));
        }
        let pool = match measured.pool.take() {
            Some(pool) => pool,
            None => Stock::new(journey.make(self.site, whole(count))?),
        };
        let done = work(&pool);
        measured.pool = Some(pool);
        Ok(done)
    }

    fn closed(&self, journey: &Journey, measured: &mut Measured, rate: f64, span: Duration) -> Result<Run, String> {
        // More than it used before: it may do better this time.
        let count = rate * span.as_secs_f64() * 1.3 + 100.0;
        let (run, failure) = self.with_stock(journey, measured, count, |stock| {
            let mut written = self.written();
            let before = self.database.map(Database::read);
            if let Some(database) = self.database {
                // What is not ours stays where it is; the report says so.
                let _ = self.cores.keep_off(&database.processes());
            }
            let (cpu, own) = (self.process.cpu(), own_cpu());
            let outcome = load::closed(self.site, journey, stock, span);
            let (cpu, own) = (self.process.cpu().saturating_sub(cpu), own_cpu().saturating_sub(own));
            let after = self.database.map(Database::read);
            written = self.written().zip(written).map(|(after, before)| after - before);
            let requests = outcome.times.len() + outcome.failures;
            let each = |total: f64| total / requests.max(1) as f64;
            let delta =
                |of: fn(&crate::database::Reading) -> Option<f64>| Some(of(after.as_ref()?)? - of(before.as_ref()?)?);
            let seconds = outcome.elapsed.as_secs_f64();
            let run = Run {
                requests,
                per_second: outcome.per_second(),
                cpu_us: each(micros(cpu)),
                database_cpu_us: after
                    .as_ref()
                    .zip(before.as_ref())
                    .and_then(|(a, b)| a.cpu_since(b))
                    .map(|cpu| each(micros(cpu))),
                commits: delta(|reading| reading.commits).map(each),
                written_bytes: delta(|reading| reading.wal).or(written).map(each),
                server_busy: cpu.as_secs_f64() / seconds,
                load_busy: own.as_secs_f64() / seconds / self.cores.load_count as f64,
            };
            (run, outcome.failure)
        })?;
        failure.map_or(Ok(run), Err)
    }

    /// What the process itself wrote to its disk: SQLite's alone.
    fn written(&self) -> Option<f64> {
        matches!(self.database, Some(Database::Sqlite(_))).then(|| self.process.written())
    }

    fn open(
        &self,
        journey: &Journey,
        measured: &mut Measured,
        best: f64,
        share: u32,
        span: Duration,
    ) -> Result<Open, String> {
        let rate = best * f64::from(share) / 100.0;
        let count = rate * span.as_secs_f64() + 100.0;
        let outcome: Outcome =
            self.with_stock(journey, measured, count, |stock| load::open(self.site, journey, stock, rate, span))?;
        let open = Open {
            share,
            rate,
            per_second: outcome.per_second(),
            requests: outcome.times.len(),
            p50_us: micros(outcome.permille(500)),
            p99_us: micros(outcome.permille(990)),
            p999_us: micros(outcome.permille(999)),
            late: outcome.late as f64 / outcome.times.len().max(1) as f64,
        };
        outcome.failure.map_or(Ok(open), Err)
    }

    /// What a bare route costs that answers the same text.
    fn bare(&self, journey: &Journey, span: Duration) -> Result<f64, String> {
        let path =
            if journey.name == "jwks" { self.site.jwks_uri.as_str() } else { "/.well-known/openid-configuration" };
        let body = Http::new(self.site.port).send(&Request::get(path))?.body;
        let (process, port) = bare::start(self.cores, path, &String::from_utf8_lossy(&body));
        let site = self.site.at(port);
        let stock = Stock::new(journey.make(&site, 100)?);
        load::closed(&site, journey, &stock, span / 4);
        let before = process.cpu();
        let outcome = load::closed(&site, journey, &stock, span);
        Ok(micros(process.cpu().saturating_sub(before)) / outcome.times.len().max(1) as f64)
    }
}

fn own_cpu() -> Duration {
    cpu_of(std::process::id()).unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests, of a rate and seconds"
)]
fn whole(count: f64) -> usize {
    count.ceil() as usize
}
