//! A report for people.

use std::fmt::Write as _;

use crate::journeys::JOURNEYS;
use crate::peer;
use crate::report::{JourneyReport, NAMED_SHARE, Report, SiteReport};

pub fn of(report: &Report) -> String {
    let mut text = head(report);
    for site in &report.sites {
        let _ = write!(text, "\n## {}\n\n{}\n\n", site.name, site.facts);
        text += &costs(site, report.site(peer::NAME));
        text += &latencies(site);
        text += &database(site);
        text += &refusals(site);
        let _ = writeln!(
            text,
            "\nMemory: {:.1} MiB after the start, {:.1} MiB after all of it.",
            site.idle_mib, site.loaded_mib
        );
    }
    text
}

fn head(report: &Report) -> String {
    let (machine, settings) = (&report.machine, &report.settings);
    let mut text = format!(
        "# Journeys of connect-idp {}\n\n{}; {} cores, {:.1} GiB; Linux {}; {}. Load averages {} before, {} after. {}\n\n\
         Each load {} s, {} times; {} clients in the closed loop.{}\n\n",
        report.version,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.at,
        machine.load_before,
        machine.load_after,
        if machine.pinned {
            "The server had a core to itself; load and database had the others."
        } else {
            "**There is one core: server, load and database shared it, so rates and latencies are of all three together.**"
        },
        settings.seconds,
        settings.runs,
        settings.clients,
        settings.filled.map_or_else(String::new, |[providers, users, records, sessions]| format!(
            " The database held {providers} providers, {users} users, {records} records, {sessions} sessions with an app each."
        )),
    );
    text += "| raw cryptography | µs |\n|---|--:|\n";
    for (name, cost) in &report.raw_us {
        let _ = writeln!(text, "| {name} | {cost:.1} |");
    }
    text
}

fn costs(site: &SiteReport, peer: Option<&SiteReport>) -> String {
    let beside = peer.filter(|_| site.name != peer::NAME);
    let mut text = "| journey | /s a core | CPU µs (least … most) | raw µs | beyond | ÷ raw | best /s | server, load busy | used again |".to_owned();
    text += if beside.is_some() { " peer µs | ÷ ours |\n" } else { "\n" };
    text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|";
    text += if beside.is_some() { "--:|--:|\n" } else { "\n" };
    for journey in &site.journeys {
        let Some(cpu) = journey.of_runs(|run| run.cpu_us) else {
            let _ = writeln!(
                text,
                "| {} | failed: {} |",
                journey.name,
                journey.failure.as_deref().unwrap_or("not measured")
            );
            continue;
        };
        let raw = journey.raw_us;
        let _ = write!(
            text,
            "| {} | {:.0} | {:.0} ({:.0} … {:.0}) | {} | {} | {} | {} | {}, {} | {} |",
            journey.name,
            1e6 / cpu.median,
            cpu.median,
            cpu.least,
            cpu.most,
            number(raw, 0),
            number(raw.map(|raw| cpu.median - raw), 0),
            number(raw.map(|raw| cpu.median / raw), 2),
            number(journey.median(|run| Some(run.per_second)), 0),
            percent(journey.median(|run| Some(run.server_busy))),
            percent(journey.median(|run| Some(run.load_busy))),
            journey.reuse.map_or_else(|| "never".to_owned(), |times| format!("{times:.0}×")),
        );
        if let Some(peer) = beside {
            let its = peer.journey(&journey.name).and_then(JourneyReport::cpu_us);
            let _ = write!(text, " {} | {} |", number(its, 0), number(its.map(|its| its / cpu.median), 1));
        }
        text.push('\n');
    }
    for journey in &site.journeys {
        if let (Some(bare), Some(cpu)) = (journey.bare_us, journey.cpu_us()) {
            let _ = writeln!(
                text,
                "\n{}: a bare axum route answers the same text for {bare:.1} µs, {:.2} of ours.",
                journey.name,
                bare / cpu
            );
        }
    }
    text
}

fn latencies(site: &SiteReport) -> String {
    let mut text = format!(
        "\nMilliseconds at a fixed rate, from when each request should have left ({NAMED_SHARE} %: median of the runs):\n\n\
         | journey | of the best rate | /s | p50 | p99 | p99.9 | left late |\n|---|--:|--:|--:|--:|--:|--:|\n"
    );
    for journey in &site.journeys {
        let mut shares: Vec<u32> = journey.open.iter().map(|open| open.share).collect();
        shares.dedup();
        for share in shares {
            let median =
                |figure: fn(&crate::report::Open) -> f64| journey.of_open(share, figure).map(|spread| spread.median);
            let ms = |figure| number(median(figure).map(|us| us / 1e3), 2);
            let _ = writeln!(
                text,
                "| {} | {share} % | {} | {} | {} | {} | {} |",
                journey.name,
                number(median(|open| open.per_second), 0),
                ms(|open| open.p50_us),
                ms(|open| open.p99_us),
                ms(|open| open.p999_us),
                percent(median(|open| open.late)),
            );
        }
    }
    text
}

fn database(site: &SiteReport) -> String {
    if site.name == peer::NAME {
        return String::new();
    }
    let mut text = "\nOf the database, for each journey (alone; under load where it says so):\n\n\
                    | journey | round trips | statements | commits | rows written | WAL bytes | its CPU µs, load | commits, load | bytes written, load |\n\
                    |---|--:|--:|--:|--:|--:|--:|--:|--:|\n".to_owned();
    for journey in &site.journeys {
        let counts = &journey.database;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            journey.name,
            number(counts.round_trips, 1),
            number(counts.statements, 1),
            number(counts.commits, 1),
            number(counts.rows, 1),
            number(counts.wal_bytes, 0),
            number(journey.median(|run| run.database_cpu_us), 0),
            number(journey.median(|run| run.commits), 2),
            number(journey.median(|run| run.written_bytes), 0),
        );
    }
    text
}

fn refusals(site: &SiteReport) -> String {
    if site.refusals.is_empty() {
        return String::new();
    }
    let mut text = "\n| refused login | median µs | hashes from a wrong password |\n|---|--:|--:|\n".to_owned();
    for refused in &site.refusals {
        let _ = writeln!(text, "| {} | {:.0} | {:+.4} |", refused.kind, refused.median_us, refused.hashes_apart);
    }
    text
}

/// What was not measured is not a zero.
fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.0} %", value * 100.0))
}

/// Names of the journeys, a line each.
pub fn list() -> String {
    JOURNEYS.map(|journey| journey.name).join("\n") + "\n"
}
