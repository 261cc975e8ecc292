//! Time and chance: instants as Unix milliseconds, the clock and the randomness that an [`App`](crate::app::App) holds.
//!
//! A request reads the clock once; everything below takes `now` (style, example 7). Ambient clocks and
//! randomness are forbidden everywhere else by `clippy.toml`.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};

/// An instant: whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant at a number of whole seconds since the epoch (a JWT `NumericDate`).
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant and `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This instant and `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The least of all ids of things born at this instant or later ([`Random::id`]).
    #[must_use]
    pub fn first_id(self) -> String {
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(self.0).unwrap_or(0), &[0; 10]).into_uuid().to_string()
    }

    /// How long from this instant until `later`; zero when that is past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-01-31T08:15:00.250Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| String::from("out of range"), |t| format!("{t:.3}"))
    }

    /// Reads RFC 3339, in any offset.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }

    /// For people: date, time and the zone's abbreviation in a named IANA zone; an unknown zone reads as UTC.
    #[must_use]
    pub fn in_zone(self, zone: &str) -> String {
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        jiff::Timestamp::from_millisecond(self.0).map_or_else(
            |_| String::from("out of range"),
            |t| t.to_zoned_datetime(zone).strftime("%b %-d, %Y, %-I:%M:%S %p %Z").to_string(),
        )
    }
}

/// Whether a name is one of the IANA time zones.
#[must_use]
pub fn zone_exists(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// When a day such as `2026-01-31`, or one a number of days later, begins in a named IANA zone.
#[must_use]
pub fn day_begins(day: &str, days_later: i64, zone: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = if day.len() == 10 { day.parse().ok()? } else { return None };
    let day = day.checked_add(jiff::Span::new().try_days(days_later).ok()?).ok()?;
    Some(Timestamp(day.in_tz(zone).ok()?.timestamp().as_millisecond()))
}

/// A day of a time zone: 24 hours, or one more or less where the clocks change. Or an hour of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Such as `2026-01-31`.
    pub date: String,
    /// Such as `Jan 31`.
    pub label: String,
    /// Its first instant.
    pub begins: Timestamp,
    /// The first instant after it.
    pub ends: Timestamp,
}

/// The days of a named IANA zone up to the one that holds `last`, oldest first: those that end after `since`, and the
/// newest `most` of them at most.
#[must_use]
pub fn days(since: Option<Timestamp>, last: Timestamp, zone: &str, most: usize) -> Vec<Day> {
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let begins = |day: jiff::civil::Date| {
        day.to_zoned_datetime(zone.clone()).ok().map(|instant| Timestamp(instant.timestamp().as_millisecond()))
    };
    let mut days = Vec::new();
    let last = jiff::Timestamp::from_millisecond(last.0).ok().map(|last| last.to_zoned_datetime(zone.clone()).date());
    let mut next = last;
    while let Some(day) = next.filter(|_| days.len() < most)
        && let (Some(begins), Some(ends)) = (begins(day), day.tomorrow().ok().and_then(begins))
        && since.is_none_or(|since| since < ends)
    {
        days.push(Day { date: day.to_string(), label: day.strftime("%b %-d").to_string(), begins, ends });
        next = day.yesterday().ok();
    }
    days.reverse();
    days
}

/// The last hours up to the one that holds `last`, oldest first, named as in an IANA zone.
#[must_use]
pub fn hours(last: Timestamp, zone: &str, count: i64) -> Vec<Day> {
    const HOUR_MS: i64 = 3_600_000;
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let newest = last.0.div_euclid(HOUR_MS);
    let named = |hour: i64| {
        let begins = jiff::Timestamp::from_millisecond(hour * HOUR_MS).ok()?.to_zoned_datetime(zone.clone());
        Some(Day {
            date: begins.strftime("%Y-%m-%d %-I:%M %p").to_string(),
            label: begins.strftime("%-I %p").to_string(),
            begins: Timestamp(hour * HOUR_MS),
            ends: Timestamp((hour + 1) * HOUR_MS),
        })
    };
    (newest + 1 - count..=newest).filter_map(named).collect()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that tests set by hand (Unix milliseconds).
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `at` until it is moved.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at.0)))
    }

    /// The present.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Timestamp(since.map_or(0, millis))
            }
            Self::Fixed(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a fixed clock forward; the machine's clock is left alone.
    pub fn advance(&self, span: Duration) {
        if let Self::Fixed(at) = self {
            at.fetch_add(millis(span), Ordering::SeqCst);
        }
    }
}

