//! Keys: ours, and those of trusted issuers, with their clocks.

use std::time::Duration;

use super::finding::Finding;
use crate::app::App;
use crate::crypto::jws::Algorithm;
use crate::model::issuer::TrustedIssuer;
use crate::model::signing_key::{State, successor_due};
use crate::operations::issuers::read_keys;
use crate::operations::keys::in_use::{self, Listed};
use crate::operations::keys::known;
use crate::store;
use crate::time::Timestamp;

/// `serve` announces a successor within a minute of its date; after an hour something is wrong.
const OVERDUE: Duration = Duration::from_hours(1);

/// A server's clock may be off by so much without a word.
const TOLERATED_MS: u64 = 5000;

pub(super) async fn examine(app: &App, findings: &mut Vec<Finding>) {
    match our_keys(app).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::of("signing keys", Err(error.to_string()))),
    }
    match trusted_issuers(app).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::of("trusted issuers", Err(error.to_string()))),
    }
}

async fn our_keys(app: &App) -> Result<Vec<Finding>, store::Error> {
    let now = app.clock.now();
    let keys = in_use::list(app, now).await?;
    if keys.is_empty() {
        return Ok(vec![Finding::of("signing keys", Ok("none yet: `serve` makes the first".into()))]);
    }
    let one = |keys: &[Listed]| Finding::of(format!("{} signing key", keys[0].key.alg), our_key(app, keys, now));
    Ok(keys.chunk_by(|a, b| a.key.alg == b.key.alg).map(one).collect())
}

/// What is to be said of one algorithm's keys, oldest first.
fn our_key(app: &App, keys: &[Listed], now: Timestamp) -> Result<String, String> {
    let name = &keys[0].key.alg;
    let alg: Algorithm = name.parse().map_err(|()| format!("{name} is no algorithm of ours"))?;
    let in_state = |state| keys.iter().find(|listed| listed.state == state);
    let Some(signing) = in_state(State::Signing) else {
        return Err(format!("none may sign: run `connect-idp key rotate --alg {name} --at-once`"));
    };
    for listed in keys.iter().filter(|listed| listed.state.may_sign()) {
        known::prove_key(app, alg, &listed.key)?;
    }
    let kid = &signing.key.kid;
    if let Some(next) = in_state(State::Announced) {
        return Ok(format!("{kid} signs until {}, then {}", Timestamp(next.key.signs_from).rfc3339(), next.key.kid));
    }
    let settings = &app.config.keys;
    let due = successor_due(&signing.key.dates(), settings.lasts(), settings.announce());
    if due.after(OVERDUE) <= now {
        return Err(format!(
            "the successor of {kid} was due on {}: see that `serve` runs, or run `connect-idp key rotate --alg {name}`",
            due.rfc3339()
        ));
    }
    Ok(format!("{kid} signs, its successor is announced on {}", due.rfc3339()))
}

async fn trusted_issuers(app: &App) -> Result<Vec<Finding>, store::Error> {
    let issuers = store::issuers::list(&mut app.db.read_much().await?).await?;
    let mut findings = Vec::with_capacity(issuers.len());
    for issuer in issuers {
        let check = format!("keys of {}", issuer.issuer);
        if !issuer.enabled {
            findings.push(Finding::of(check, Ok("switched off".into())));
            continue;
        }
        let asked_at = app.clock.now();
        match issuer_keys(app, &issuer).await {
            Ok((detail, theirs)) => {
                findings.push(Finding::of(check, Ok(detail)));
                let off = theirs.and_then(|theirs| off(asked_at, theirs, app.clock.now()));
                findings.extend(off.filter(|off| off.unsigned_abs() > TOLERATED_MS).map(|off| of_clock(&issuer, off)));
            }
            Err(cure) => findings.push(Finding::of(check, Err(cure))),
        }
    }
    Ok(findings)
}

/// By how many milliseconds a server's clock is ahead of ours (or behind, below zero), at the least: its time has whole
/// seconds, and was written at some moment between question and answer. `None` where the two may be the same.
fn off(asked_at: Timestamp, theirs: Timestamp, answered_at: Timestamp) -> Option<i64> {
    let (ahead, behind) = (theirs.0 - answered_at.0, asked_at.0 - (theirs.0 + 1000));
    if ahead > 0 {
        Some(ahead)
    } else if behind > 0 {
        Some(-behind)
    } else {
        None
    }
}

fn of_clock(issuer: &TrustedIssuer, off: i64) -> Finding {
    let way = if off > 0 { "ahead of" } else { "behind" };
    Finding::note(
        format!("clock of {}", issuer.issuer),
        format!(
            "where its keys are, it is {} s {way} ours: if who signs its handoffs has the same, they are refused; set both by \
             NTP",
            off.unsigned_abs() / 1000
        ),
    )
}

/// What keys there are, and what time it was where they are.
async fn issuer_keys(app: &App, issuer: &TrustedIssuer) -> Result<(String, Option<Timestamp>), String> {
    let (jwks, date) = match (&issuer.jwks, &issuer.jwks_uri) {
        (Some(jwks), _) => (jwks.clone(), None),
        (None, Some(address)) => {
            let fetched = app.outbound.get_dated(address).await;
            fetched.map_err(|error| format!("{address} does not give them, ask the issuer to fix it: {error:#}"))?
        }
        (None, None) => return Err("there are none: give it keys with `connect-idp issuer set`".into()),
    };
    let keys = read_keys(&jwks, &app.config)?;
    let mut said: Vec<String> = keys.names().into_iter().map(|(kid, alg)| format!("{kid} ({alg})")).collect();
    said.extend(keys.skipped().iter().map(|why| format!("not used: {why}")));
    Ok((said.join(", "), date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_when_no_moment_between_fits() {
        let off = |asked, theirs, answered| off(Timestamp(asked), Timestamp(theirs), Timestamp(answered));
        assert_eq!(off(10_900, 10_000, 11_100), None, "whole seconds");
        assert_eq!(off(10_000, 16_000, 11_000), Some(5000));
        assert_eq!(off(10_000, 3_000, 11_000), Some(-6000));
    }
}
