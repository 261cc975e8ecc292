//! What runs on a schedule: sweeping what nobody finished, forgetting what is over, looking after issuers' keys.
//!
//! Every step is safe to run on several replicas at once: each row is settled by whoever's statement changes it.

pub mod activity;
pub mod logout;
pub mod mail;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;
use crate::crypto::jws::Algorithm;
use crate::handoff::{settle, trust};
use crate::metrics::labels::Job;
use crate::oidc::token::GRACE;
use crate::operations::activity::{browse, prune};
use crate::operations::keys::{in_use, rotation};
use crate::operations::users::sign_in_times;
use crate::operations::{refused_handoffs, replicas};
use crate::store::{self, in_transaction};
use crate::web::health::clock_is_right;

/// How often what nobody finished is settled.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How often what is over is forgotten, and keys are fetched again, in sweeps.
const PURGE_EVERY: u32 = 30;
const REFETCH_EVERY: u32 = 300;
/// How often it is noted with users that they signed in, in sweeps.
const NOTE_SIGN_INS_EVERY: u32 = 5;
/// Single use is remembered this long, so that a replica with a slow clock never finds it gone (G2).
const REMEMBER: Duration = Duration::from_hours(24);
/// A session is kept this long after its absolute limit, for the record and the invariants.
const KEEP_SESSIONS: Duration = Duration::from_hours(48);
/// Rows one purge takes at a time.
const BATCH: i64 = 500;
/// How many batches of removed records one round works off.
const BATCHES_AT_ONCE: usize = 20;
/// As many assertions of one issuer are remembered; further ones are refused, none is forgotten early.
const SINGLE_USE_CAP: i64 = 2_000_000;
/// A dead access token is kept this long, to say whose it was.
const KEEP_TOKENS: Duration = Duration::from_hours(1);
/// How a client was told of a logout is known this long.
const KEEP_DELIVERIES: Duration = Duration::from_hours(30 * 24);
/// As many apps' requests may wait for a person; beyond that the oldest are forgotten (G22).
const INTERACTION_CAP: i64 = 50_000;
/// What was refused before a trusted signature is known this long, and as many of it (A4, G22).
const KEEP_REFUSED: Duration = Duration::from_hours(30 * 24);
const REFUSED_CAP: i64 = 100_000;
/// Unknown Login Names are remembered up to this many (G5, G22).
const PHANTOM_CAP: i64 = 100_000;

/// Runs until `stop` says so.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut older = Some(String::new());
    for round in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => {
                if let Err(error) = replicas::leave(&app).await {
                    tracing::warn!("the farewell to the other replicas failed; in a few minutes they know: {error}");
                }
                return;
            }
        }
        // By a clock that is wrong, what is in time would look late, and what lives would look over.
        if let Err(why) = clock_is_right(&app).await {
            tracing::warn!("nothing is swept: {why}");
            continue;
        }
        report(&app, Job::Sweep, sweep(&app).await);
        report(&app, Job::RefusedHandoffs, refused_handoffs::write_down(&app).await);
        report(&app, Job::KeptAnswers, forget_answers(&app).await);
        if round % PURGE_EVERY == 0 {
            report(&app, Job::Retention, remove_pruned(&app).await);
            report(&app, Job::SigningKeys, look_after_keys(&app).await);
            report(&app, Job::Purge, purge(&app).await);
            report(&app, Job::SignOfLife, replicas::give_sign(&app).await);
            report(&app, Job::ProxyNotes, note_unread_hop(&app).await);
            report(&app, Job::SingleUse, count_single_use(&app).await);
            report(&app, Job::DayCounts, browse::count_ahead(&app).await);
        }
        if round % NOTE_SIGN_INS_EVERY == 0 {
            report(&app, Job::SignInTimes, note_sign_ins(&app, &mut older).await);
        }
        if round % REFETCH_EVERY == REFETCH_EVERY - 1 {
            report(&app, Job::IssuerKeys, refetch(&app).await);
        }
    }
}

fn report(app: &App, job: Job, done: Result<(), store::Error>) {
    app.metrics.job_ran(job, done.is_ok(), app.clock.now());
    if let Err(error) = done {
        tracing::warn!("the {} could not run and will be tried again: {error}", name(job));
    }
}

/// What the log calls a job.
const fn name(job: Job) -> &'static str {
    match job {
        Job::Sweep => "sweep",
        Job::RefusedHandoffs => "keeping of refused handoffs",
        Job::KeptAnswers => "forgetting of answers",
        Job::Retention => "removal of old records",
        Job::SigningKeys => "care of the signing keys",
        Job::Purge => "purge",
        Job::SignOfLife => "sign of life",
        Job::ProxyNotes => "note of what proxies say",
        Job::SingleUse => "count of single use",
        Job::DayCounts => "count of sign-ins",
        Job::SignInTimes => "note of last sign-ins",
        Job::IssuerKeys => "key refresh",
        Job::Logouts => "telling of logouts",
        Job::Mail => "sending of mails",
        Job::Sealing => "sealing of the record",
    }
}

/// Notes with users when they last signed in: what is new, and after a start what programs of the version before left out,
/// a part each time; `older` is how far that came, until it is done.
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn note_sign_ins(app: &App, older: &mut Option<String>) -> Result<(), store::Error> {
    sign_in_times::note_new(app).await?;
    for _ in 0..BATCHES_AT_ONCE {
        let Some(after) = older.as_deref() else { break };
        *older = sign_in_times::note_old(app, after).await?;
    }
    Ok(())
}

