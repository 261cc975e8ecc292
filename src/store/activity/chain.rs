//! The chain of the record (A3, A5): the place of each record in the order of commits, and its seal, which rests on all
//! before it. Whoever seals holds the one row of `activity_chain`, so that there is one next place however many
//! replicas there are.

use std::time::Duration;

use crate::store::activity::proof::{Stored, Written, written};
use crate::store::activity::{Filter, Record, columns, filtered, fits};
use crate::store::{Conn, Error, Sql, Tx, from_row, locking, query};
use crate::time::Timestamp;

/// A record's id is made at most so long before its commit, usually: no transaction of ours may take longer.
pub const SLOW: Duration = Duration::from_mins(2);
/// As many records are looked at in one go. These numbers stand in the statements themselves: of a parameter PostgreSQL
/// does not know how few rows it means, and reads the whole table.
macro_rules! window {
    () => {
        "5000"
    };
    (the_last) => {
        "1 OFFSET 4999"
    };
}

/// As many are sealed in one transaction, or removed.
pub const BATCH: i64 = 500;
macro_rules! batch {
    () => {
        "500"
    };
}

/// As many seals are read in one go.
macro_rules! page {
    () => {
        "2000"
    };
}

/// How far the chain goes.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The last place that is taken.
    pub seq: i64,
    /// Its seal.
    pub hash: String,
    /// Up to this id everything is sealed, but for what was slow to commit.
    pub looked_to: String,
    /// The last place that was removed by retention.
    pub pruned_seq: i64,
    /// Its seal, on which the first one that is left rests.
    pub pruned_hash: String,
    /// Nothing older is kept (Unix ms).
    pub pruned_before: i64,
}
from_row!(Chain { seq, hash, looked_to, pruned_seq, pruned_hash, pruned_before } parsed {});

macro_rules! select_chain {
    () => {
        "SELECT seq, hash, looked_to, pruned_seq, pruned_hash, pruned_before FROM activity_chain"
    };
}

/// How far the chain goes at this moment.
///
/// # Errors
/// When the database cannot be asked.
pub async fn chain(conn: &mut Conn) -> Result<Chain, Error> {
    query(select_chain!()).fetch_one(conn).await
}

/// The same, and nobody else seals or removes anything until this transaction is over.
async fn lock_for_update(tx: &mut Tx) -> Result<Chain, Error> {
    query(locking!((select_chain!()), "FOR UPDATE")).fetch_one(tx).await
}

/// The ids, of the records that are looked at after `$1`, that have no seal.
macro_rules! unsealed {
    () => {
        concat!(
            "SELECT id FROM (SELECT id FROM activity WHERE id > $1 ORDER BY id LIMIT ",
            window!(),
            ") w WHERE NOT EXISTS (SELECT 1 FROM activity_seals s WHERE s.activity_id = w.id)"
        )
    };
}

/// What there is to seal among the next records after an id.
#[derive(Clone, Debug)]
pub struct Window {
    /// Whether any of them has no seal.
    pub unsealed: bool,
    /// Where the next window begins, if there is one.
    pub end: Option<String>,
}

/// Looks whether there is anything to seal among the next records after an id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn look(conn: &mut Conn, after: &str) -> Result<Window, Error> {
    const FIRST: &str = concat!("SELECT CAST(1 AS BIGINT) FROM (", unsealed!(), " LIMIT 1) AS first");
    const END: &str =
        concat!("SELECT CAST(id AS TEXT) FROM activity WHERE id > $1 ORDER BY id LIMIT ", window!(the_last));
    let first: Option<(i64,)> = query(FIRST).bind(after).fetch_optional(conn).await?;
    let end: Option<(Stored,)> = query(END).bind(after).fetch_optional(conn).await?;
    // An id that is no text stands behind all of ours: what follows it is none of ours either.
    let end = end.and_then(|(id,)| id.as_text().map(str::to_owned));
    Ok(Window { unsealed: first.is_some(), end })
}

/// Those of the same records that have no seal, by id, [`BATCH`] at most.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unsealed(conn: &mut Conn, after: &str) -> Result<Vec<Written>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        written!(),
        " FROM activity a JOIN (SELECT id AS found FROM (",
        unsealed!(),
        ") u ORDER BY id LIMIT ",
        batch!(),
        ") f ON a.id = f.found ORDER BY a.id"
    );
    query(SQL).bind(after).fetch_all(conn).await
}

