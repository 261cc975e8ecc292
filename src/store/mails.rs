//! The outbox of mail: what somebody asked for, and e-mails that wait to be sent. What is sealed goes once it is
//! settled.

use super::{Conn, Error, Tx, from_row, query};
use crate::model::words;
use crate::time::Timestamp;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// Somebody asked for a link that sets a password; whether there is anybody to send it to is not yet known.
    LinkRequest,
    /// Such a link.
    ResetLink,
    /// A notice that the user's password is another.
    PasswordChanged,
    /// A notice that an administrator reset it.
    PasswordReset,
    /// A link that proves an e-mail address.
    EmailVerification,
    /// A link to set a first password.
    Invitation,
    /// A notice that an address is no longer the user's.
    EmailChanged,
    /// A notice to admins about Unified Login.
    UnifiedLogin,
}
words!(MailKind {
    LinkRequest = "asked",
    ResetLink = "reset_link",
    PasswordChanged = "password_changed",
    PasswordReset = "password_reset",
    EmailVerification = "email_verification",
    Invitation = "invitation",
    EmailChanged = "email_changed",
    UnifiedLogin = "unified_login",
});

impl MailKind {
    /// The word of the column `kind`, which takes the first four alone: the others say more in `about`, and a program that
    /// does not know that column sends them as what this says.
    #[must_use]
    pub const fn stored_as(self) -> &'static str {
        match self {
            Self::LinkRequest | Self::ResetLink | Self::PasswordChanged | Self::PasswordReset => self.as_str(),
            Self::EmailVerification | Self::Invitation | Self::EmailChanged | Self::UnifiedLogin => {
                Self::PasswordChanged.as_str()
            }
        }
    }

    fn about(self) -> Option<&'static str> {
        (self.stored_as() != self.as_str()).then_some(self.as_str())
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Mail {
    /// UUIDv7.
    pub id: String,
    /// What it is.
    pub kind: MailKind,
    /// Sealed: what was asked, or the e-mail.
    pub sealed: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// From then on it is worth nothing any more (Unix ms).
    pub good_until: i64,
}
from_row!(Mail { id, sealed, attempts, good_until } parsed { kind });

/// What is put into the outbox.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// UUIDv7.
    pub id: String,
    /// What it is.
    pub kind: MailKind,
    /// Whose it is, where that is known.
    pub user_id: Option<String>,
    /// A keyed hash of the address, where it is not proven that it is the user's.
    pub recipient: Option<String>,
    /// Sealed: what was asked, or the e-mail.
    pub sealed: String,
    /// From then on it is worth nothing any more.
    pub good_until: Timestamp,
}

/// Puts a mail into the outbox; `false` when as many of its kind wait as `cap` allows.
///
/// # Errors
/// When it cannot be written.
pub async fn insert(tx: &mut Tx, mail: &NewMail, now: Timestamp, cap: i64) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO mails (id, kind, user_id, sealed, state, attempts, next_at, created_at, good_until, about, \
                       recipient) SELECT $1, $2, $3, $4, 'waiting', 0, $5, $5, $6, $8, $9 WHERE $7 > (SELECT COUNT(*) FROM mails \
                       WHERE state = 'waiting' AND COALESCE(about, kind) = $10)";
    let rows = query(SQL)
        .bind(&mail.id)
        .bind(mail.kind.stored_as())
        .bind(&mail.user_id)
        .bind(&mail.sealed)
        .bind(now.0)
        .bind(mail.good_until.0)
        .bind(cap)
        .bind(mail.kind.about())
        .bind(&mail.recipient)
        .bind(mail.kind.as_str())
        .execute(tx)
        .await?;
    Ok(rows == 1)
}

/// How many links were mailed to a user since `since`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn links_since(conn: &mut Conn, user_id: &str, since: Timestamp) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM mails WHERE kind = 'reset_link' AND user_id = $1 AND created_at > $2";
    let (count,): (i64,) = query(SQL).bind(user_id).bind(since.0).fetch_one(conn).await?;
    Ok(count)
}

/// How many links were mailed since `since` to a user whose address is not proven, and how many to that mailbox.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unproven_since(
    conn: &mut Conn,
    user_id: &str,
    recipient: &str,
    since: Timestamp,
) -> Result<(i64, i64), Error> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM mails WHERE about IS NOT NULL AND recipient IS NOT NULL AND user_id = $1 \
                       AND created_at > $3), (SELECT COUNT(*) FROM mails WHERE recipient = $2 AND created_at > $3)";
    query(SQL).bind(user_id).bind(recipient).bind(since.0).fetch_one(conn).await
}

/// How many of a kind wait.
///
/// # Errors
/// When the database cannot be asked.
pub async fn waiting(conn: &mut Conn, kind: MailKind) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM mails WHERE state = 'waiting' AND COALESCE(about, kind) = $1";
    let (count,): (i64,) = query(SQL).bind(kind.as_str()).fetch_one(conn).await?;
    Ok(count)
}

/// The ids of what is due, what waits longest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn due(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT id FROM mails WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at LIMIT $2";
    let rows: Vec<(String,)> = query(SQL).bind(now.0).bind(limit).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Takes what is due until `lease`; `None` when another replica has it.
///
/// # Errors
/// When it cannot be written.
pub async fn take(tx: &mut Tx, id: &str, now: Timestamp, lease: Timestamp) -> Result<Option<Mail>, Error> {
    const SQL: &str = "UPDATE mails SET attempts = attempts + 1, next_at = $3 \
                       WHERE id = $1 AND state = 'waiting' AND next_at <= $2 \
                       RETURNING id, COALESCE(about, kind) AS kind, sealed, attempts, good_until";
    query(SQL).bind(id).bind(now.0).bind(lease.0).fetch_optional(tx).await
}

/// Removes what somebody asked for, once it is answered; `false` when it was answered already.
///
/// # Errors
/// When it cannot be written.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM mails WHERE id = $1 AND state = 'waiting'";
    let rows = query(SQL).bind(id).execute(tx).await?;
    Ok(rows == 1)
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Attempted {
    /// The server has it.
    Sent,
    /// Not this time: why, and when next.
    Again(String, Timestamp),
    /// Not any more: why.
    GivenUp(String),
}

/// Writes down how an attempt ended; what is settled keeps no secret.
///
/// # Errors
/// When it cannot be written.
pub async fn settle(tx: &mut Tx, id: &str, attempted: &Attempted, now: Timestamp) -> Result<(), Error> {
    const AGAIN: &str = "UPDATE mails SET last_error = $2, next_at = $3 WHERE id = $1 AND state = 'waiting'";
    const DONE: &str = "UPDATE mails SET state = $2, settled_at = $3, last_error = $4, sealed = '' \
                        WHERE id = $1 AND state = 'waiting'";
    let (state, error) = match attempted {
        Attempted::Again(why, next) => {
            query(AGAIN).bind(id).bind(why).bind(next.0).execute(tx).await?;
            return Ok(());
        }
        Attempted::Sent => ("sent", None),
        Attempted::GivenUp(why) => ("given_up", Some(why)),
    };
    query(DONE).bind(id).bind(state).bind(now.0).bind(error).execute(tx).await?;
    Ok(())
}

/// Forgets a batch of mails that have been worth nothing since `before`; how many went.
///
/// # Errors
/// When it cannot be written.
pub async fn purge(tx: &mut Tx, before: Timestamp, batch: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM mails WHERE id IN \
                       (SELECT id FROM mails WHERE good_until <= $1 ORDER BY good_until LIMIT $2)";
    query(SQL).bind(before.0).bind(batch).execute(tx).await
}
