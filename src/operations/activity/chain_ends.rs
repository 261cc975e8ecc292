//! Where the chain of the record begins and ends. Somebody who has the database alone can cut it off or put an older
//! one in its place; a process that saw it before knows, and seals nothing upon it (A3).

use crate::app::App;
use crate::cache::activity::chain_seen::Seen;
use crate::store::activity::chain::{self, Chain};
use crate::store::activity::proof::{Proof, Written};
use crate::store::{Conn, Error};

/// Checks whether the chain goes on from where this process saw it end, and remembers where it ends now.
///
/// # Errors
/// [`Error::Damaged`] when it does not: what happened, and what to do.
pub(in crate::operations) async fn goes_on(app: &App) -> Result<Chain, Error> {
    let mut conn = app.db.read().await?;
    let mut chain = chain::chain(&mut conn).await?;
    let Some(seen) = app.chain_seen.last() else {
        app.chain_seen.note(chain.seq, &chain.hash);
        return Ok(chain);
    };
    let mut stands = holds(&mut conn, &chain, &seen).await?;
    if !stands {
        // Records may have been removed by retention between our two looks.
        chain = chain::chain(&mut conn).await?;
        stands = holds(&mut conn, &chain, &seen).await?;
    }
    drop(conn);
    if stands && (seen.seq >= chain.pruned_seq || was_pruned_by_us(app, &chain).await?) {
        app.chain_seen.note(chain.seq, &chain.hash);
        return Ok(chain);
    }
    Err(Error::Damaged(format!(
        "the record was sealed up to number {} ({}) and now ends at number {} ({}), which does not go on from there: nothing is \
         sealed upon it. Find out who changed the database, keep a copy of it, and compare with `connect-idp activity verify \
         --anchor`; where it was restored from a backup, or failed over to a copy that was behind, start the service again",
        seen.seq, seen.hash, chain.seq, chain.hash
    )))
}

/// Whether a chain holds what was seen of it, as far as it still reaches back.
async fn holds(conn: &mut Conn, chain: &Chain, seen: &Seen) -> Result<bool, Error> {
    Ok(if chain.seq < seen.seq {
        false
    } else if chain.seq == seen.seq {
        chain.hash == seen.hash
    } else if chain.pruned_seq == seen.seq {
        chain.pruned_hash == seen.hash
    } else if chain.pruned_seq > seen.seq {
        true
    } else {
        chain::hash_at(conn, seen.seq).await?.is_some_and(|hash| hash == seen.hash)
    })
}

/// Whether the record of an act of this program names where the chain begins now.
pub(in crate::operations) async fn was_pruned_by_us(app: &App, chain: &Chain) -> Result<bool, Error> {
    let acts = chain::written_of(&mut app.db.read().await?, "activity_pruned").await?;
    Ok(acts.iter().any(|act| act.proof(&app.record_key) == Proof::Good && names(act, chain)))
}

fn names(act: &Written, chain: &Chain) -> bool {
    let end = end(chain.pruned_seq, &chain.pruned_hash);
    act.note().is_some_and(|note| note.ends_with(&format!(", {end}")))
}

/// How the record of an act names the last seal that goes.
pub(in crate::operations) fn end(seq: i64, hash: &str) -> String {
    format!("up to number {seq} ({hash})")
}