/// What one transaction sealed.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The number of records.
    pub count: i64,
    /// The last of them: up to it, nothing after where the batch began is left.
    pub last: Option<String>,
}

/// Gives those of the next records after an id that have no seal the next places, [`BATCH`] at most.
///
/// # Errors
/// When it cannot be written, or no key is known here.
pub async fn seal(tx: &mut Tx, after: &str, now: Timestamp) -> Result<Batch, Error> {
    const MOVE: &str = "UPDATE activity_chain SET seq = $1, hash = $2, looked_to = $3";
    let chain = lock_for_update(tx).await?;
    let key = tx.record_key.clone().ok_or_else(|| Error::Damaged("no key to seal the record with".into()))?;
    let (mut seq, mut hash, mut seals) = (chain.seq, chain.hash, Vec::new());
    let (mut looked_to, mut last) = (chain.looked_to, None);
    for record in unsealed(tx, after).await? {
        // In SQLite somebody may have put anything there. It gets no place, and `activity verify` names it.
        let Some(id) = record.id().and_then(Stored::as_text).map(str::to_owned) else { continue };
        seq += 1;
        hash = record.seal(&key, &hash, seq, now.0);
        seals.push(serde_json::json!([seq, id, hash]));
        looked_to = looked_to.max(id.clone().min(now.before(SLOW).first_id()));
        last = Some(id);
    }
    if seals.is_empty() {
        return Ok(Batch::default());
    }
    insert(tx, &serde_json::Value::Array(seals).to_string(), now).await?;
    query(MOVE).bind(seq).bind(&hash).bind(&looked_to).execute(tx).await?;
    Ok(Batch { count: seq - chain.seq, last })
}

/// A JSON array of place, id and seal: many rows in one statement.
async fn insert(tx: &mut Tx, seals: &str, now: Timestamp) -> Result<(), Error> {
    const SQLITE: &str = "INSERT INTO activity_seals (seq, activity_id, sealed_at, hash) \
                          SELECT value ->> 0, value ->> 1, $2, value ->> 2 FROM json_each($1)";
    const POSTGRES: &str = "INSERT INTO activity_seals (seq, activity_id, sealed_at, hash) \
                            SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, $2, value ->> 2 \
                            FROM json_array_elements(CAST($1 AS JSON)) AS one (value)";
    query(Sql::each(SQLITE, POSTGRES)).bind(seals).bind(now.0).execute(tx).await?;
    Ok(())
}

/// A record and its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The place.
    pub seq: i64,
    /// The record.
    pub record: Record,
}
from_row!(Placed { seq } parsed {} within { record });

/// The records that fit, of the `window` places after one, in the order of their places.
///
/// # Errors
/// When the database cannot be asked.
pub async fn forward(
    conn: &mut Conn,
    filter: &Filter,
    after: i64,
    window: i64,
    limit: i64,
) -> Result<Vec<Placed>, Error> {
    const SQL: &str = concat!(
        "SELECT s.seq, ",
        columns!(),
        " FROM activity_seals s JOIN activity ON id = s.activity_id WHERE ",
        fits!(),
        " AND s.seq > $9 AND s.seq <= $10 ORDER BY s.seq LIMIT $11"
    );
    filtered!(SQL, filter).bind(after).bind(after.saturating_add(window)).bind(limit).fetch_all(conn).await
}

/// A seal, and the record that stands there for it by now.
#[derive(Clone, Debug)]
pub struct Link {
    /// The place.
    pub seq: i64,
    /// The record's id.
    pub activity_id: String,
    /// When it was sealed (Unix ms).
    pub sealed_at: i64,
    /// The seal.
    pub hash: String,
    /// What stands there.
    pub written: Written,
}
from_row!(Link { seq, activity_id, sealed_at, hash } parsed {} within { written });

/// The next seals after a place, in order; none only at the end.
///
/// # Errors
/// When the database cannot be asked.
pub async fn links(conn: &mut Conn, after: i64) -> Result<Vec<Link>, Error> {
    const SQL: &str = concat!(
        "SELECT s.seq, s.activity_id, s.sealed_at, s.hash, ",
        written!(),
        " FROM (SELECT seq, activity_id, sealed_at, hash FROM activity_seals WHERE seq > $1 ORDER BY seq LIMIT ",
        page!(),
        ") s LEFT JOIN activity a ON a.id = s.activity_id ORDER BY s.seq"
    );
    query(SQL).bind(after).fetch_all(conn).await
}

