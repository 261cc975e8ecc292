//! What must hold of the stored rows whatever happened before, as SQL: `doctor` and the fault tests count violations.
//!
//! The schema's own constraints keep some of these already; they are counted all the same, so that a database restored
//! or mended by hand is looked at too.

use super::{Conn, Error, Sql, query};
use crate::time::Timestamp;

/// A claim about the rows.
#[derive(Debug)]
pub struct Invariant {
    /// What must hold.
    pub claim: &'static str,
    /// Selects the `id` of what breaks it; `$1`, where it stands, is now.
    broken: &'static str,
    /// What to do where it is broken.
    pub cure: &'static str,
    /// Whether the whole of User Activity is read for it: minutes, where that is millions of records.
    pub is_long: bool,
}

/// The most of what breaks a claim that are named.
const NAMED: &str = " LIMIT 3";

const KEEP_A_COPY: &str = "somebody or something else than this program has written here: keep a copy of the database, find out \
                           from its log who, and ask for support before changing anything";
const END_SESSIONS: &str = "`connect-idp session end-all` ends what lives; keep a copy of the database, and report it";

const fn claim(claim: &'static str, broken: &'static str, cure: &'static str) -> Invariant {
    Invariant { claim, broken, cure, is_long: false }
}

const fn long(claim: &'static str, broken: &'static str, cure: &'static str) -> Invariant {
    Invariant { claim, broken, cure, is_long: true }
}

