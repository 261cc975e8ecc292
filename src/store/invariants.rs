//! What must hold of the stored rows whatever happened before, as SQL: `doctor` and the fault tests count violations.
//!
//! The schema's own constraints keep some of these already; they are counted all the same, so that a database restored
//! or mended by hand is looked at too.

use super::{Conn, Error, on};
use crate::time::Timestamp;

/// A claim, and a statement that counts the rows that break it.
type Invariant = (&'static str, &'static str);

const ALWAYS: &[Invariant] = &[
    (
        "each handoff assertion (issuer, jti) opened at most one session",
        "SELECT COUNT(*) FROM (SELECT h.issuer_id, h.jti_hash FROM sessions s JOIN handoffs h ON h.id = s.handoff_id \
         GROUP BY h.issuer_id, h.jti_hash HAVING COUNT(*) > 1) AS twice",
    ),
    (
        "each session has exactly one record of success",
        "SELECT COUNT(*) FROM sessions s WHERE s.created_at > (SELECT pruned_before FROM activity_chain) AND (SELECT COUNT(*) FROM activity a WHERE a.session_id = s.id \
         AND a.kind = 'sign_in' AND a.outcome = 'success' AND a.user_id = s.user_id) <> 1",
    ),
    (
        "sessions of handoffs are recorded as \"Login initiated from Therap Services\", and no others are",
        "SELECT COUNT(*) FROM sessions s JOIN activity a ON a.session_id = s.id AND a.kind = 'sign_in' \
         AND a.outcome = 'success' WHERE (s.method = 'handoff') <> \
         (COALESCE(a.note, '') = 'Login initiated from Therap Services' AND a.login_type = 'Unified Login')",
    ),
    (
        "each handoff that was completed has exactly one record of success",
        "SELECT COUNT(*) FROM handoffs h WHERE h.state = 'completed' \
         AND h.created_at > (SELECT pruned_before FROM activity_chain) AND (SELECT COUNT(*) FROM activity a \
         WHERE a.handoff_id = h.id AND a.kind = 'sign_in' AND a.outcome = 'success') <> 1",
    ),
    (
        "each handoff that failed has a record of it and no session in use",
        "SELECT COUNT(*) FROM handoffs h WHERE h.state = 'failed' AND (NOT EXISTS (SELECT 1 FROM activity a \
         WHERE a.handoff_id = h.id AND a.outcome = 'refused') \
         AND h.created_at > (SELECT pruned_before FROM activity_chain) \
         OR EXISTS (SELECT 1 FROM sessions s WHERE s.handoff_id = h.id AND s.ended_at IS NULL))",
    ),
    (
        "each user has a strike row of its own, with 0 to 3 wrong passwords",
        "SELECT COUNT(*) FROM users u LEFT JOIN strikes s ON s.user_id = u.id \
         WHERE s.account IS NULL OR s.account <> u.id OR s.failures < 0 OR s.failures > 3",
    ),
    (
        "nobody who is locked by an administrator or deactivated has a session born since",
        "SELECT COUNT(*) FROM sessions s JOIN users u ON u.id = s.user_id JOIN providers p ON p.id = s.provider_id \
         WHERE s.ended_at IS NULL AND s.user_epoch = u.epoch AND s.provider_epoch = p.epoch \
         AND (u.admin_locked OR NOT u.active OR NOT p.active)",
    ),
    (
        "nobody whose password must be updated has a session opened by password since",
        "SELECT COUNT(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.ended_at IS NULL \
         AND s.user_epoch = u.epoch AND s.method = 'password' AND u.temporary_until IS NOT NULL",
    ),
    (
        "nobody who is locked by an administrator or deactivated has a token family born since",
        "SELECT COUNT(*) FROM families f JOIN users u ON u.id = f.user_id JOIN providers p ON p.id = f.provider_id \
         WHERE f.revoked_at IS NULL AND f.user_epoch = u.epoch AND f.provider_epoch = p.epoch \
         AND (u.admin_locked OR NOT u.active OR NOT p.active)",
    ),
    (
        "each token family came of a code that is spent, or was spent too long ago to be remembered",
        "SELECT COUNT(*) FROM families f JOIN codes k ON k.family_id = f.id WHERE k.redeemed_at IS NULL \
         OR k.client <> f.client OR k.user_id <> f.user_id",
    ),
    (
        "each access token is of its family's client",
        "SELECT COUNT(*) FROM access_tokens a JOIN families f ON f.id = a.family_id WHERE a.client <> f.client",
    ),
    (
        "each algorithm has exactly one signing key without a successor",
        "SELECT COUNT(*) FROM (SELECT alg FROM signing_keys GROUP BY alg \
         HAVING SUM(CASE WHEN verifies_until IS NULL AND retired_at IS NULL THEN 1 ELSE 0 END) <> 1) broken",
    ),
    (
        "no signing key that was taken back has its private half",
        "SELECT COUNT(*) FROM signing_keys WHERE retired_at IS NOT NULL AND sealed_jwk <> ''",
    ),
    (
        "no handoff opened a session of the operator realm",
        "SELECT COUNT(*) FROM sessions s JOIN providers p ON p.id = s.provider_id \
         WHERE s.method = 'handoff' AND p.kind = 'operator'",
    ),
    (
        "each session belongs to its user's provider",
        "SELECT COUNT(*) FROM sessions c JOIN users u ON u.id = c.user_id WHERE c.provider_id <> u.provider_id",
    ),
    (
        "each handoff belongs to its user's provider",
        "SELECT COUNT(*) FROM handoffs c JOIN users u ON u.id = c.user_id WHERE c.provider_id <> u.provider_id",
    ),
    (
        "each session is of its handoff's user",
        "SELECT COUNT(*) FROM sessions s JOIN handoffs h ON h.id = s.handoff_id \
         WHERE s.user_id <> h.user_id OR s.provider_id <> h.provider_id OR s.issuer_id <> h.issuer_id",
    ),
    (
        "each tie belongs to its user's provider",
        "SELECT COUNT(*) FROM handoff_ties c JOIN users u ON u.id = c.user_id WHERE c.provider_id <> u.provider_id",
    ),
    (
        "each record of activity belongs to its user's provider",
        "SELECT COUNT(*) FROM activity c JOIN users u ON u.id = c.user_id \
         WHERE c.provider_id IS NULL OR c.provider_id <> u.provider_id",
    ),
    (
        // Of the last ten thousand; `activity verify` looks at all of them, and at what they say.
        "the record has no gap at its end",
        "SELECT COUNT(*) FROM activity_chain c WHERE (SELECT COUNT(*) FROM activity_seals s JOIN activity a \
         ON a.id = s.activity_id WHERE s.seq > c.pruned_seq AND s.seq > c.seq - 10000) \
         <> CASE WHEN c.seq - c.pruned_seq < 10000 THEN c.seq - c.pruned_seq ELSE 10000 END \
         OR c.hash <> COALESCE((SELECT s.hash FROM activity_seals s WHERE s.seq = c.seq AND s.seq > c.pruned_seq), \
         c.pruned_hash)",
    ),
];

