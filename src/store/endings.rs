//! Ends what was born before a moment, whoever's it is: what a restore does to everything that is older (G36). Each
//! table that holds something alive stands here, or in the test below with the reason why not.

use super::{Error, Tx, query, single_use};
use crate::time::Timestamp;

/// What is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Older {
    /// All there is: the database is a copy, and nobody has been served from it yet.
    All,
    /// What was born before a moment, and what came of it since.
    Than(Timestamp),
}

/// How much of what lived was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions.
    pub sessions: u64,
    /// Apps' sign-ins: token families.
    pub families: u64,
}

/// One statement over what was born before `$1`; `$2` is now.
macro_rules! end {
    ($tx:expr, $before:expr, $now:expr, $($sql:literal),+) => {{
        const SQL: &str = concat!($($sql),+);
        query(SQL).bind($before).bind($now.0).execute($tx).await?
    }};
}

/// The condition on a row under a `sid`: it is older, or it may have come of a session that is.
macro_rules! is_older {
    ($table:literal) => {
        concat!(
            "(created_at < $1 OR EXISTS (SELECT 1 FROM sessions o WHERE o.sid = ",
            $table,
            ".sid AND o.created_at < $1))"
        )
    };
}

/// One whole statement, with [`is_older`] at its end.
macro_rules! end_under_sid {
    ($tx:expr, $before:expr, $now:expr, $table:literal, $sql:literal) => {{
        const SQL: &str = concat!($sql, " AND ", is_older!($table));
        query(SQL).bind($before).bind($now.0).execute($tx).await?
    }};
}

/// Ends it, and notes the sessions for the apps that were signed in under them.
///
/// # Errors
/// When it cannot be written.
pub async fn end_older(tx: &mut Tx, older: Older, now: Timestamp) -> Result<Ended, Error> {
    let (before, lost_until) = match older {
        Older::All => (i64::MAX, now),
        Older::Than(moment) => (moment.0, moment),
    };
    // A renewal makes another row, and only after credentials were checked: that one is not older.
    let sessions = end!(
        tx,
        before,
        now,
        "UPDATE sessions SET ended_at = $2, end_reason = 'restored' \
         WHERE ended_at IS NULL AND expires_at > $2 AND created_at < $1"
    );
    note_ended_sessions(tx, now).await?;
    let families = end_under_sid!(
        tx,
        before,
        now,
        "families",
        "UPDATE families SET revoked_at = $2, revoke_reason = 'restored', sealed_answer = NULL \
         WHERE revoked_at IS NULL AND expires_at > $2"
    );
    end_under_sid!(tx, before, now, "codes", "UPDATE codes SET expires_at = $2 WHERE expires_at > $2");
    end!(
        tx,
        before,
        now,
        "UPDATE access_tokens SET revoked_at = $2 WHERE revoked_at IS NULL AND expires_at > $2 AND created_at < $1"
    );
    // No epoch is negative: what a browser still brings fits no user, and the sweep records it as unfinished.
    end!(
        tx,
        before,
        now,
        "UPDATE handoffs SET provider_epoch = -1, deadline = CASE WHEN deadline > $2 THEN $2 ELSE deadline END \
         WHERE state = 'pending' AND created_at < $1"
    );
    end!(tx, before, now, "UPDATE pre_auths SET expires_at = $2 WHERE expires_at > $2 AND auth_time < $1");
    end!(tx, before, now, "UPDATE interactions SET expires_at = $2 WHERE expires_at > $2 AND created_at < $1");
    end_links(tx, older, now).await?;
    end!(tx, before, now, "UPDATE email_links SET expires_at = $2 WHERE expires_at > $2 AND created_at < $1");
    end!(
        tx,
        before,
        now,
        "UPDATE mails SET state = 'given_up', settled_at = $2, last_error = 'older than a restore', sealed = '' \
         WHERE state = 'waiting' AND created_at < $1"
    );
    single_use::complete_since(tx, lost_until).await?;
    Ok(Ended { sessions, families })
}

async fn note_ended_sessions(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO logout_notes (id, kind, subject, cursor, passes, due_at) \
                       SELECT 'session ' || s.id, 'session', s.sid, '', 1, 0 FROM sessions s WHERE s.ended_at = $1 AND s.end_reason = 'restored' \
                       AND EXISTS (SELECT 1 FROM families f WHERE f.sid = s.sid) ON CONFLICT DO NOTHING";
    query(SQL).bind(now.0).execute(tx).await?;
    Ok(())
}

/// A link says when it was made by its id alone. One that was used after the backup would work once more.
async fn end_links(tx: &mut Tx, older: Older, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE password_links SET expires_at = $2 WHERE expires_at > $2 AND id < $1";
    let before = match older {
        // Comes after every hexadecimal digit.
        Older::All => "g".to_owned(),
        Older::Than(moment) => moment.first_id(),
    };
    query(SQL).bind(&before).bind(now.0).execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::{Database, query};

    /// Tables that hold something for a time and are not ended by a restore, each with the reason.
    const SPARED: &[(&str, &str)] = &[
        ("users", "passwords are what they were at the backup, and are told as uncertain"),
        ("client_secrets", "what a client is known by, as a user's password"),
        ("single_use", "what is used up stays so; what was used after the backup is barred by `complete_since`"),
        ("strike_slots", "one lapses by itself in seconds"),
        ("strikes", "a strike that is counted does no harm"),
        ("logout_deliveries", "who was told of a logout once may be told again"),
        (
            "imports",
            "its report is for who began it, after a new sign-in, and tells of users as they are in the same backup",
        ),
        ("replicas", "a sign of life, which opens nothing and goes by itself in minutes"),
        ("idempotency_keys", "the answer belongs to what is in the same backup"),
    ];

    /// Whatever has a life of its own, or a secret to be found by, is ended by a restore or spared for a reason.
    #[tokio::test]
    async fn nothing_that_lives_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let url = Database::sqlite_url(&dir.path().join("connect.db"));
        let settings = crate::config::Database { url, connections: 1, ..crate::config::Config::default().database };
        let db = Database::open(&settings, crate::time::Clock::System).await.unwrap();
        db.migrate().await.unwrap();
        let mut conn = db.read().await.unwrap();
        let sql = "SELECT DISTINCT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' \
                   AND (c.name IN ('expires_at', 'deadline', 'good_until', 'lapses_at', 'used_at', 'next_at') OR c.name LIKE '%_hash')";
        let found: Vec<(String,)> = query(sql).fetch_all(&mut conn).await.unwrap();
        let text = include_str!("endings.rs");
        for (table,) in found {
            let ended = text.contains(&format!("\"UPDATE {table} SET"));
            let spared = SPARED.iter().any(|(name, _)| *name == table) || NOT_ALIVE.contains(&table.as_str());
            assert!(ended || spared, "does a restore end what is in {table}? See this file");
        }
    }

    /// Records: what was, not what may be used.
    const NOT_ALIVE: &[&str] = &["activity", "activity_chain"];
}
