//! Load, by threads that each have one connection: as fast as answers come, or at a fixed rate whatever comes.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;

use crate::http::Http;
use crate::journeys::{Item, Journey};
use crate::site::Site;

/// Who asks at once, each again when it was answered.
pub const CLIENTS: usize = 16;
/// Who may wait for answers at a fixed rate. Where all of them do, an arrival waits too, and its wait counts.
const WAITING: usize = 64;
/// An arrival whose request leaves this long after its time was kept back by others that wait.
const LATE: Duration = Duration::from_millis(1);

/// The result of one load.
#[derive(Default)]
pub struct Outcome {
    /// Each journey that was right, in order of length.
    pub times: Vec<Duration>,
    pub elapsed: Duration,
    /// How many requests left late.
    pub late: usize,
    pub failures: usize,
    /// Why the first of them failed.
    pub failure: Option<String>,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The time within which this number of a thousand are done.
    pub fn permille(&self, share: usize) -> Duration {
        let at = (self.times.len() * share).div_ceil(1000).max(1) - 1;
        self.times.get(at).copied().unwrap_or_default()
    }

    fn of(parts: impl Iterator<Item = Self>, elapsed: Duration) -> Self {
        let mut whole = Self { elapsed, ..Self::default() };
        for part in parts {
            whole.times.extend(part.times);
            whole.late += part.late;
            whole.failures += part.failures;
            whole.failure = whole.failure.or(part.failure);
        }
        whole.times.sort_unstable();
        whole
    }

    fn note(&mut self, done: Result<Option<Item>, String>, took: Duration, stock: &Stock) {
        match done {
            Ok(left) => {
                self.times.push(took);
                stock.0.lock().unwrap().extend(left);
            }
            Err(why) => {
                self.failures += 1;
                self.failure.get_or_insert(why);
            }
        }
    }
}

/// What a load takes from: the longest unused first.
pub struct Stock(Mutex<VecDeque<Item>>);

impl Stock {
    pub fn new(items: Vec<Item>) -> Self {
        Self(Mutex::new(items.into()))
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn take(&self) -> Option<Item> {
        self.0.lock().unwrap().pop_front()
    }
}

/// As fast as it goes, for so long or until nothing is left.
pub fn closed(site: &Site, journey: &Journey, stock: &Stock, span: Duration) -> Outcome {
    let connections: Vec<Http> = (0..CLIENTS).map(|_| Http::open(site.port)).collect();
    let started = Instant::now();
    let client = |mut http: Http| {
        let mut part = Outcome::default();
        while started.elapsed() < span
            && let Some(item) = stock.take()
        {
            let sent = Instant::now();
            let done = journey.step(site, &mut http, item);
            part.note(done, sent.elapsed(), stock);
        }
        part
    };
    thread::scope(|scope| {
        let clients: Vec<_> = connections.into_iter().map(|http| scope.spawn(|| client(http))).collect();
        let parts: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        Outcome::of(parts.into_iter(), started.elapsed())
    })
}

/// A number a second, evenly, for a time. A time counts from when its request should have left: whoever is kept waiting
/// by a slow answer to somebody else counts as well (no coordinated omission).
pub fn open(site: &Site, journey: &Journey, stock: &Stock, rate: f64, span: Duration) -> Outcome {
    let count = (rate * span.as_secs_f64()).floor();
    let connections: Vec<Http> = (0..WAITING).map(|_| Http::open(site.port)).collect();
    let (next, started) = (AtomicUsize::new(0), Instant::now() + Duration::from_millis(5));
    let client = |mut http: Http| {
        // Wakes in time, as far as the kernel can.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let mut part = Outcome::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed) as f64;
            if number >= count {
                return part;
            }
            let due = started + Duration::from_secs_f64(number / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Some(item) = stock.take() else { return part };
            part.late += usize::from(due.elapsed() > LATE);
            let done = journey.step(site, &mut http, item);
            part.note(done, due.elapsed(), stock);
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = connections.into_iter().map(|http| scope.spawn(|| client(http))).collect();
        let parts: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        Outcome::of(parts.into_iter(), started.elapsed())
    })
}

/// A number, one after the other: what each needs of the database.
pub fn alone(site: &Site, journey: &Journey, items: Vec<Item>) -> Result<(), String> {
    let mut http = Http::open(site.port);
    items.into_iter().try_for_each(|item| journey.step(site, &mut http, item).map(drop))
}