/// Those that ask for the time: `$1` is now.
const NOW: &[Invariant] = &[
    (
        // Sessions are kept for at least 24 hours.
        "each record of success of the last 24 hours has its session",
        "SELECT COUNT(*) FROM activity a WHERE a.kind = 'sign_in' AND a.outcome = 'success' AND a.at > $1 - 86400000 \
         AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = a.session_id)",
    ),
    (
        "no account has more than three guesses counted and in hand together",
        "SELECT COUNT(*) FROM (SELECT s.account FROM strikes s JOIN strike_slots l ON l.account = s.account \
         WHERE l.expires_at > $1 GROUP BY s.account, s.failures HAVING s.failures + COUNT(*) > 3) AS beyond",
    ),
];

/// Each invariant with the number of rows that break it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn violations(conn: &mut Conn, now: Timestamp) -> Result<Vec<(&'static str, i64)>, Error> {
    let mut found = Vec::with_capacity(ALWAYS.len() + NOW.len());
    for (name, sql) in ALWAYS.iter().copied() {
        let (count,): (i64,) = on!(conn, |c| sqlx::query_as(sql).fetch_one(c).await)?;
        found.push((name, count));
    }
    for (name, sql) in NOW.iter().copied() {
        let (count,): (i64,) = on!(conn, |c| sqlx::query_as(sql).bind(now.0).fetch_one(c).await)?;
        found.push((name, count));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Database, in_transaction};
    use crate::time::{Clock, Deadline};

    /// What the schema's constraints do not catch is caught here.
    #[tokio::test]
    async fn a_broken_row_is_counted_under_its_claim() {
        const BREAK: &str = "INSERT INTO providers VALUES ('p', 'agency', 'A', 'a', 'A', true, 'off', 'UTC', NULL, NULL, NULL, 1, 0, 1, true); \
                             INSERT INTO users VALUES ('u', 'p', 'agency', 'amina', 'amina', 'A', 'Regular User', true, false, 'x', 1, \
                             NULL, '{}', 1, 0, '', 1); \
                             INSERT INTO sessions VALUES ('s', 's', 'h', 'p', 'u', 1, 1, NULL, NULL, NULL, 'password', 'a', NULL, 0, 1, \
                             NULL, 1, 1, NULL, NULL, '', '')";
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(Timestamp(1_800_000_000_000));
        let url = format!("sqlite://{}/t.db", dir.path().display());
        let settings = crate::config::Database { url, connections: 1, ..crate::config::Database::default() };
        let db = Database::open(&settings, clock.clone()).await.unwrap();
        db.migrate().await.unwrap();
        let broken = async || {
            let counted = violations(&mut db.read().await.unwrap(), clock.now()).await.unwrap();
            counted.into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert!(broken().await.is_empty());
        let deadline = Deadline::after(Duration::from_secs(10), clock.now());
        in_transaction!(db, deadline, [], |tx| Ok(tx.simple(BREAK).await?)).unwrap();
        assert_eq!(
            broken().await,
            [
                "each session has exactly one record of success",
                "each user has a strike row of its own, with 0 to 3 wrong passwords"
            ]
        );
    }
}
