//! Imports of users: the job of each, and the results of its rows, sealed. They are kept for a day.

use crate::model::words;
use crate::store::{Conn, Error, Tx, from_row, query};
use crate::time::Timestamp;

/// How an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// A process works on it.
    Running,
    /// Every row has its result.
    Done,
    /// Whoever began it may do so no longer (G28).
    NoAuthority,
    /// A fault of ours ended it.
    Fault,
    /// There was no room to hash for too long.
    NoRoom,
    /// The process was told to end.
    Stopped,
    /// The process is gone without a word.
    Interrupted,
}
words!(ImportState {
    Running = "running",
    Done = "done",
    NoAuthority = "no_authority",
    Fault = "fault",
    NoRoom = "no_room",
    Stopped = "stopped",
    Interrupted = "interrupted",
});

/// A job, without what is sealed.
#[derive(Clone, Debug)]
pub struct Import {
    /// UUIDv7.
    pub id: String,
    /// How it stands; one that is running is so until `alive_until` alone.
    pub state: ImportState,
    /// Rows of the file.
    pub rows_total: i64,
    /// Rows that have their result.
    pub rows_done: i64,
    /// By then whoever works on it says again that it does (Unix ms).
    pub alive_until: i64,
    /// When it was begun (Unix ms).
    pub created_at: i64,
    /// From then on it is unknown (Unix ms).
    pub expires_at: i64,
}
from_row!(Import { id, rows_total, rows_done, alive_until, created_at, expires_at } parsed { state });

impl Import {
    /// How it stands at a moment.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> ImportState {
        let is_left = self.state == ImportState::Running && self.alive_until <= now.0;
        if is_left { ImportState::Interrupted } else { self.state }
    }
}

/// A job to begin.
#[derive(Clone, Debug)]
pub struct NewImport {
    /// UUIDv7.
    pub id: String,
    /// The provider whose users it makes.
    pub provider_id: String,
    /// Who may open it again.
    pub owner: String,
    /// Rows of the file.
    pub rows_total: i64,
    /// Rows that have their result already.
    pub rows_done: i64,
    /// The preview that begins it, by an id of its own.
    pub attempt: Option<String>,
    /// What the file said, sealed.
    pub sealed_plan: String,
    /// See [`Import`].
    pub alive_until: Timestamp,
    /// See [`Import`].
    pub expires_at: Timestamp,
}

/// The result of starting one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is there.
    Yes,
    /// The same preview began this one before.
    Before(String),
    /// Another one of the same owner at the same provider is running.
    OneRuns,
    /// As many of the same owner are kept as may be.
    TooMany,
}

/// Puts down a job, unless its owner has one at this provider that is running, or `most` that are kept.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, import: &NewImport, most: i64, now: Timestamp) -> Result<Begun, Error> {
    // One that nobody works on any more stops no other.
    const LEFT: &str = "UPDATE imports SET state = 'interrupted' WHERE owner = $1 AND provider_id = $2 AND state = 'running' \
         AND alive_until <= $3";
    const COUNT: &str = "SELECT COUNT(*) FROM imports WHERE owner = $1 AND provider_id = $2 AND expires_at > $3";
    const SQL: &str = "INSERT INTO imports (id, provider_id, owner, state, rows_total, rows_done, sealed_plan, alive_until, \
                       created_at, expires_at, attempt) VALUES ($1, $2, $3, 'running', $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    if let Some(id) = of_attempt(tx, import).await? {
        return Ok(Begun::Before(id));
    }
    query(LEFT).bind(&import.owner).bind(&import.provider_id).bind(now.0).execute(tx).await?;
    let (kept,): (i64,) = query(COUNT).bind(&import.owner).bind(&import.provider_id).bind(now.0).fetch_one(tx).await?;
    if kept >= most {
        return Ok(Begun::TooMany);
    }
    let rows = query(SQL)
        .bind(&import.id)
        .bind(&import.provider_id)
        .bind(&import.owner)
        .bind(import.rows_total)
        .bind(import.rows_done)
        .bind(&import.sealed_plan)
        .bind(import.alive_until.0)
        .bind(now.0)
        .bind(import.expires_at.0)
        .bind(&import.attempt)
        .execute(tx)
        .await?;
    if rows == 1 {
        return Ok(Begun::Yes);
    }
    // The other one may be of the same preview, sent at the same moment.
    Ok(of_attempt(tx, import).await?.map_or(Begun::OneRuns, Begun::Before))
}

/// The job that the same preview began.
async fn of_attempt(tx: &mut Tx, import: &NewImport) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT id FROM imports WHERE owner = $1 AND provider_id = $2 AND attempt = $3";
    let Some(attempt) = &import.attempt else { return Ok(None) };
    let row: Option<(String,)> =
        query(SQL).bind(&import.owner).bind(&import.provider_id).bind(attempt).fetch_optional(tx).await?;
    Ok(row.map(|(id,)| id))
}

