//! Removes old records by retention, as an operator's recorded act (A3). The record of the act names the last seal that
//! goes and is sealed itself, so that what is left still verifies, and nobody else can cut off the beginning.

use crate::app::App;
use crate::model::activity::Kind;
use crate::operations::activity::chain_ends::end;
use crate::operations::activity::verify::{Fault, Terms, Walk};
use crate::operations::admin_context::AdminContext;
use crate::store::activity::chain::{self, Pruned};
use crate::store::{Error, activity, in_transaction};
use crate::time::Timestamp;

/// What is to go: everything up to a seal.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The last seal that goes, and before which moment its record was.
    pub to: Pruned,
    /// The number of records.
    pub count: i64,
    /// The newest of them.
    pub newest: Timestamp,
}

/// What is found out before anything goes.
#[derive(Clone, Debug)]
pub enum Planned {
    /// All of this is older.
    Remove(Plan),
    /// Nothing is older.
    Nothing,
    /// What would go is not as it was written: that is looked into first.
    Wrong(Fault),
}

/// Finds what is older than a moment, and proves it under these terms; `told` hears how many records that are so far.
pub async fn plan(app: &App, before: Timestamp, terms: Terms, mut told: impl FnMut(i64)) -> Result<Planned, Error> {
    let chain = chain::chain(&mut app.db.read().await?).await?;
    let mut walk = Walk::begun(app, &chain, terms);
    if let Some(fault) = walk.pruned(app, &chain).await? {
        return Ok(Planned::Wrong(fault));
    }
    let mut newest = None;
    'older: loop {
        let links = chain::links(&mut app.db.read().await?, walk.seq).await?;
        if links.is_empty() {
            break;
        }
        for link in links {
            let at = link.written.at;
            if at.is_some_and(|at| at >= before.0) {
                break 'older;
            }
            if let Some(fault) = walk.step(link) {
                return Ok(Planned::Wrong(fault));
            }
            newest = newest.max(at);
        }
        told(walk.seq - chain.pruned_seq);
    }
    let Some(newest) = newest else { return Ok(Planned::Nothing) };
    // Nothing that comes from now on is meant.
    let to = Pruned { seq: walk.seq, hash: walk.hash.clone(), before: before.min(app.clock.now()).0 };
    Ok(Planned::Remove(Plan { count: walk.seq - chain.pruned_seq, newest: Timestamp(newest), to }))
}

/// Records that a plan is carried out: from here on what it names is not part of the record. `false` when somebody else
/// removed some of it meanwhile.
///
/// # Errors
/// When it cannot be written: then nothing goes.
pub async fn begin(act: &AdminContext, plan: &Plan) -> Result<bool, Error> {
    in_transaction!(act.app.db, act.deadline, [act, plan], |tx| {
        if !chain::prune(tx, &plan.to, plan.count).await? {
            return Ok(false);
        }
        let event = act.event(Kind::ActivityPruned).noting(note(&plan.to, plan.count));
        activity::record(tx, &event).await?;
        Ok(true)
    })
}

/// Removes a batch of what is not part of the record any more; how many went.
///
/// # Errors
/// When the database fails; what is left goes the next time.
pub async fn remove_some(app: &App) -> Result<u64, Error> {
    let mut conn = app.db.read().await?;
    let chain = chain::chain(&mut conn).await?;
    // Usually there is nothing, and then nothing is written.
    let some = chain::has_to_remove(&mut conn, chain.pruned_seq).await?;
    drop(conn);
    if !some {
        return Ok(0);
    }
    in_transaction!(app.db, app.patient_deadline(), [], |tx| chain::remove_pruned(tx).await)
}

fn note(to: &Pruned, count: i64) -> String {
    format!("{count} records before {}, {}", Timestamp(to.before).rfc3339(), end(to.seq, &to.hash))
}
