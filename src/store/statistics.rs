//! What an operator wants to see first: numbers out of the record and the outbox.

use super::{Conn, Error, from_row, query};
use crate::time::Timestamp;

/// What waits in an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How much.
    pub count: i64,
    /// Since when the oldest of it waits (Unix ms).
    pub since: Option<i64>,
}
from_row!(Backlog { count, since } parsed {});

/// What relying parties have yet to be told of logouts: deliveries, and notes that are due to become some.
///
/// # Errors
/// When the database cannot be asked.
pub async fn logouts_waiting(conn: &mut Conn, now: Timestamp) -> Result<Backlog, Error> {
    const SQL: &str = "SELECT CAST(SUM(count) AS BIGINT) AS count, MIN(since) AS since FROM \
                       (SELECT COUNT(*) AS count, MIN(created_at) AS since FROM logout_deliveries WHERE state = 'waiting' \
                       UNION ALL SELECT COUNT(*), MIN(due_at) FROM logout_notes WHERE due_at <= $1) waiting";
    query(SQL).bind(now.0).fetch_one(conn).await
}

/// The mails that have yet to be sent.
///
/// # Errors
/// When the database cannot be asked.
pub async fn mails_waiting(conn: &mut Conn) -> Result<Backlog, Error> {
    const SQL: &str = "SELECT COUNT(*) AS count, MIN(created_at) AS since FROM mails WHERE state = 'waiting'";
    query(SQL).fetch_one(conn).await
}

/// Sign-in tries of one hour, by one sign-in method, with one outcome.
#[derive(Clone, Debug)]
pub struct Hour {
    /// Hours since 1970.
    pub hour: i64,
    /// `Direct Login` or `Unified Login`.
    pub login_type: String,
    /// Success, refused or unfinished.
    pub outcome: String,
    /// How many.
    pub count: i64,
}
from_row!(Hour { hour, login_type, outcome, count } parsed {});

/// Sign-in tries by hour, sign-in method and outcome since.
///
/// # Errors
/// When the database cannot be asked.
pub async fn hours(conn: &mut Conn, since: Timestamp) -> Result<Vec<Hour>, Error> {
    const SQL: &str = "SELECT at / 3600000 AS hour, login_type, outcome, COUNT(*) AS count FROM activity \
                       WHERE at >= $1 AND kind = 'sign_in' GROUP BY 1, login_type, outcome";
    query(SQL).bind(since.0).fetch_all(conn).await
}

/// Refused tries of one sign-in method for one reason.
#[derive(Clone, Debug)]
pub struct Refused {
    /// `Direct Login` or `Unified Login`.
    pub login_type: String,
    /// The true reason.
    pub reason: String,
    /// How many.
    pub count: i64,
}
from_row!(Refused { login_type, reason, count } parsed {});

/// Why sign-ins were refused since, the most frequent first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn refusals(conn: &mut Conn, since: Timestamp) -> Result<Vec<Refused>, Error> {
    const SQL: &str = "SELECT login_type, COALESCE(reason, '') AS reason, COUNT(*) AS count FROM activity \
                       WHERE at >= $1 AND kind = 'sign_in' AND outcome = 'refused' \
                       GROUP BY login_type, 2 ORDER BY count DESC, reason LIMIT 20";
    query(SQL).bind(since.0).fetch_all(conn).await
}

/// Logouts that relying parties have not taken yet although they were told at least once, and those given up since.
///
/// # Errors
/// When the database cannot be asked.
pub async fn failing_deliveries(conn: &mut Conn, since: Timestamp) -> Result<(i64, i64), Error> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM logout_deliveries WHERE state = 'waiting' AND attempts > 0), \
                       (SELECT COUNT(*) FROM logout_deliveries WHERE state = 'given_up' AND settled_at >= $1)";
    query(SQL).bind(since.0).fetch_one(conn).await
}

/// What waits for an operator, each at most [`MOST_PENDING`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Requests for Unified Login.
    pub requests: i64,
    /// Logouts that apps have not taken although they were told at least once.
    pub logouts: i64,
}
from_row!(Pending { requests, logouts } parsed {});

/// So many are counted.
pub const MOST_PENDING: i64 = 100;

/// What waits for an operator: two short looks into indexes, for each of an operator's pages. The words of the second are
/// those of its index.
///
/// # Errors
/// When the database cannot be asked.
pub async fn pending(conn: &mut Conn) -> Result<Pending, Error> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM (SELECT id FROM providers WHERE unified_login = 'requested' LIMIT $1) p) AS requests, \
         (SELECT COUNT(*) FROM (SELECT client FROM logout_deliveries WHERE state = 'waiting' \
         AND (state = 'given_up' OR state = 'waiting' AND attempts > 0) LIMIT $1) d) \
         AS logouts";
    query(SQL).bind(MOST_PENDING).fetch_one(conn).await
}

/// The undelivered logouts of one client.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The client's row.
    pub id: String,
    /// The client as it is known.
    pub client_id: String,
    /// Tried at least once, and to be tried again.
    pub waiting: i64,
    /// Not tried any more, and still remembered.
    pub given_up: i64,
    /// What went wrong last, with the newest of them.
    pub last_error: String,
}
from_row!(Failing { id, client_id, waiting, given_up, last_error } parsed {});

/// As many clients are listed.
pub const MOST_FAILING: i64 = 100;

/// Logouts that clients have not taken, those with the most first; of one client, or of all.
///
/// # Errors
/// When the database cannot be asked.
pub async fn failing_by_client(conn: &mut Conn, client: Option<&str>) -> Result<Vec<Failing>, Error> {
    const SQL: &str = "SELECT c.id, c.client_id, f.waiting, f.given_up, COALESCE((SELECT d.last_error FROM logout_deliveries d \
                       WHERE d.client = c.id AND (d.state = 'given_up' OR d.state = 'waiting' AND d.attempts > 0) \
                       AND d.last_error IS NOT NULL ORDER BY d.next_at DESC, d.sid LIMIT 1), '') AS last_error \
                       FROM (SELECT client, CAST(SUM(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END) AS BIGINT) AS waiting, \
                       CAST(SUM(CASE WHEN state = 'given_up' THEN 1 ELSE 0 END) AS BIGINT) AS given_up FROM logout_deliveries \
                       WHERE (state = 'given_up' OR state = 'waiting' AND attempts > 0) AND ($1 IS NULL OR client = $1) \
                       GROUP BY client) f JOIN clients c ON c.id = f.client \
                       ORDER BY f.waiting + f.given_up DESC, c.client_id LIMIT $2";
    query(SQL).bind(client).bind(MOST_FAILING).fetch_all(conn).await
}
