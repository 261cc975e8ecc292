//! Strikes: how many wrong passwords in a row, and how many guesses are in hand right now (G3).
//!
//! `account` is a user's id, or a keyed hash of an unknown name and code (G5), or a session's `sid` where
//! whoever is signed in types the password again (G35): one table, one way.

use super::{Error, Sql, Tx, locking, query};
use crate::model::user::STRIKES;
use crate::time::Timestamp;

/// What a guess was given before its hash runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// A slot: the guess owns a strike.
    Slot(String),
    /// Three were wrong already.
    Locked,
    /// As many guesses are in hand as could still be answered: wait.
    Wait,
}

/// Whose strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guessed {
    /// A user's, by id.
    User(String),
    /// Unknown, by keyed hash.
    UnknownAccount(String),
    /// A session's, by [`of_session`]: its account's are not touched.
    Session(String),
}

impl Guessed {
    /// The key of the strike row.
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::User(account) | Self::UnknownAccount(account) | Self::Session(account) => account,
        }
    }
}

/// The key of a session's strike row. No flood of made-up names washes it away (`purge`).
#[must_use]
pub fn of_session(sid: &str) -> String {
    format!("session {sid}")
}

/// Gives a guess one of the three chances, if one is free. An unknown account's row is made here, and begins again when
/// it lapsed.
///
/// # Errors
/// When it cannot be written.
pub async fn reserve(
    tx: &mut Tx,
    guessed: &Guessed,
    slot: &str,
    now: Timestamp,
    slot_until: Timestamp,
    unknown_until: Timestamp,
) -> Result<Reserved, Error> {
    // One statement for users and unknown accounts: it locks the row, makes an unknown account's, and clears one that
    // lapsed.
    const TOUCH: &str = "INSERT INTO strikes (account, failures, lapses_at) VALUES ($1, 0, $3) ON CONFLICT (account) DO UPDATE SET \
                         failures = CASE WHEN strikes.lapses_at <= $2 THEN 0 ELSE strikes.failures END, \
                         lapses_at = CASE WHEN strikes.lapses_at <= $2 THEN $3 ELSE strikes.lapses_at END \
                         RETURNING failures";
    const TAKE: &str = "INSERT INTO strike_slots (id, account, expires_at) SELECT $1, $2, $3 WHERE $4 + \
                        (SELECT COUNT(*) FROM strike_slots WHERE account = $2 AND expires_at > $5) < $6";
    let account = guessed.account();
    let (failures,): (i64,) = query(TOUCH).bind(account).bind(now.0).bind(unknown_until.0).fetch_one(tx).await?;
    if failures >= STRIKES {
        return Ok(Reserved::Locked);
    }
    let rows = query(TAKE)
        .bind(slot)
        .bind(account)
        .bind(slot_until.0)
        .bind(failures)
        .bind(now.0)
        .bind(STRIKES)
        .execute(tx)
        .await?;
    Ok(if rows == 1 { Reserved::Slot(slot.to_owned()) } else { Reserved::Wait })
}

/// Takes the row's lock and gives the slot back; `false` when it lapsed meanwhile, and the guess must not be answered.
///
/// # Errors
/// When it cannot be written.
pub async fn release(tx: &mut Tx, account: &str, slot: &str, now: Timestamp) -> Result<bool, Error> {
    // What is deleted is this guess's own, which was there before, or over: nothing of it depends on who was waited for.
    const DROP: Sql = Sql::each(
        "DELETE FROM strike_slots WHERE account = $1 AND (id = $2 OR expires_at <= $3) RETURNING id, expires_at",
        "WITH held AS (SELECT account FROM strikes WHERE account = $1 FOR NO KEY UPDATE) \
         DELETE FROM strike_slots USING held WHERE strike_slots.account = held.account AND (id = $2 OR expires_at <= $3) \
         RETURNING id, expires_at",
    );
    let rows: Vec<(String, i64)> = query(DROP).bind(account).bind(slot).bind(now.0).fetch_all(tx).await?;
    Ok(rows.iter().any(|(id, expires_at)| id == slot && *expires_at > now.0))
}

/// One more wrong password; how many it is now.
///
/// # Errors
/// When it cannot be written.
pub async fn count(tx: &mut Tx, account: &str) -> Result<i64, Error> {
    const SQL: &str =
        "UPDATE strikes SET failures = failures + 1 WHERE account = $1 AND failures < $2 RETURNING failures";
    let row: Option<(i64,)> = query(SQL).bind(account).bind(STRIKES).fetch_optional(tx).await?;
    Ok(row.map_or(STRIKES, |(failures,)| failures))
}

/// Back to none, after a right password, an unlock or a reset; how many there were.
///
/// # Errors
/// When it cannot be written.
pub async fn clear(tx: &mut Tx, account: &str) -> Result<i64, Error> {
    const READ: &str = "SELECT failures FROM strikes WHERE account = $1";
    const SQL: &str = "UPDATE strikes SET failures = 0 WHERE account = $1 AND failures > 0";
    let row: Option<(i64,)> = query(READ).bind(account).fetch_optional(tx).await?;
    let failures = row.map_or(0, |(failures,)| failures);
    if failures > 0 {
        query(SQL).bind(account).execute(tx).await?;
    }
    Ok(failures)
}

/// How many wrong passwords stand against a user, held until this transaction ends: no lock can slip in between (G9).
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_for_update(tx: &mut Tx, user_id: &str) -> Result<i64, Error> {
    let row: Option<(i64,)> = query(locking!("SELECT failures FROM strikes WHERE account = $1", "FOR SHARE"))
        .bind(user_id)
        .fetch_optional(tx)
        .await?;
    row.map(|(failures,)| failures).ok_or_else(|| Error::Damaged(format!("user {user_id} has no strike row")))
}

/// Removes unknown accounts that lapsed, and the oldest beyond `cap`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, now: Timestamp, cap: i64, batch: i64) -> Result<u64, Error> {
    const LAPSED: &str = "DELETE FROM strikes WHERE account IN \
                          (SELECT account FROM strikes WHERE lapses_at <= $1 ORDER BY lapses_at LIMIT $2)";
    const BEYOND: &str = "DELETE FROM strikes WHERE account IN \
                          (SELECT account FROM strikes WHERE lapses_at IS NOT NULL AND account NOT LIKE 'session %' \
                          ORDER BY lapses_at DESC LIMIT $2 OFFSET $1)";
    const SLOTS: &str = "DELETE FROM strike_slots WHERE expires_at <= $1";
    query(SLOTS).bind(now.0).execute(tx).await?;
    let lapsed = query(LAPSED).bind(now.0).bind(batch).execute(tx).await?;
    let beyond = query(BEYOND).bind(cap).bind(batch).execute(tx).await?;
    Ok(lapsed + beyond)
}

/// Takes the password lock off every user of a provider; how many had one.
///
/// # Errors
/// When it cannot be written.
pub async fn clear_locks(tx: &mut Tx, provider_id: &str) -> Result<u64, Error> {
    const SQL: &str = "UPDATE strikes SET failures = 0 WHERE provider_id = $1 AND failures >= 3";
    query(SQL).bind(provider_id).execute(tx).await
}
