//! Gives every record that was committed its place in the chain (A3, A5), and reads the record in the order of places:
//! who remembers where it stopped misses none. A record that was slow to commit gets its place later.

use std::time::Duration;

use crate::app::App;
use crate::operations::activity::chain_ends::goes_on;
use crate::store::activity::Filter;
use crate::store::activity::chain::{self, BATCH, Placed};
use crate::store::{Conn, Error, in_transaction};
use crate::time::Timestamp;

/// From where on records without a place are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From where all before had one. This finds whatever was committed within two minutes of its making.
    LastTime,
    /// From an hour before.
    AnHourBefore,
    /// From the beginning.
    TheBeginning,
}

/// How much a sealing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The number of records that were sealed.
    pub count: i64,
    /// Everything that was committed when it began has its place.
    pub all: bool,
}

/// Seals what was committed, in a limited number of transactions. Whoever reads the record by places does this first.
///
/// # Errors
/// When the database fails; [`Error::Damaged`] when the chain does not go on from where it was seen to end.
pub async fn seal(app: &App, from: From, most: usize) -> Result<Sealed, Error> {
    let looked_to = goes_on(app).await?.looked_to;
    // A clock that was ahead once must not hide what was made since it was put right.
    let looked_to = looked_to.min(app.clock.now().before(chain::SLOW).first_id());
    let mut after = match from {
        From::LastTime => looked_to,
        From::AnHourBefore => born(&looked_to).map_or_else(String::new, |at| at.before(HOUR).first_id()),
        From::TheBeginning => String::new(),
    };
    let (mut count, mut transactions) = (0, 0);
    loop {
        let window = chain::look(&mut app.db.read().await?, &after).await?;
        let mut unsealed = window.unsealed;
        while unsealed {
            if transactions == most {
                return Ok(Sealed { count, all: false });
            }
            let (db, now, here) = (&app.db, app.clock.now(), after.clone());
            let batch = in_transaction!(db, app.patient_deadline(), [here], |tx| chain::seal(tx, &here, now).await)?;
            (count, transactions, unsealed) = (count + batch.count, transactions + 1, batch.count == BATCH);
            after = batch.last.unwrap_or(after);
            unsealed &= window.end.as_ref().is_none_or(|end| after < *end);
        }
        let Some(end) = window.end else { return Ok(Sealed { count, all: true }) };
        after = after.max(end);
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// When a UUIDv7 was made.
#[must_use]
pub fn born(id: &str) -> Option<Timestamp> {
    let (seconds, nanos) = uuid::Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    Some(Timestamp(i64::try_from(seconds).ok()?.checked_mul(1000)? + i64::from(nanos / 1_000_000)))
}

/// The last place that was removed by retention.
pub async fn pruned_to(conn: &mut Conn) -> Result<i64, Error> {
    Ok(chain::chain(conn).await?.pruned_seq)
}

/// As many transactions one reader waits for: more are only outstanding where an older database is sealed at first.
const FOR_A_READER: usize = 20;
/// As many places are looked at for a page: a filter that fits hardly anything must not read ten million of them while
/// somebody waits.
const LOOKED_AT: i64 = 10_000;

/// A page of records in the order of their places.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records.
    pub records: Vec<Placed>,
    /// Up to this place all is read: what is asked for next is after it.
    pub read_to: i64,
    /// The last place there is.
    pub last: i64,
}

/// The records after a place that fit, up to a limit: also those that were committed a moment ago.
pub async fn page(app: &App, filter: &Filter, after: i64, limit: i64) -> Result<Page, Error> {
    let mut conn = app.db.read().await?;
    let before = chain::chain(&mut conn).await?;
    drop(conn);
    if after >= before.seq.saturating_sub(LOOKED_AT) {
        match seal(app, From::LastTime, FOR_A_READER).await {
            // What has its place is shown. `jobs` says in the log that nothing gets one.
            Ok(_) | Err(Error::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut conn = app.db.read().await?;
    let chain = chain::chain(&mut conn).await?;
    let after = after.max(chain.pruned_seq);
    // What was sealed since has its turn on the next page.
    let window = LOOKED_AT.min(chain.seq - after).max(0);
    let records = chain::forward(&mut conn, filter, after, window, limit).await?;
    let full = i64::try_from(records.len()).is_ok_and(|found| found == limit);
    let read_to = records.last().filter(|_| full).map_or(after + window, |last| last.seq);
    Ok(Page { records, read_to, last: chain.seq })
}