/// Until when an answer is owed. Waiting stops there; work that must be whole continues on its own (G7).
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Timestamp,
    wake: tokio::time::Instant,
}

impl Deadline {
    /// The deadline `at`, seen from `now`.
    #[must_use]
    pub fn at(at: Timestamp, now: Timestamp) -> Self {
        Self { at, wake: tokio::time::Instant::now() + now.until(at) }
    }

    /// The deadline `span` after `now`.
    #[must_use]
    pub fn after(span: Duration, now: Timestamp) -> Self {
        Self::at(now.after(span), now)
    }

    /// The instant itself.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.at
    }

    /// Whether it is late: exactly at the deadline is late already (U7).
    #[must_use]
    pub fn is_past(&self, now: Timestamp) -> bool {
        self.at <= now
    }

    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.wake.saturating_duration_since(tokio::time::Instant::now())
    }

    /// The same, and no more than a clock leaves of it that says `now`: some of the time may have passed before somebody
    /// began to wait.
    #[must_use]
    pub fn left_at(&self, now: Timestamp) -> Duration {
        self.left().min(now.until(self.at))
    }

    /// The future's value, or `None` when the deadline came first. The future is dropped then: hand it only what may
    /// be.
    pub async fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.wake, future).await.ok()
    }

    /// Waits for the deadline itself.
    pub async fn reached(&self) {
        tokio::time::sleep_until(self.wake).await;
    }
}

/// Where secrets, ids and reference numbers come from.
#[derive(Clone)]
pub enum Random {
    /// The operating system.
    System,
    /// A seeded generator, for tests that repeat.
    Seeded(Arc<Mutex<StdRng>>),
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "Random::System",
            Self::Seeded(_) => "Random::Seeded",
        })
    }
}