/// The seal at a place.
///
/// # Errors
/// When the database cannot be asked.
pub async fn hash_at(conn: &mut Conn, seq: i64) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT hash FROM activity_seals WHERE seq = $1";
    let row: Option<(String,)> = query(SQL).bind(seq).fetch_optional(conn).await?;
    Ok(row.map(|(hash,)| hash))
}

/// Where records are removed up to.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// The last place that goes.
    pub seq: i64,
    /// Its seal.
    pub hash: String,
    /// Nothing older than this is kept (Unix ms).
    pub before: i64,
}

/// Lets the chain begin after a place from now on; `false` when it does not begin `count` places before that any more.
///
/// # Errors
/// When it cannot be written.
pub async fn prune(tx: &mut Tx, to: &Pruned, count: i64) -> Result<bool, Error> {
    const SQL: &str = "UPDATE activity_chain SET pruned_seq = $1, pruned_hash = $2, \
                       pruned_before = CASE WHEN pruned_before > $3 THEN pruned_before ELSE $3 END";
    let chain = lock_for_update(tx).await?;
    if chain.pruned_seq + count != to.seq {
        return Ok(false);
    }
    query(SQL).bind(to.seq).bind(&to.hash).bind(to.before).execute(tx).await?;
    Ok(true)
}

/// Whether anything of what was pruned has yet to go.
///
/// # Errors
/// When the database cannot be asked.
pub async fn has_to_remove(conn: &mut Conn, pruned_seq: i64) -> Result<bool, Error> {
    const SQL: &str = "SELECT seq FROM activity_seals WHERE seq <= $1 ORDER BY seq LIMIT 1";
    let row: Option<(i64,)> = query(SQL).bind(pruned_seq).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// How many seals there are from before the chain's beginning: what was pruned and has yet to go.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count_to_remove(conn: &mut Conn, pruned_seq: i64) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM activity_seals WHERE seq <= $1";
    let (count,): (i64,) = query(SQL).bind(pruned_seq).fetch_one(conn).await?;
    Ok(count)
}

/// Removes [`BATCH`] records, with their seals, from before the chain's beginning; how many seals went.
///
/// # Errors
/// When it cannot be written.
pub async fn remove_pruned(tx: &mut Tx) -> Result<u64, Error> {
    const RECORDS: &str = concat!(
        "DELETE FROM activity WHERE id IN (SELECT activity_id FROM activity_seals WHERE seq <= $1 ORDER BY seq LIMIT ",
        batch!(),
        ")"
    );
    const SEALS: &str = concat!(
        "DELETE FROM activity_seals WHERE seq IN (SELECT seq FROM activity_seals WHERE seq <= $1 ORDER BY seq LIMIT ",
        batch!(),
        ")"
    );
    // A last sign-in that goes was the last one.
    const LAST_SIGN_INS: &str = concat!(
        "UPDATE users SET signed_in_at = 0 WHERE (id, signed_in_at) IN (SELECT a.user_id, a.at FROM activity a WHERE a.id IN \
         (SELECT activity_id FROM activity_seals WHERE seq <= $1 ORDER BY seq LIMIT ",
        batch!(),
        ") AND a.kind = 'sign_in' AND a.outcome = 'success' AND a.user_id IS NOT NULL)"
    );
    // Held, so that nobody else removes the seals of another batch meanwhile.
    let seq = lock_for_update(tx).await?.pruned_seq;
    query(LAST_SIGN_INS).bind(seq).execute(tx).await?;
    query(RECORDS).bind(seq).execute(tx).await?;
    query(SEALS).bind(seq).execute(tx).await
}

/// The newest records of a kind of change, as they stand, 20 at most.
///
/// # Errors
/// When the database cannot be asked.
pub async fn written_of(conn: &mut Conn, kind: &str) -> Result<Vec<Written>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        written!(),
        " FROM activity a WHERE a.kind = $1 AND a.kind NOT IN ('sign_in', 'logout') ORDER BY a.id DESC LIMIT 20"
    );
    query(SQL).bind(kind).fetch_all(conn).await
}
