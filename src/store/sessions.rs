//! Sessions. A row is usable while nothing has ended it, its times are not over, and every epoch it was born under
//! still stands (G9).

use super::{Conn, Error, FromRow, Query, Row, Tx, activity, from_row, handoffs, locking, query};
use crate::model::activity::Event;
use crate::model::session::{EndReason, Method, Session};
use crate::model::user::UserType;
use crate::time::Timestamp;

from_row!(Session {
    id, sid, user_id, provider_id, provider_code, provider_name, time_zone, idle_minutes, login_name, name, acr, auth_time,
    created_at, used_at, idle_until, expires_at,
} parsed { user_type, method });

/// A handoff's session that was never used within this time was never given to a browser (U8).
pub const UNUSED_LIMIT_MS: i64 = 5 * 60 * 1000;

/// From where sessions are read, and the conditions of one that is usable or merely idle; `$1` is now, 300000 is
/// [`UNUSED_LIMIT_MS`].
macro_rules! from_standing {
    ($select:literal, $($rest:literal),+) => {
        concat!(
            $select,
            " FROM sessions s JOIN users u ON u.id = s.user_id JOIN providers p ON p.id = s.provider_id \
             LEFT JOIN issuers i ON i.id = s.issuer_id \
             WHERE s.ended_at IS NULL AND s.expires_at > $1 AND u.epoch = s.user_epoch AND u.active \
             AND p.epoch = s.provider_epoch AND p.active AND (s.issuer_id IS NULL OR i.epoch = s.issuer_epoch) \
             AND (s.method <> 'handoff' OR s.used_at IS NOT NULL OR s.created_at > $1 - 300000) ",
            $($rest),+
        )
    };
}

/// The columns of a [`Session`] that is usable or merely idle.
macro_rules! standing {
    ($($rest:literal),+) => {
        from_standing!(
            "SELECT s.id, s.sid, s.user_id, s.provider_id, p.code AS provider_code, p.name AS provider_name, p.time_zone, \
             p.idle_minutes, u.login_name, u.name, u.user_type, s.method, s.acr, s.auth_time, s.created_at, s.used_at, s.idle_until, \
             s.expires_at",
            $($rest),+
        )
    };
}

/// How many usable sessions there are, of how many users.
macro_rules! counting {
    ($rest:literal) => {
        from_standing!(
            "SELECT COUNT(*) AS sessions, COUNT(DISTINCT s.user_id) AS users",
            "AND s.idle_until > $1 ",
            $rest
        )
    };
}

/// The same of a usable one.
macro_rules! usable {
    ($rest:literal) => {
        standing!("AND s.idle_until > $1 ", $rest)
    };
}

/// The usable session behind a secret.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<Session>, Error> {
    const SQL: &str = usable!("AND s.secret_hash = $2");
    query(SQL).bind(now.0).bind(secret_hash).fetch_optional(conn).await
}

/// The session behind a secret, also where it is idle.
///
/// # Errors
/// When the database cannot be asked.
pub async fn standing(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<Session>, Error> {
    const SQL: &str = standing!("AND s.secret_hash = $2");
    query(SQL).bind(now.0).bind(secret_hash).fetch_optional(conn).await
}

/// The session behind a secret, also where its time is over: nobody ended it, and every epoch still stands.
///
/// # Errors
/// When the database cannot be asked.
pub async fn at_any_time(conn: &mut Conn, secret_hash: &str) -> Result<Option<Session>, Error> {
    const SQL: &str = standing!("AND s.secret_hash = $2");
    const BEFORE_ALL: Timestamp = Timestamp(0);
    query(SQL).bind(BEFORE_ALL.0).bind(secret_hash).fetch_optional(conn).await
}

/// What a logout ends: the session behind a secret, idle or not, or what another tab renewed it into after `since`.
/// What was born of it lives on through idleness (R4), so a logout must reach it there too.
///
/// # Errors
/// When the database cannot be asked.
pub async fn to_log_out(
    conn: &mut Conn,
    secret_hash: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<Option<Session>, Error> {
    const SQL: &str = standing!(
        "AND s.sid = (SELECT o.sid FROM sessions o WHERE o.secret_hash = $2 \
         AND (o.ended_at IS NULL OR (o.end_reason = 'renewed' AND o.ended_at > $3)))"
    );
    query(SQL).bind(now.0).bind(secret_hash).bind(since.0).fetch_optional(conn).await
}

/// The session under a `sid`, also where it is idle.
///
/// # Errors
/// When the database cannot be asked.
pub async fn under(conn: &mut Conn, sid: &str, now: Timestamp) -> Result<Option<Session>, Error> {
    const SQL: &str = standing!("AND s.sid = $2");
    query(SQL).bind(now.0).bind(sid).fetch_optional(conn).await
}

/// Every usable session of a user, newest first, with from where it was made.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_user(conn: &mut Conn, user_id: &str, now: Timestamp) -> Result<Vec<Session>, Error> {
    const SQL: &str = usable!("AND s.user_id = $2 ORDER BY s.id DESC LIMIT 100");
    query(SQL).bind(now.0).bind(user_id).fetch_all(conn).await
}

/// Usable sessions, and of how many users they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usable {
    /// Sessions.
    pub sessions: i64,
    /// Their users.
    pub users: i64,
}
from_row!(Usable { sessions, users } parsed {});