impl Random {
    /// A generator that gives the same bytes for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` unpredictable bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing can be done safely then.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "without randomness every secret would be guessable: no answer is the safe one"
    )]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            Self::System => SysRng.try_fill_bytes(&mut bytes).expect("the operating system's randomness"),
            Self::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes),
        }
        bytes
    }

    /// `N` bytes for ids, which say which and open nothing. As unpredictable, from a generator that each thread has and the
    /// operating system seeds: a call of the system for each id would cost more than the id. Never for a secret.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the threads' own generators")]
    fn id_bytes<const N: usize>(&self) -> [u8; N] {
        match self {
            Self::System => {
                let mut bytes = [0; N];
                rand::rng().fill_bytes(&mut bytes);
                bytes
            }
            Self::Seeded(_) => self.bytes(),
        }
    }

    /// Ids of a trace and of a span in it (W3C Trace Context §3.2.2).
    #[must_use]
    pub fn trace_ids(&self) -> ([u8; 16], [u8; 8]) {
        (self.id_bytes(), self.id_bytes())
    }

    /// A UUIDv7 for a thing born `now`. Ids sort by birth, and those of one process in the order they were made, also
    /// within a millisecond (RFC 9562 §5.7 and §6.2, method 3: the 12 bits after the time count up).
    #[must_use]
    pub fn id(&self, now: Timestamp) -> String {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let tick = u64::try_from(now.0).unwrap_or(0) << 12;
        let next = |last: u64| tick.max(last + 1);
        let last = LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        let tick = next(last.unwrap_or_else(|last| last));
        let mut bytes = self.id_bytes::<10>();
        bytes[0] = u8::try_from(tick >> 8 & 0xf).unwrap_or(0);
        bytes[1] = u8::try_from(tick & 0xff).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(tick >> 12, &bytes).into_uuid().to_string()
    }

    /// A UUIDv7 whose time is exactly `birth`, for ids from which the time is read again.
    #[must_use]
    pub fn id_born(&self, birth: Timestamp) -> String {
        let millis = u64::try_from(birth.0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.id_bytes()).into_uuid().to_string()
    }

    /// A reference number that a person can read out: two groups of four, without letters that look alike.
    #[must_use]
    pub fn reference(&self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut text = String::with_capacity(9);
        for (place, byte) in self.id_bytes::<8>().into_iter().enumerate() {
            if place == 4 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_late_at_the_very_instant() {
        let now = Timestamp::from_seconds(1_000);
        let deadline = now.after(Duration::from_secs(30));
        assert!(Timestamp(deadline.0 - 1) < deadline);
        assert_eq!(now.until(deadline), Duration::from_secs(30));
        assert_eq!(deadline.until(now), Duration::ZERO);
    }

    #[test]
    fn an_instant_reads_in_its_zone() {
        let t = Timestamp(1_769_847_300_250);
        assert_eq!(t.rfc3339(), "2026-01-31T08:15:00.250Z");
        assert_eq!(t.in_zone("America/Chicago"), "Jan 31, 2026, 2:15:00 AM CST");
    }

    #[test]
    fn a_day_begins_in_its_zone() {
        let begins = |day, later| day_begins(day, later, "America/Chicago").map(Timestamp::rfc3339);
        assert_eq!(begins("2026-01-31", 0).as_deref(), Some("2026-01-31T06:00:00.000Z"));
        assert_eq!(begins("2026-01-31", 1).as_deref(), Some("2026-02-01T06:00:00.000Z"));
        assert_eq!(begins("2026-03-08", 1).as_deref(), Some("2026-03-09T05:00:00.000Z"), "clocks go forward");
        for text in ["2026-02-30", "2026-1-1", "yesterday", ""] {
            assert_eq!(begins(text, 0), None, "{text}");
        }
    }

    #[test]
    fn days_follow_each_other_where_the_clocks_change() {
        let last = Timestamp(1_773_028_800_000); // 2026-03-09T04:00Z: still the 8th in Chicago, where the clocks went forward
        let three = days(None, last, "America/Chicago", 3);
        assert_eq!(
            three.iter().map(|day| day.date.as_str()).collect::<Vec<_>>(),
            ["2026-03-06", "2026-03-07", "2026-03-08"]
        );
        assert_eq!(three.iter().map(|day| (day.ends.0 - day.begins.0) / 3_600_000).collect::<Vec<_>>(), [24, 24, 23]);
        assert!(three.windows(2).all(|pair| pair[0].ends == pair[1].begins));
        assert_eq!(days(Some(three[1].begins), last, "America/Chicago", 90), three[1..]);
        assert_eq!(days(Some(last.after(Duration::from_hours(24))), last, "America/Chicago", 90), []);
        assert_eq!(days(None, Timestamp(i64::MAX), "America/Chicago", 3), []);
    }

    #[test]
    fn ids_sort_by_birth_and_seeds_repeat() {
        let (a, b) = (Random::seeded(7), Random::seeded(7));
        assert_eq!(a.bytes::<32>(), b.bytes::<32>());
        let ids: Vec<String> = (0..5000).map(|n| a.id(Timestamp(1_000 + n / 4500))).collect();
        assert!(ids.is_sorted() && ids.iter().collect::<std::collections::HashSet<_>>().len() == ids.len());
        let born = uuid::Uuid::parse_str(&a.id_born(Timestamp(1_234))).unwrap();
        assert_eq!(born.get_timestamp().unwrap().to_unix(), (1, 234_000_000));
        assert_eq!(a.reference().len(), 9);
    }
}