/// Settles handoffs that nobody completed and sessions that nobody was given (U8).
///
/// # Errors
/// When the database fails; the next sweep tries again.
pub async fn sweep(app: &App) -> Result<(), store::Error> {
    let expired = settle::expire_pending(app).await?;
    let ended = settle::end_never_given(app).await?;
    if expired + ended > 0 {
        tracing::info!(
            expired,
            ended,
            "the sweep settled {expired} handoffs and ended {ended} sessions that nobody was given"
        );
    }
    Ok(())
}

/// Forgets the answers to refreshes that are kept for a retry, once nobody can retry any more (G14).
///
/// # Errors
/// When the database fails; the next sweep tries again.
pub async fn forget_answers(app: &App) -> Result<(), store::Error> {
    let (db, before) = (&app.db, app.clock.now().before(GRACE));
    if store::tokens::families::has_old_answers(&mut db.read().await?, before).await? {
        in_transaction!(db, app.patient_deadline(), [], |tx| store::tokens::families::forget_answers(tx, before)
            .await)?;
    }
    Ok(())
}

/// Makes the signing keys that are missing, and announces the successors of those that are old (G20).
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn look_after_keys(app: &App) -> Result<(), store::Error> {
    let now = app.clock.now();
    let mut wanted = in_use::ALWAYS.to_vec();
    if store::clients::wants_signed_with(&mut app.db.read().await?, Algorithm::EdDsa.name()).await? {
        wanted.push(Algorithm::EdDsa);
    }
    rotation::look_after(app, &wanted, now).await
}

/// Removes what an operator removed by retention, where the command was broken off.
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn remove_pruned(app: &App) -> Result<(), store::Error> {
    // The rest in the next rounds: what else runs on a schedule does not wait for it.
    for _ in 0..BATCHES_AT_ONCE {
        if prune::remove_some(app).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Forgets what is over, in small batches.
///
/// # Errors
/// When the database fails; the next purge tries again.
pub async fn purge(app: &App) -> Result<(), store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let theirs = db.now().await?;
    loop {
        let gone = in_transaction!(db, app.patient_deadline(), [], |tx| {
            let single_use = store::single_use::purge(tx, now.before(REMEMBER), BATCH).await?;
            let strikes = store::strikes::purge(tx, now, PHANTOM_CAP, BATCH).await?;
            let pre_auths = store::passwords::pre_auths::purge(tx, now, BATCH).await?;
            let links = store::passwords::links::purge(tx, now, BATCH).await?;
            let email_links = store::users::emails::purge_links(tx, now, BATCH).await?;
            let handoffs = store::handoffs::purge(tx, now.before(REMEMBER), BATCH).await?;
            let sessions = store::sessions::purge(tx, now.before(KEEP_SESSIONS), BATCH).await?;
            let told = store::logouts::purge(tx, now.before(KEEP_DELIVERIES), BATCH).await?;
            let mails = store::mails::purge(tx, now.before(REMEMBER), BATCH).await?;
            let interactions = store::interactions::purge(tx, now, INTERACTION_CAP, BATCH).await?;
            let codes = store::tokens::codes::purge(tx, now.before(REMEMBER), BATCH).await?;
            let tokens = store::tokens::access::purge(tx, now.before(KEEP_TOKENS), BATCH).await?;
            let families = store::tokens::families::purge(tx, now.before(KEEP_SESSIONS), BATCH).await?;
            let imports = store::users::imports::purge(tx, now, BATCH).await?;
            let keyed = store::idempotency::purge(tx, now.before(REMEMBER), BATCH).await?;
            let gone_replicas = store::replicas::purge(tx, theirs, BATCH).await?;
            let refused = store::handoffs::refused::purge(tx, now.before(KEEP_REFUSED), REFUSED_CAP, BATCH).await?;
            let gone = [
                single_use,
                strikes,
                pre_auths,
                links,
                email_links,
                handoffs,
                sessions,
                told,
                mails,
                interactions,
                codes,
                tokens,
                families,
                imports,
                keyed,
                refused,
                gone_replicas,
            ];
            Ok(gone.into_iter().max().unwrap_or(0))
        })?;
        if i64::try_from(gone).unwrap_or(i64::MAX) < BATCH {
            return Ok(());
        }
    }
}

/// Writes down what a proxy said that could not be read, for `doctor`, which is another process.
///
/// # Errors
/// When the database fails; an hour later it is noted again, if it goes on.
pub async fn note_unread_hop(app: &App) -> Result<(), store::Error> {
    let Some(unreadable) = app.proxies.take_unreadable_hop() else { return Ok(()) };
    let Ok(text) = serde_json::to_string(&unreadable) else { return Ok(()) };
    in_transaction!(app.db, app.patient_deadline(), [text], |tx| {
        store::settings::put(tx, store::settings::UNREADABLE_HOP, &text).await
    })
}

/// Looks which issuers have reached the cap: no more of theirs is taken until the oldest are forgotten (G2).
async fn count_single_use(app: &App) -> Result<(), store::Error> {
    let counts = store::single_use::counts(&mut app.db.read().await?).await?;
    let full: BTreeSet<String> =
        counts.into_iter().filter(|(_, n)| *n >= SINGLE_USE_CAP).map(|(issuer, _)| issuer).collect();
    for issuer in &full {
        tracing::error!(issuer_id = %issuer, "an issuer sent {SINGLE_USE_CAP} assertions within a day: further ones are answered 503");
    }
    app.issuers.set_full(full);
    Ok(())
}

async fn refetch(app: &App) -> Result<(), store::Error> {
    let now = app.clock.now();
    for trusted in &trust::snapshot(app, now).await?.issuers {
        if trusted.issuer.enabled {
            trust::refetch(app, &trusted.issuer, now).await?;
        }
    }
    Ok(())
}
