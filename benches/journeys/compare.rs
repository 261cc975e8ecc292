//! Two reports beside each other. A figure is better or worse when its runs and the earlier ones do not overlap and
//! their medians are more than 3 % apart; everything else is noise. A count is when it moved by half of one.

use std::fmt::Write as _;

use crate::report::{JourneyReport, NAMED_SHARE, Report, Spread};

/// Medians that are closer than this are noise, however close the runs are to each other.
const NOISE: f64 = 0.03;
const COUNTS_APART: f64 = 0.5;
/// Where the cryptography itself differs so much, the machines do.
const MACHINES_APART: f64 = 0.10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Better,
    Worse,
    Noise,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Noise => "noise",
        }
    }

    /// Of repeated runs.
    fn of_runs(before: Spread, after: Spread, less_is_better: bool) -> Self {
        let overlap = before.least <= after.most && after.least <= before.most;
        if overlap || (after.median - before.median).abs() <= NOISE * before.median.abs() {
            return Self::Noise;
        }
        if (after.median < before.median) == less_is_better { Self::Better } else { Self::Worse }
    }

    /// Less is better.
    fn of_counts(before: f64, after: f64) -> Self {
        if (after - before).abs() < COUNTS_APART {
            Self::Noise
        } else if after < before {
            Self::Better
        } else {
            Self::Worse
        }
    }
}

/// What repeated runs gave: its name, how to read it, whether less is better.
type Figure = (&'static str, fn(&JourneyReport) -> Option<Spread>, bool);

const FIGURES: [Figure; 4] = [
    ("server CPU, µs", |journey| journey.of_runs(|run| run.cpu_us), true),
    ("best rate, /s", |journey| journey.of_runs(|run| run.per_second), false),
    ("p50 at 70 %, µs", |journey| journey.of_open(NAMED_SHARE, |open| open.p50_us), true),
    ("p99 at 70 %, µs", |journey| journey.of_open(NAMED_SHARE, |open| open.p99_us), true),
];

type Count = (&'static str, fn(&JourneyReport) -> Option<f64>);

const COUNTS: [Count; 4] = [
    ("round trips", |journey| journey.database.round_trips),
    ("statements", |journey| journey.database.statements),
    ("commits", |journey| journey.database.commits),
    ("rows written", |journey| journey.database.rows),
];

/// A table of what is not noise, and how much is.
pub fn markdown(before: &Report, after: &Report) -> String {
    let mut text = format!("\n## Beside the run of {}\n\n", before.machine.at);
    text += &warnings(before, after);
    let (mut rows, mut noise) = (String::new(), 0);
    for (site, journey, earlier) in pairs(before, after) {
        for (figure, words, verdict) in verdicts(earlier, journey) {
            if verdict == Verdict::Noise {
                noise += 1;
            } else {
                let _ = writeln!(rows, "| {site} | {} | {figure} | {words} | {} |", journey.name, verdict.word());
            }
        }
    }
    if !rows.is_empty() {
        text += "| on | journey | figure | before → after (least … most) | verdict |\n|---|---|---|---|---|\n";
        text += &rows;
    }
    let _ = write!(text, "\n{noise} further figures differ by noise or not at all.\n");
    text
}

fn warnings(before: &Report, after: &Report) -> String {
    let mut text = String::new();
    let apart = before.raw_us.iter().filter_map(|(name, cost)| Some((name, after.raw_us.get(name)? / cost)));
    for (name, ratio) in apart.filter(|(_, ratio)| (ratio - 1.0).abs() > MACHINES_APART) {
        let _ = writeln!(text, "- {name} takes {ratio:.2} of what it took then: not the same machine, or not as idle.");
    }
    if before.settings.seconds.total_cmp(&after.settings.seconds).is_ne()
        || before.settings.filled != after.settings.filled
    {
        text += "- The runs are of other lengths, or on databases of other sizes.\n";
    }
    if before.settings.runs.min(after.settings.runs) < 3 {
        text += "- One of them repeated its loads fewer than three times: no verdict means much.\n";
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// What both measured.
fn pairs<'a>(
    before: &'a Report,
    after: &'a Report,
) -> impl Iterator<Item = (&'a str, &'a JourneyReport, &'a JourneyReport)> {
    after.sites.iter().flat_map(move |site| {
        let earlier = before.site(&site.name);
        site.journeys.iter().filter_map(move |now| Some((site.name.as_str(), now, earlier?.journey(&now.name)?)))
    })
}

fn verdicts(before: &JourneyReport, after: &JourneyReport) -> Vec<(&'static str, String, Verdict)> {
    let mut all = Vec::new();
    for (name, figure, less_is_better) in FIGURES {
        if let (Some(then), Some(now)) = (figure(before), figure(after)) {
            let words = format!(
                "{:.0} ({:.0} … {:.0}) → {:.0} ({:.0} … {:.0})",
                then.median, then.least, then.most, now.median, now.least, now.most
            );
            all.push((name, words, Verdict::of_runs(then, now, less_is_better)));
        }
    }
    for (name, count) in COUNTS {
        if let (Some(then), Some(now)) = (count(before), count(after)) {
            all.push((name, format!("{then:.1} → {now:.1}"), Verdict::of_counts(then, now)));
        }
    }
    all
}