/// Says that somebody works on it until `alive_until`, and counts `more` rows; `false` when it is not running any more.
///
/// # Errors
/// When it cannot be written.
pub async fn advance(tx: &mut Tx, id: &str, more: i64, alive_until: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "UPDATE imports SET rows_done = rows_done + $2, alive_until = $3 WHERE id = $1 AND state = 'running'";
    let rows = query(SQL).bind(id).bind(more).bind(alive_until.0).execute(tx).await?;
    Ok(rows == 1)
}

/// Keeps the result of a row, and the user that was made, in the transaction of what it tells of.
///
/// # Errors
/// When it cannot be written.
pub async fn put_result(tx: &mut Tx, id: &str, place: i64, user_id: Option<&str>, sealed: &str) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO import_rows (import_id, place, user_id, sealed_result) VALUES ($1, $2, $3, $4)";
    query(SQL).bind(id).bind(place).bind(user_id).bind(sealed).execute(tx).await?;
    Ok(())
}

/// Ends a job that is running.
///
/// # Errors
/// When it cannot be written.
pub async fn end(tx: &mut Tx, id: &str, state: ImportState) -> Result<(), Error> {
    const SQL: &str = "UPDATE imports SET state = $2 WHERE id = $1 AND state = 'running'";
    query(SQL).bind(id).bind(state.as_str()).execute(tx).await?;
    Ok(())
}

/// A job, if this owner began it at this provider and its time is not over.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_owner(
    conn: &mut Conn,
    owner: &str,
    provider_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Import>, Error> {
    const SQL: &str = "SELECT id, state, rows_total, rows_done, alive_until, created_at, expires_at FROM imports \
                       WHERE id = $1 AND owner = $2 AND provider_id = $3 AND expires_at > $4";
    query(SQL).bind(id).bind(owner).bind(provider_id).bind(now.0).fetch_optional(conn).await
}

/// The jobs that this owner began at this provider and whose time is not over, the newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut Conn, owner: &str, provider_id: &str, now: Timestamp) -> Result<Vec<Import>, Error> {
    const SQL: &str = "SELECT id, state, rows_total, rows_done, alive_until, created_at, expires_at FROM imports \
                       WHERE owner = $1 AND provider_id = $2 AND expires_at > $3 ORDER BY created_at DESC, id DESC";
    query(SQL).bind(owner).bind(provider_id).bind(now.0).fetch_all(conn).await
}

/// What the file of a job said, sealed.
///
/// # Errors
/// When the database cannot be asked.
pub async fn plan(conn: &mut Conn, id: &str) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT sealed_plan FROM imports WHERE id = $1";
    let row: Option<(String,)> = query(SQL).bind(id).fetch_optional(conn).await?;
    Ok(row.map(|(sealed,)| sealed))
}

/// The result of a row, and the user that was made as things stand now; `None` of the user where none was made, or an
/// older program made it.
#[derive(Clone, Debug)]
pub struct KeptResult {
    /// Which row.
    pub place: i64,
    /// The result, sealed.
    pub sealed_result: String,
    /// Not deactivated.
    pub active: Option<bool>,
    /// 1 while the password is the one that the import gave.
    pub password_version: Option<i64>,
    /// Until when a temporary password works (Unix ms).
    pub temporary_until: Option<i64>,
}
from_row!(KeptResult { place, sealed_result, active, password_version, temporary_until } parsed {});

/// The results of a job's rows, by their places.
///
/// # Errors
/// When the database cannot be asked.
pub async fn results(conn: &mut Conn, id: &str) -> Result<Vec<KeptResult>, Error> {
    const SQL: &str = "SELECT r.place, r.sealed_result, u.active, u.password_version, u.temporary_until FROM import_rows r \
                       LEFT JOIN users u ON u.id = r.user_id WHERE r.import_id = $1 ORDER BY r.place";
    query(SQL).bind(id).fetch_all(conn).await
}

/// Forgets the results of jobs whose time is over, and then the jobs, a batch of each; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, now: Timestamp, batch: i64) -> Result<u64, Error> {
    const RESULTS: &str = "DELETE FROM import_rows WHERE (import_id, place) IN (SELECT r.import_id, r.place FROM import_rows r \
                           JOIN imports i ON i.id = r.import_id WHERE i.expires_at <= $1 LIMIT $2)";
    const JOBS: &str = "DELETE FROM imports WHERE id IN (SELECT i.id FROM imports i WHERE i.expires_at <= $1 AND NOT EXISTS \
                        (SELECT 1 FROM import_rows r WHERE r.import_id = i.id) ORDER BY i.expires_at LIMIT $2)";
    let results = query(RESULTS).bind(now.0).bind(batch).execute(tx).await?;
    let jobs = query(JOBS).bind(now.0).bind(batch).execute(tx).await?;
    Ok(results.max(jobs))
}