/// All of them.
pub const ALL: &[Invariant] = &[
    claim(
        "each handoff assertion (issuer, jti) opened at most one session",
        "SELECT MIN(s.id) AS id FROM sessions s JOIN handoffs h ON h.id = s.handoff_id GROUP BY h.issuer_id, \
         h.jti_hash HAVING COUNT(*) > 1",
        END_SESSIONS,
    ),
    claim(
        "each session has exactly one record of success",
        "SELECT s.id FROM sessions s WHERE s.created_at > (SELECT pruned_before FROM activity_chain) AND (SELECT \
         COUNT(*) FROM activity a WHERE a.session_id = s.id AND a.kind = 'sign_in' AND a.outcome = 'success' AND \
         a.user_id = s.user_id) <> 1",
        "a session without its record, or a record that was removed: end it with `connect-idp session list` and \
         `session end`, and run `connect-idp activity verify`",
    ),
    claim(
        "sessions of handoffs are recorded as \"Login initiated from Therap Services\", and no others are",
        "SELECT s.id FROM sessions s JOIN activity a ON a.session_id = s.id AND a.kind = 'sign_in' AND a.outcome \
         = 'success' WHERE (s.method = 'handoff') <> (COALESCE(a.note, '') = 'Login initiated from Therap \
         Services' AND a.login_type = 'Unified Login')",
        "a record or a session was changed by hand: run `connect-idp activity verify`, which names the record, \
         and keep a copy of the database",
    ),
    claim(
        "each handoff that was completed has exactly one record of success",
        "SELECT h.id FROM handoffs h WHERE h.state = 'completed' AND h.created_at > (SELECT pruned_before FROM \
         activity_chain) AND (SELECT COUNT(*) FROM activity a WHERE a.handoff_id = h.id AND a.kind = 'sign_in' \
         AND a.outcome = 'success') <> 1",
        "a record was removed, or a handoff changed by hand: run `connect-idp activity verify`, and keep a copy \
         of the database",
    ),
    claim(
        "each handoff that failed has a record of it and no session in use",
        "SELECT h.id FROM handoffs h WHERE h.state = 'failed' AND (NOT EXISTS (SELECT 1 FROM activity a WHERE \
         a.handoff_id = h.id AND a.outcome = 'refused') AND h.created_at > (SELECT pruned_before FROM \
         activity_chain) OR EXISTS (SELECT 1 FROM sessions s WHERE s.handoff_id = h.id AND s.ended_at IS NULL))",
        END_SESSIONS,
    ),
    claim(
        "each user has a strike row of its own, with 0 to 3 wrong passwords",
        "SELECT u.id FROM users u LEFT JOIN strikes s ON s.user_id = u.id WHERE s.account IS NULL OR s.account <> \
         u.id OR s.failures < 0 OR s.failures > 3",
        "such a user cannot sign in, or is not locked by wrong passwords: deactivate the user, keep a copy of the \
         database, and ask for support",
    ),
    claim(
        "nobody who is locked by an administrator or deactivated has a session born since",
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id JOIN providers p ON p.id = s.provider_id \
         WHERE s.ended_at IS NULL AND s.user_epoch = u.epoch AND s.provider_epoch = p.epoch AND (u.admin_locked \
         OR NOT u.active OR NOT p.active)",
        "unlock and lock the user (or activate and deactivate, user or provider) with `connect-idp`, which ends \
         them; and report it",
    ),
    claim(
        "nobody signed in by password after three wrong ones had locked the account",
        "SELECT u.id FROM users u JOIN strikes s ON s.user_id = u.id WHERE s.failures >= 3 AND (SELECT MAX(a.at) FROM \
         activity a WHERE a.user_id = u.id AND a.kind = 'sign_in' AND a.outcome = 'success' AND a.login_type = 'Direct \
         Login') > (SELECT MAX(a.at) + 60000 FROM activity a WHERE a.user_id = u.id AND a.kind = 'account_locked' AND \
         a.reason = 'three_wrong_passwords')",
        "end the sessions of these users with `connect-idp user end-sessions`, reset their passwords, and report it",
    ),
    claim(
        "nobody whose password must be updated has a session opened by password since",
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.ended_at IS NULL AND s.user_epoch = \
         u.epoch AND s.method = 'password' AND u.temporary_until IS NOT NULL",
        "reset the password once more with `connect-idp user reset-password`, which ends them; and report it",
    ),
    claim(
        "nobody who is locked by an administrator or deactivated has a token family born since",
        "SELECT f.id FROM families f JOIN users u ON u.id = f.user_id JOIN providers p ON p.id = f.provider_id \
         WHERE f.revoked_at IS NULL AND f.user_epoch = u.epoch AND f.provider_epoch = p.epoch AND (u.admin_locked \
         OR NOT u.active OR NOT p.active)",
        "unlock and lock the user (or activate and deactivate, user or provider) with `connect-idp`, which ends \
         them; and report it",
    ),
    claim(
        "nobody who is locked by an administrator or deactivated has a code born since",
        "SELECT k.family_id AS id FROM codes k JOIN users u ON u.id = k.user_id JOIN providers p ON p.id = \
         k.provider_id WHERE k.redeemed_at IS NULL AND k.expires_at > $1 AND k.user_epoch = u.epoch AND \
         k.provider_epoch = p.epoch AND (u.admin_locked OR NOT u.active OR NOT p.active)",
        "unlock and lock the user (or activate and deactivate, user or provider) with `connect-idp`, which ends \
         them; and report it",
    ),
    claim(
        "no client that is disabled has a token family, code or token born since",
        "SELECT b.id FROM (SELECT id, client, client_epoch FROM families WHERE revoked_at IS NULL UNION ALL SELECT \
         family_id, client, client_epoch FROM codes WHERE redeemed_at IS NULL AND expires_at > $1 UNION ALL SELECT hash, \
         client, client_epoch FROM access_tokens WHERE revoked_at IS NULL AND expires_at > $1) b JOIN clients c ON c.id = \
         b.client AND c.epoch = b.client_epoch WHERE NOT c.enabled",
        "enable and disable the client with `connect-idp`, which ends them; and report it",
    ),
    claim(
        "each token family came of a code that is spent, or was spent too long ago to be remembered",
        "SELECT f.id FROM families f JOIN codes k ON k.family_id = f.id WHERE k.redeemed_at IS NULL OR k.client \
         <> f.client OR k.user_id <> f.user_id",
        END_SESSIONS,
    ),
    claim(
        "each access token is of its family's client",
        "SELECT f.id FROM access_tokens a JOIN families f ON f.id = a.family_id WHERE a.client <> f.client",
        KEEP_A_COPY,
    ),
    claim(
        "no access token was born after its family was revoked",
        "SELECT f.id FROM access_tokens a JOIN families f ON f.id = a.family_id WHERE a.revoked_at IS NULL AND \
         a.created_at > f.revoked_at + 60000",
        END_SESSIONS,
    ),
    claim(
        "each algorithm has exactly one signing key without a successor",
        "SELECT alg AS id FROM signing_keys GROUP BY alg HAVING SUM(CASE WHEN verifies_until IS NULL AND \
         retired_at IS NULL THEN 1 ELSE 0 END) <> 1",
        "run `connect-idp key rotate --at-once` for that algorithm, and look at `connect-idp key list`",
    ),
    claim(
        "no signing key that was taken back has its private half",
        "SELECT kid AS id FROM signing_keys WHERE retired_at IS NOT NULL AND sealed_jwk <> ''",
        "a key that was taken back may sign elsewhere: run `connect-idp key rotate --at-once`, keep a copy of the \
         database, and report it",
    ),
    claim(
        "no handoff opened a session of the operator realm",
        "SELECT s.id FROM sessions s JOIN providers p ON p.id = s.provider_id WHERE s.method = 'handoff' AND \
         p.kind = 'operator'",
        END_SESSIONS,
    ),
    claim(
        "each session belongs to its user's provider",
        "SELECT c.id FROM sessions c JOIN users u ON u.id = c.user_id WHERE c.provider_id <> u.provider_id",
        KEEP_A_COPY,
    ),
    claim(
        "each handoff belongs to its user's provider",
        "SELECT c.id FROM handoffs c JOIN users u ON u.id = c.user_id WHERE c.provider_id <> u.provider_id",
        KEEP_A_COPY,
    ),
    claim(
        "each session is of its handoff's user",
        "SELECT s.id FROM sessions s JOIN handoffs h ON h.id = s.handoff_id WHERE s.user_id <> h.user_id OR \
         s.provider_id <> h.provider_id OR s.issuer_id <> h.issuer_id",
        END_SESSIONS,
    ),
    claim(
        "each tie belongs to its user's provider",
        "SELECT c.user_id AS id FROM handoff_ties c JOIN users u ON u.id = c.user_id WHERE c.provider_id <> \
         u.provider_id",
        "until it is undone, somebody may come in as another agency's user: run `connect-idp user untie` for \
         these users",
    ),
    claim(
        "each code, token family, consent, link and half-done sign-in belongs to its user's provider",
        "SELECT c.id FROM (SELECT family_id AS id, user_id, provider_id FROM codes UNION ALL SELECT id, user_id, \
         provider_id FROM families UNION ALL SELECT user_id, user_id, provider_id FROM consents UNION ALL SELECT \
         id, user_id, provider_id FROM password_links UNION ALL SELECT id, user_id, provider_id FROM pre_auths) c \
         JOIN users u ON u.id = c.user_id WHERE c.provider_id <> u.provider_id",
        KEEP_A_COPY,
    ),
    long(
        "each record of activity belongs to its user's provider",
        "SELECT c.id FROM activity c JOIN users u ON u.id = c.user_id WHERE c.provider_id IS NULL OR \
         c.provider_id <> u.provider_id",
        "a record stands in another agency's list: run `connect-idp activity verify`, which says whether it was \
         changed, and keep a copy",
    ),
    claim(
        // Of the last ten thousand; `activity verify` looks at all of them, and at what they say.
        "the record has no gap at its end",
        "SELECT CAST(c.seq AS TEXT) AS id FROM activity_chain c WHERE (SELECT COUNT(*) FROM activity_seals s JOIN \
         activity a ON a.id = s.activity_id WHERE s.seq > c.pruned_seq AND s.seq > c.seq - 10000) <> CASE WHEN \
         c.seq - c.pruned_seq < 10000 THEN c.seq - c.pruned_seq ELSE 10000 END OR c.hash <> COALESCE((SELECT \
         s.hash FROM activity_seals s WHERE s.seq = c.seq AND s.seq > c.pruned_seq), c.pruned_hash)",
        "run `connect-idp activity verify`, which names the first record that is missing, and keep a copy of the \
         database",
    ),
    claim(
        // Sessions are kept for at least 24 hours.
        "each record of success of the last 24 hours has its session",
        "SELECT a.id FROM activity a WHERE a.kind = 'sign_in' AND a.outcome = 'success' AND a.at > $1 - 86400000 \
         AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = a.session_id)",
        "sessions were removed by hand, or the database was put together from two: keep a copy of it, and find \
         out from its log who wrote",
    ),
    claim(
        "no account has more than three guesses counted and in hand together",
        "SELECT s.account AS id FROM strikes s JOIN strike_slots l ON l.account = s.account WHERE l.expires_at > \
         $1 GROUP BY s.account, s.failures HAVING s.failures + COUNT(*) > 3",
        "more was guessed than three times: reset the password of these users with `connect-idp user \
         reset-password`, and report it",
    ),
    claim(
        "whom a directory deleted is deactivated",
        "SELECT u.id FROM users u JOIN provisioned_users p ON p.user_id = u.id WHERE p.deleted_at IS NOT NULL AND u.active",
        "deactivate the user, if the person has left, or have the directory create it again",
    ),
];

