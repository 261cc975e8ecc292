//! Seals the record (A3, A5): soon after each commit, and never in its transaction. Several replicas take turns:
//! whoever holds the chain's row gives the next places, and the others find nothing left to do.

use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;
use crate::metrics::labels::Job;
use crate::operations::activity::chain::{From, seal};
use crate::store;
use crate::web::health;

/// How often it looks for work: a record has its place within a second.
const EVERY: Duration = Duration::from_millis(500);
/// How often it looks further back, and through all, in looks: for what was slow to commit, or dated by a clock that
/// was behind.
const FURTHER_EVERY: u32 = 120;
const ALL_EVERY: u32 = 120 * 60 * 24;
/// How often the end of the chain is in the log, in looks: where the log is kept apart, no end can be cut off unseen.
const TOLD_EVERY: u32 = 120 * 60;

/// How often it is said that the chain is another than it was, in looks.
const BROKEN_EVERY: u32 = 120;

/// Runs until `stop` says so.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut told, mut broken_for) = (0, 0_u32);
    for look in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        // By a clock that is wrong, records would be sealed at a wrong time. `jobs` says in the log that it is wrong.
        if health::clock_is_right(&app).await.is_err() {
            continue;
        }
        let from = match look {
            look if look % ALL_EVERY == FURTHER_EVERY => From::TheBeginning,
            look if look % FURTHER_EVERY == 0 => From::AnHourBefore,
            _ => From::LastTime,
        };
        // A look may go through ten million records: a stop need not wait for it. A transaction continues on its own.
        let done = tokio::select! {
            done = seal(&app, from, usize::MAX) => done,
            _ = stop.changed() => return,
        };
        let is_broken = matches!(done, Err(store::Error::Damaged(_)));
        app.metrics.record_is_broken(is_broken);
        app.metrics.job_ran(Job::Sealing, done.is_ok(), app.clock.now());
        match done {
            Err(error) if is_broken => {
                if broken_for % BROKEN_EVERY == 0 {
                    tracing::error!("the record is not sealed: {error}");
                }
                broken_for += 1;
            }
            Err(error) => tracing::warn!("the record could not be sealed and will be: {error}"),
            Ok(_) => broken_for = 0,
        }
        if look % TOLD_EVERY == 0
            && let Err(error) = tell(&app, &mut told).await
        {
            tracing::warn!("the end of the record's chain could not be read: {error}");
        }
    }
}

async fn tell(app: &App, told: &mut i64) -> Result<(), store::Error> {
    let chain = store::activity::chain::chain(&mut app.db.read().await?).await?;
    if chain.seq > *told {
        *told = chain.seq;
        tracing::info!(
            seq = chain.seq,
            hash = %chain.hash,
            "the record is sealed up to number {}: {}",
            chain.seq,
            chain.hash
        );
    }
    Ok(())
}
