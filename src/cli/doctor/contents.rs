//! What is in the database: clocks, replicas, the record, and what must hold of the rows.

use std::time::Duration;

use super::finding::Finding;
use crate::app::App;
use crate::cache::proxies::{NOTE_COUNTS, UnreadableHop};
use crate::operations::activity::verify::{Terms, verify_end};
use crate::operations::replicas::{self, Running};
use crate::store;
use crate::store::invariants::{self, Invariant};
use crate::time::Timestamp;

/// A replica whose clock is further off than this is wrong about deadlines (G33).
const CLOCK_TOLERANCE_MS: u64 = 2000;
/// As many of the newest records are proven; `activity verify` proves all.
const PROVEN: i64 = 10_000;
/// So long one claim about the rows is looked into. PostgreSQL ends a statement a little sooner.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn examine(app: &App, terms: &Terms, quick: bool, findings: &mut Vec<Finding>) {
    findings.push(Finding::of("clock", clock(app).await));
    findings.push(Finding::of("trusted proxies", proxies(app).await));
    findings.push(side_by_side(app).await);
    let record = record(app, terms).await.unwrap_or_else(|error| Err(error.to_string()));
    findings.push(Finding::of("the end of the record", record));
    for invariant in invariants::ALL {
        findings.push(claim(app, invariant, quick).await);
    }
}

/// Whether those that run are told the same.
async fn side_by_side(app: &App) -> Finding {
    const CHECK: &str = "replicas";
    let found = match replicas::compare(app).await {
        Ok(found) => found,
        Err(error) => return Finding::of(CHECK, Err(error.to_string())),
    };
    let seen = |one: &Running| format!("{} (seen {} s ago)", one.name, one.seen_ago);
    let names = found.replicas.iter().map(seen).take(10).collect::<Vec<_>>().join(", ");
    if !found.differing.is_empty() {
        let group = |names: &Vec<String>| names.join(", ");
        let differing = found.differing.iter();
        let said: Vec<String> = differing
            .map(|(key, groups)| format!("{key} ({})", groups.iter().map(group).collect::<Vec<_>>().join(" | ")))
            .collect();
        return Finding::of(
            CHECK,
            Err(format!(
                "they have not the same value of {}: give them the same configuration, and start them again: {names}",
                said.join("; ")
            )),
        );
    }
    let versions = found.versions().join(" and ");
    match found.replicas.len() {
        0 => Finding::of(CHECK, Ok("none runs".into())),
        count if found.versions().len() == 1 => {
            Finding::of(CHECK, Ok(format!("{count} of version {versions}, of one mind: {names}")))
        }
        count => Finding::note(
            CHECK,
            format!(
                "{count} run, of the versions {versions} side by side: bring them all to the newer one when all is well: {names}"
            ),
        ),
    }
}

async fn clock(app: &App) -> Result<String, String> {
    let before = app.clock.now().0;
    let Some(theirs) = app.db.clock().await.map_err(|error| error.to_string())? else {
        return Ok("the database has the machine's own".into());
    };
    let ours = i64::midpoint(before, app.clock.now().0);
    let off = theirs.abs_diff(ours);
    if off > CLOCK_TOLERANCE_MS {
        return Err(format!("it is {off} ms off the database's: set both by NTP, 30-second deadlines depend on it"));
    }
    Ok(format!("{off} ms off the database's"))
}

/// What a service noted of its proxies, whichever replica it was.
async fn proxies(app: &App) -> Result<String, String> {
    let noted = async {
        let mut conn = app.db.read_much().await?;
        store::settings::get(&mut conn, store::settings::UNREADABLE_HOP).await
    };
    let noted = noted.await.map_err(|error| error.to_string())?;
    let Some(unreadable) = noted.and_then(|text| serde_json::from_str::<UnreadableHop>(&text).ok()) else {
        return Ok(String::new());
    };
    let at = Timestamp(unreadable.at_ms);
    if at.after(NOTE_COUNTS) <= app.clock.now() {
        return Ok(format!("the last client that could not be read was named on {}", at.rfc3339()));
    }
    Err(format!(
        "the proxy {} named a client on {} that cannot be read as an address ({}): such visitors share the proxy's own \
         address in the record and in the throttle; let it write X-Forwarded-For as nginx or HAProxy do",
        unreadable.proxy,
        at.rfc3339(),
        unreadable.hop
    ))
}

async fn record(app: &App, terms: &Terms) -> Result<Result<String, String>, store::Error> {
    let verified = verify_end(app, PROVEN, terms.clone()).await?;
    Ok(match verified.fault {
        Some(fault) => {
            Err(format!("{}: run `connect-idp activity verify`, and keep a copy of the database", fault.words()))
        }
        None => Ok(format!("{} record(s) as they were written, up to number {}", verified.records, verified.last)),
    })
}

/// One claim about the rows. A long one is left out where it is to go quickly, and given up where it takes too long.
async fn claim(app: &App, invariant: &Invariant, quick: bool) -> Finding {
    if quick && invariant.is_long {
        return Finding::of(
            invariant.claim,
            Ok("not looked into, it reads all of User Activity: run without --quick".into()),
        );
    }
    match tokio::time::timeout(PATIENCE, broken(app, invariant)).await {
        Ok(Ok(None)) => Finding::of(invariant.claim, Ok(String::new())),
        Ok(Ok(Some((count, ids)))) => {
            let more = if count > 3 { ", …" } else { "" };
            let cure = invariant.cure;
            Finding::of(invariant.claim, Err(format!("{count} row(s) break it ({}{more}): {cure}", ids.join(", "))))
        }
        Err(_) | Ok(Err(store::Error::Stalled(_))) => Finding::note(
            invariant.claim,
            format!(
                "not known, it was not counted within {} s: run this when less is going on, or with --quick, which leaves out \
                 what takes long",
                PATIENCE.as_secs()
            ),
        ),
        Ok(Err(error)) => Finding::of(invariant.claim, Err(error.to_string())),
    }
}

async fn broken(app: &App, invariant: &Invariant) -> Result<Option<(i64, Vec<String>)>, store::Error> {
    let now = app.clock.now();
    let mut conn = app.db.read_much().await?;
    let count = invariant.count(&mut conn, now).await?;
    if count == 0 {
        return Ok(None);
    }
    Ok(Some((count, invariant.examples(&mut conn, now).await?)))
}