/// Whose sessions are counted.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// A user's, by id.
    User(&'a str),
    /// A provider's, by id.
    Provider(&'a str),
    /// Those that an issuer opened, by its id.
    Issuer(&'a str),
}

/// How many usable sessions there are.
///
/// # Errors
/// When the database cannot be asked.
pub async fn count(conn: &mut Conn, of: Of<'_>, now: Timestamp) -> Result<Usable, Error> {
    const OF_USER: &str = counting!("AND s.user_id = $2");
    const OF_PROVIDER: &str = counting!("AND s.provider_id = $2");
    const OF_ISSUER: &str = counting!("AND s.issuer_id = $2");
    let (sql, id) = match of {
        Of::User(id) => (OF_USER, id),
        Of::Provider(id) => (OF_PROVIDER, id),
        Of::Issuer(id) => (OF_ISSUER, id),
    };
    query(sql).bind(now.0).bind(id).fetch_one(conn).await
}

/// From where a session was made: address and browser.
///
/// # Errors
/// When the database cannot be asked.
pub async fn origins(conn: &mut Conn, user_id: &str) -> Result<Vec<(String, String, String)>, Error> {
    const SQL: &str = "SELECT id, address, browser FROM sessions WHERE user_id = $1 AND ended_at IS NULL";
    query(SQL).bind(user_id).fetch_all(conn).await
}

/// Whether a secret's session was renewed after `since`: its browser is about to be given the new secret.
///
/// # Errors
/// When the database cannot be asked.
pub async fn was_renewed(conn: &mut Conn, secret_hash: &str, since: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "SELECT ended_at FROM sessions WHERE secret_hash = $1 AND end_reason = 'renewed' AND ended_at > $2";
    let row: Option<(i64,)> = query(SQL).bind(secret_hash).bind(since.0).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// What a user's first page says of a sign-in: whom the user can ask for help, and the sign-in before this one.
#[derive(Clone, Debug)]
pub struct AtHome {
    /// The provider's contact.
    pub contact: Option<String>,
    /// The sign-in before, if there was one.
    pub previous: Option<Previous>,
}

impl FromRow for AtHome {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let method: Option<String> = row.get("method")?;
        Ok(Self { contact: row.get("contact")?, previous: method.map(|_| Previous::from_row(row)).transpose()? })
    }
}

/// What a user's first page says of a sign-in; nothing where its provider is gone.
///
/// # Errors
/// When the database cannot be asked.
pub async fn at_home(conn: &mut Conn, session: &Session) -> Result<Option<AtHome>, Error> {
    const SQL: &str = "SELECT p.contact, s.created_at, s.method, s.address, s.browser FROM providers p \
                       LEFT JOIN sessions s ON s.id = (SELECT o.id FROM sessions o WHERE o.user_id = $1 AND o.id < $2 \
                       ORDER BY o.id DESC LIMIT 1) WHERE p.id = $3";
    query(SQL).bind(&session.user_id).bind(&session.id).bind(&session.provider_id).fetch_optional(conn).await
}

/// An earlier sign-in.
#[derive(Clone, Debug)]
pub struct Previous {
    /// When (Unix ms).
    pub created_at: i64,
    /// By which sign-in method.
    pub method: Method,
    /// From which address.
    pub address: String,
    /// With which browser.
    pub browser: String,
}
from_row!(Previous { created_at, address, browser } parsed { method });

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// UUIDv7 of the row.
    pub id: String,
    /// As relying parties know it.
    pub sid: String,
    /// Digest of the cookie's secret.
    pub secret_hash: String,
    /// The provider's id.
    pub provider_id: String,
    /// The user's id.
    pub user_id: String,
    /// The user's epoch as checked.
    pub user_epoch: i64,
    /// The provider's epoch as checked.
    pub provider_epoch: i64,
    /// A handoff's issuer: id and epoch as checked.
    pub issuer: Option<(String, i64)>,
    /// A handoff's id.
    pub handoff_id: Option<String>,
    /// The sign-in method.
    pub method: Method,
    /// `acr`.
    pub acr: String,
    /// `amr`, a JSON array.
    pub amr: Option<String>,
    /// When credentials were checked (Unix ms).
    pub auth_time: i64,
    /// Over when unused until then.
    pub idle_until: Timestamp,
    /// Over then in any case.
    pub expires_at: Timestamp,
    /// The client's address.
    pub address: String,
    /// Its browser.
    pub browser: String,
}

/// Whether whoever acts in a session may still act: it lives, and its user is who the act was checked for. The rows are
/// held, so that what takes this away waits for the act or comes before it (G28).
///
/// # Errors
/// When the database cannot be asked.
pub async fn may_act(tx: &mut Tx, sid: &str, user_type: UserType, now: Timestamp) -> Result<bool, Error> {
    let row: Option<(i64,)> = query(locking!("SELECT CAST(1 AS BIGINT) FROM providers p, users u, sessions s \
         WHERE u.id = s.user_id AND p.id = s.provider_id AND s.sid = $1 AND s.ended_at IS NULL AND s.expires_at > $2 \
         AND s.idle_until > $2 AND u.active AND u.epoch = s.user_epoch AND u.user_type = $3 AND p.active \
         AND p.epoch = s.provider_epoch AND (s.issuer_id IS NULL OR EXISTS (SELECT 1 FROM issuers i WHERE i.id = s.issuer_id \
         AND i.epoch = s.issuer_epoch))", "FOR SHARE OF p, u, s")).bind(sid).bind(now.0).bind(user_type.as_str()).fetch_optional(tx).await?;
    Ok(row.is_some())
}

macro_rules! insert {
    ($values:literal) => {
        concat!(
            "INSERT INTO sessions (id, sid, secret_hash, provider_id, user_id, user_epoch, provider_epoch, issuer_id, \
             issuer_epoch, handoff_id, method, acr, amr, auth_time, created_at, idle_until, expires_at, address, browser) \
             VALUES (",
            $values,
            ")"
        )
    };
}

/// Opens a session, and records it; the handoff that it came of is completed.
///
/// # Errors
/// When it cannot be written.
pub async fn open(tx: &mut Tx, session: &NewSession, event: &Event, now: Timestamp) -> Result<(), Error> {
    const AT_ONCE: &str = concat!(
        "WITH recorded AS (",
        activity::records!(),
        "), completed AS (UPDATE handoffs SET state = 'completed' WHERE id = $30 AND state = 'pending') ",
        insert!("$21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39")
    );
    if tx.writes_at_once() {
        let proof = activity::proof_of(tx, event);
        bound(activity::bound(query(AT_ONCE), event, proof), session, now).execute(tx).await?;
        return Ok(());
    }
    if let Some(handoff) = &session.handoff_id {
        handoffs::settle(tx, handoff, handoffs::State::Completed).await?;
    }
    let insert = query(insert!("$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19"));
    bound(insert, session, now).execute(tx).await?;
    activity::record(tx, event).await
}

fn bound<'q>(insert: Query<'q>, session: &'q NewSession, now: Timestamp) -> Query<'q> {
    let s = session;
    insert
        .bind(&s.id)
        .bind(&s.sid)
        .bind(&s.secret_hash)
        .bind(&s.provider_id)
        .bind(&s.user_id)
        .bind(s.user_epoch)
        .bind(s.provider_epoch)
        .bind(s.issuer.as_ref().map(|(id, _)| id))
        .bind(s.issuer.as_ref().map(|(_, epoch)| *epoch))
        .bind(&s.handoff_id)
        .bind(s.method.as_str())
        .bind(&s.acr)
        .bind(&s.amr)
        .bind(s.auth_time)
        .bind(now.0)
        .bind(s.idle_until.0)
        .bind(s.expires_at.0)
        .bind(&s.address)
        .bind(&s.browser)
}

/// Notes that a session is used and moves its idle limit; never brings an ended one back.
///
/// # Errors
/// When it cannot be written.
pub async fn touch(tx: &mut Tx, id: &str, now: Timestamp, idle_until: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE sessions SET used_at = $2, idle_until = $3 WHERE id = $1 AND ended_at IS NULL";
    query(SQL).bind(id).bind(now.0).bind(idle_until.0).execute(tx).await?;
    Ok(())
}

/// Ends one session, and notes it for the clients that were signed in under it unless its `sid` lives on; `false` when
/// it was over already.
///
/// # Errors
/// When it cannot be written.
pub async fn end(tx: &mut Tx, id: &str, reason: EndReason, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL";
    const NOTE: &str = "INSERT INTO logout_notes (id, kind, subject, cursor, passes, due_at) \
                        SELECT 'session ' || s.id, 'session', s.sid, '', 1, 0 FROM sessions s WHERE s.id = $1 AND EXISTS (SELECT 1 FROM families f WHERE f.sid = s.sid)";
    let rows = query(SQL).bind(id).bind(now.0).bind(reason.as_str()).execute(tx).await?;
    if rows == 1 && reason != EndReason::Renewed {
        query(NOTE).bind(id).execute(tx).await?;
    }
    Ok(rows == 1)
}

/// Ends the row under which a session lives now; `false` when it is over already.
///
/// # Errors
/// When it cannot be written.
pub async fn end_of_sid(tx: &mut Tx, sid: &str, reason: EndReason, now: Timestamp) -> Result<bool, Error> {
    match lock_living(tx, sid).await? {
        Some(id) => end(tx, &id, reason, now).await,
        None => Ok(false),
    }
}

/// The row under which a session lives now, held: nobody ends or renews it before this transaction ends.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock_living(tx: &mut Tx, sid: &str) -> Result<Option<String>, Error> {
    // Who waited for a renewal finds the row over that it waited for, and looks once more for the one in its place.
    for _ in 0..2 {
        let row: Option<(String,)> =
            query(locking!("SELECT id FROM sessions WHERE sid = $1 AND ended_at IS NULL", "FOR NO KEY UPDATE"))
                .bind(sid)
                .fetch_optional(tx)
                .await?;
        if let Some((id,)) = row {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Gives a session another secret, after its password was typed: who holds the one before is signed out. `false` when
/// it is over.
///
/// # Errors
/// When it cannot be written.
pub async fn renew(tx: &mut Tx, id: &str, secret_hash: &str, auth_time: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE sessions SET secret_hash = $2, auth_time = $3 WHERE id = $1 AND ended_at IS NULL";
    let rows = query(SQL).bind(id).bind(secret_hash).bind(auth_time.0).execute(tx).await?;
    Ok(rows == 1)
}

/// Ends every session of a user but the one under `keep`, a secret's digest; how many.
///
/// # Errors
/// When it cannot be written.
pub async fn end_others(
    tx: &mut Tx,
    user_id: &str,
    keep: Option<&str>,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64, Error> {
    const KEPT: &str = "SELECT id FROM sessions WHERE user_id = $1 AND secret_hash = $2";
    let kept: Option<(String,)> = query(KEPT).bind(user_id).bind(keep.unwrap_or("")).fetch_optional(tx).await?;
    end_all_but(tx, user_id, kept.as_ref().map_or("", |(id,)| id), reason, now).await
}

/// Ends every session of a user but this row, and notes each for the clients that were signed in under it; how many.
///
/// # Errors
/// When it cannot be written.
pub async fn end_all_but(
    tx: &mut Tx,
    user_id: &str,
    keep_id: &str,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64, Error> {
    const SQL: &str =
        "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE user_id = $1 AND ended_at IS NULL AND id <> $4";
    // Those that this very statement ended; an id is noted once, whoever ended it.
    const NOTE: &str = "INSERT INTO logout_notes (id, kind, subject, cursor, passes, due_at) \
                        SELECT 'session ' || s.id, 'session', s.sid, '', 1, 0 FROM sessions s WHERE s.user_id = $1 AND s.ended_at = $2 AND s.end_reason = $3 AND s.id <> $4 \
                        AND EXISTS (SELECT 1 FROM families f WHERE f.sid = s.sid) ON CONFLICT DO NOTHING";
    let rows = query(SQL).bind(user_id).bind(now.0).bind(reason.as_str()).bind(keep_id).execute(tx).await?;
    if rows > 0 {
        query(NOTE).bind(user_id).bind(now.0).bind(reason.as_str()).bind(keep_id).execute(tx).await?;
    }
    Ok(rows)
}

/// The session of a handoff that nobody has used yet, held: the row id and user id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unused_of_handoff(tx: &mut Tx, handoff_id: &str) -> Result<Option<(String, String)>, Error> {
    query(locking!(
        "SELECT id, user_id FROM sessions WHERE handoff_id = $1 AND used_at IS NULL AND ended_at IS NULL",
        "FOR NO KEY UPDATE"
    ))
    .bind(handoff_id)
    .fetch_optional(tx)
    .await
}

/// Handoff sessions made before `before` that nobody ever used: the handoffs' ids.
///
/// # Errors
/// When the database cannot be asked.
pub async fn never_given(conn: &mut Conn, before: Timestamp, batch: i64) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT handoff_id FROM sessions WHERE method = 'handoff' AND used_at IS NULL AND ended_at IS NULL \
                       AND created_at <= $1 ORDER BY created_at LIMIT $2";
    let rows: Vec<(String,)> = query(SQL).bind(before.0).bind(batch).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Forgets a batch of sessions that were over before `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM sessions WHERE id IN \
                       (SELECT id FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}

/// The session with this id, if it is this user's, also where it is idle: what ends it must reach what was born of it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn one_of_user(conn: &mut Conn, user_id: &str, id: &str, now: Timestamp) -> Result<Option<Session>, Error> {
    const SQL: &str = standing!("AND s.user_id = $2 AND s.id = $3");
    query(SQL).bind(now.0).bind(user_id).bind(id).fetch_optional(conn).await
}
