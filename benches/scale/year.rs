//! The CSV file of one provider's year, and the memory that it takes to write it.

use std::fs;
use std::time::{Duration, Instant};

use axum::body::BodyDataStream;
use connect_idp::time::Timestamp;
use futures_util::StreamExt as _;

use crate::database::Base;
use crate::visitor::Visitor;

pub async fn measure(base: &Base, admin: &Visitor) {
    println!(
        "\n{:<56} {:>10} {:>8} {:>8}   resident memory, MiB: before, at most, after",
        "the file of a provider's year", "rows", "s", "MB"
    );
    let ends_at = base.number("SELECT ends_at FROM bench.size").await;
    for (what, days) in [("a day", 1), ("a month", 30), ("the year", 366)] {
        let from = &Timestamp(ends_at).before(Duration::from_hours(24 * days)).rfc3339()[..10];
        file(&format!("{what} of the largest provider"), admin, &format!("/admin/activity/export?from={from}")).await;
    }
}

async fn file(what: &str, admin: &Visitor, path: &str) {
    let before = resident_mib();
    let started = Instant::now();
    let mut stream: BodyDataStream = admin.get(path).await.into_body().into_data_stream();
    let (mut rows, mut bytes, mut most) = (0_usize, 0_usize, before);
    while let Some(part) = stream.next().await {
        let part = part.unwrap();
        rows += part.split(|byte| *byte == b'\n').count() - 1;
        bytes += part.len();
        most = resident_mib().max(most);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{what:<56} {:>10} {seconds:>8.1} {:>8.1}   {before:>8.1} {most:>8.1} {:>8.1}",
        rows - 1,
        bytes as f64 / 1e6,
        resident_mib()
    );
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
