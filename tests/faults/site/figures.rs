//! What was counted while a fault was there, and the table of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What was counted from one check to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub injections: usize,
    pub requests: usize,
    /// Answered as was asked.
    pub acknowledged: usize,
    /// Answered 503 or as a time-out.
    pub refused: usize,
    /// Not answered: the connection broke.
    pub broken: usize,
    /// Asked again after one of these two.
    pub retried: usize,
    /// From the fault to the first sign-in after it was over.
    pub longest: Duration,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.injections += other.injections;
        self.requests += other.requests;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.broken += other.broken;
        self.retried += other.retried;
        self.longest = self.longest.max(other.longest);
    }
}

#[derive(Debug, Default)]
pub struct Figures(BTreeMap<&'static str, Count>);

impl Figures {
    pub fn add(&mut self, fault: &'static str, count: Count) {
        self.0.entry(fault).or_default().add(count);
    }

    pub fn injections(&self) -> usize {
        self.0.values().map(|count| count.injections).sum()
    }

    pub fn table(&self) -> String {
        let mut all = Count::default();
        self.0.values().for_each(|count| all.add(*count));
        let mut text = format!(
            "{:22} {:>10} {:>9} {:>12} {:>8} {:>7} {:>8} {:>9}\n",
            "fault", "injections", "requests", "acknowledged", "refused", "broken", "retried", "longest"
        );
        for (fault, count) in self.0.iter().map(|(fault, count)| (*fault, count)).chain([("all", &all)]) {
            writeln!(
                text,
                "{fault:22} {:>10} {:>9} {:>12} {:>8} {:>7} {:>8} {:>7.1} s",
                count.injections,
                count.requests,
                count.acknowledged,
                count.refused,
                count.broken,
                count.retried,
                count.longest.as_secs_f64()
            )
            .unwrap();
        }
        text
    }
}