impl Invariant {
    fn asks_time(&self) -> bool {
        self.broken.contains("$1")
    }

    /// How many rows break it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn count(&self, conn: &mut Conn, now: Timestamp) -> Result<i64, Error> {
        let sql = || Sql::composed(format!("SELECT COUNT(*) FROM ({}) AS broken", self.broken));
        let (count,): (i64,) = if self.asks_time() {
            query(sql()).bind(now.0).fetch_one(conn).await?
        } else {
            query(sql()).fetch_one(conn).await?
        };
        Ok(count)
    }

    /// The first of what breaks it, three at most.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn examples(&self, conn: &mut Conn, now: Timestamp) -> Result<Vec<String>, Error> {
        let sql = || Sql::composed(format!("SELECT id FROM ({}) AS broken ORDER BY id{NAMED}", self.broken));
        let found: Vec<(String,)> = if self.asks_time() {
            query(sql()).bind(now.0).fetch_all(conn).await?
        } else {
            query(sql()).fetch_all(conn).await?
        };
        Ok(found.into_iter().map(|(id,)| id).collect())
    }
}

/// Each invariant with the number of rows that break it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn violations(conn: &mut Conn, now: Timestamp) -> Result<Vec<(&'static str, i64)>, Error> {
    let mut found = Vec::with_capacity(ALL.len());
    for invariant in ALL {
        found.push((invariant.claim, invariant.count(conn, now).await?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::time::Clock;

    /// A provider and the operator realm, with a user each: nothing is broken.
    const WHOLE: &str = "INSERT INTO providers VALUES ('p', 'agency', 'A', 'a', 'A', true, 'off', 'UTC', NULL, NULL, NULL, 1, 0, 1, true), \
        ('o', 'operator', 'O', 'o', 'O', true, 'off', 'UTC', NULL, NULL, NULL, 1, 0, 1, true); \
        INSERT INTO users VALUES ('u', 'p', 'agency', 'amina', 'amina', 'A', 'Regular User', true, false, 'x', 1, NULL, '{}', 1, 0, '', 1, NULL, NULL, 0), \
        ('w', 'o', 'operator', 'tess', 'tess', 'T', 'Therap Admin', true, false, 'x', 1, NULL, '{}', 1, 0, '', 1, NULL, NULL, 0); \
        INSERT INTO strikes VALUES ('u', 'u', 'p', 0, NULL), ('w', 'w', 'o', 0, NULL);";
    const SESSION: &str = "INSERT INTO sessions VALUES ('s', 's', 'h', 'p', 'u', 1, 1, NULL, NULL, NULL, 'password', 'a', NULL, 0, 1, \
        NULL, 1, 1, NULL, NULL, '', '');";
    const RECORD: &str = "INSERT INTO activity (id, at, provider_id, user_id, actor, kind, login_type, outcome, reference, session_id) \
        VALUES ('a', 1, 'p', 'u', 'user', 'sign_in', 'Direct Login', 'success', 'r', 's');";
    const HANDOFF: &str = "INSERT INTO handoffs VALUES ('h', 'h', 'completed', 'i', 'j', 'p', 'u', 1, 1, 1, 'sub', 0, 0, '', NULL, NULL, \
        '', '', 'r', 1);";
    const FAMILY: &str = "INSERT INTO families (id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, sid, offline, \
        scope, resources, acr, auth_time, generation, created_at, expires_at) \
        VALUES ('f', 'c', 1, 'p', 'u', 1, 1, 's', false, '', '', '', 0, 1, 1, 1);";
    const CODE: &str = "INSERT INTO codes (hash, family_id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, sid, \
        session_expires_at, redirect_uri, scope, resources, acr, auth_time, created_at, expires_at) \
        VALUES ('k', 'f', 'c', 1, 'p', 'u', 1, 1, 's', 1, '', '', '', '', 0, 1, 9000000000000);";
    const TOKEN: &str = "INSERT INTO access_tokens VALUES ('t', 'f', 'c', 1, '', '', 100000, 1, NULL);";

    /// Breaks each claim, in their order; what is named for it.
    fn harms() -> Vec<(String, &'static str)> {
        let all = |parts: &[&str]| parts.concat();
        let session = |change: &str| all(&[SESSION, RECORD, change]);
        vec![
            (
                all(&[
                    "ALTER TABLE handoffs RENAME TO h; CREATE TABLE handoffs AS SELECT * FROM h;",
                    HANDOFF,
                    "INSERT INTO handoffs SELECT 'h2', handle_hash, state, issuer_id, jti_hash, provider_id, user_id, user_epoch, \
                     provider_epoch, issuer_epoch, sub, deadline, auth_time, acr, amr, target, address, browser, reference, created_at \
                     FROM handoffs;",
                    SESSION,
                    "UPDATE sessions SET handoff_id = 'h';",
                    &SESSION.replace("'s', 's', 'h'", "'s2', 's2', 'h2'"),
                    "UPDATE sessions SET handoff_id = 'h2' WHERE id = 's2';",
                ]),
                "s",
            ),
            (SESSION.into(), "s"),
            (session("UPDATE activity SET login_type = 'Unified Login', note = 'Login initiated from Therap Services'"), "s"),
            (HANDOFF.into(), "h"),
            (HANDOFF.replace("completed", "failed"), "h"),
            ("DELETE FROM strikes WHERE account = 'u'".into(), "u"),
            (session("UPDATE users SET admin_locked = true WHERE id = 'u'"), "s"),
            (
                session(
                    "INSERT INTO activity (id, at, provider_id, user_id, actor, kind, outcome, reason, reference) \
                     VALUES ('l', 1, 'p', 'u', 'system', 'account_locked', 'success', 'three_wrong_passwords', 'r'); \
                     UPDATE activity SET at = 70000 WHERE id = 'a'; UPDATE strikes SET failures = 3 WHERE account = 'u'",
                ),
                "u",
            ),
            (session("UPDATE users SET temporary_until = 1 WHERE id = 'u'"), "s"),
            (all(&[FAMILY, "UPDATE users SET active = false WHERE id = 'u'"]), "f"),
            (all(&[CODE, "UPDATE providers SET active = false WHERE id = 'p'"]), "f"),
            (all(&[FAMILY, "INSERT INTO clients VALUES ('c', 'app', '{}', false, 1, 1, 1)"]), "f"),
            (all(&[FAMILY, CODE]), "f"),
            (all(&[FAMILY, TOKEN, "UPDATE access_tokens SET client = 'other'"]), "f"),
            (all(&[FAMILY, TOKEN, "UPDATE families SET revoked_at = 1, revoke_reason = 'x'"]), "f"),
            ("INSERT INTO signing_keys VALUES ('k', 'ES256', 1, '', '', 1, 1, 5, NULL)".into(), "ES256"),
            ("INSERT INTO signing_keys VALUES ('k', 'ES256', 1, '', 'sealed', 1, 1, 5, 6)".into(), "k"),
            (all(&[SESSION, "UPDATE sessions SET provider_id = 'o', user_id = 'w', method = 'handoff'"]), "s"),
            (session("UPDATE sessions SET provider_id = 'o'"), "s"),
            (all(&[HANDOFF, "UPDATE handoffs SET provider_id = 'o'"]), "h"),
            (all(&[HANDOFF, SESSION, "UPDATE sessions SET handoff_id = 'h', user_id = 'w'"]), "s"),
            ("INSERT INTO handoff_ties VALUES ('i', 'o', 'u', 'sub', 1)".into(), "u"),
            ("INSERT INTO consents VALUES ('u', 'o', 'c', '', 1, 1)".into(), "u"),
            (session("UPDATE activity SET provider_id = 'o'"), "a"),
            ("UPDATE activity_chain SET seq = 5".into(), "5"),
            (all(&[RECORD, "UPDATE activity SET at = 1800000000000"]), "a"),
            (
                "INSERT INTO strike_slots VALUES ('1', 'u', 9000000000000), ('2', 'u', 9000000000000), ('3', 'u', 9000000000000), \
                 ('4', 'u', 9000000000000)"
                    .into(),
                "u",
            ),
            ("INSERT INTO provisioned_users VALUES ('u', 'p', '{}', 1, 1)".into(), "u"),
        ]
    }

    /// Each is broken by hand, past the schema's own constraints, and found, with what breaks it.
    #[tokio::test]
    async fn whatever_breaks_a_claim_is_counted_and_named() {
        let harms = harms();
        assert_eq!(harms.len(), ALL.len(), "a claim that nothing breaks is none");
        let now = Timestamp(1_800_000_000_000);
        for (invariant, (harm, id)) in ALL.iter().zip(harms) {
            let dir = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/t.db", dir.path().display());
            let settings =
                crate::config::Database { url: url.clone(), connections: 1, ..crate::config::Database::default() };
            let db = Database::open(&settings, Clock::fixed(now)).await.unwrap();
            db.migrate().await.unwrap();
            let outsider = rusqlite::Connection::open(dir.path().join("t.db")).unwrap();
            let run = |sql: String| outsider.execute_batch(&sql).unwrap();
            run(format!("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {WHOLE}"));
            let mut conn = db.read().await.unwrap();
            let whole = violations(&mut conn, now).await.unwrap();
            assert!(whole.iter().all(|(_, count)| *count == 0), "{whole:?}");
            drop(conn);
            run(harm);
            let mut conn = db.read().await.unwrap();
            assert_eq!(invariant.count(&mut conn, now).await.unwrap(), 1, "{}", invariant.claim);
            assert_eq!(invariant.examples(&mut conn, now).await.unwrap(), [id], "{}", invariant.claim);
            assert!(invariant.cure.len() > 40, "{} has no cure", invariant.claim);
        }
    }
}
