//! The 30 seconds against a database that does not answer, and clients that do not wait (U7, U8, G7). Here they are 2.

use std::time::Duration;

use connect_idp::config::Config;
use connect_idp::jobs;
use connect_idp::time::{Clock, Random, Timestamp};

use crate::actors::{Answer, Engine, Idp, Outsider, PASSWORD, User};

const LATE: &str = "Login failed due to request timeout. Please try again from Therap Services";
const TIMEOUT: i64 = 2000;

fn two_seconds(config: &mut Config) {
    config.handoff.timeout_seconds = 2;
}

fn now() -> Timestamp {
    Clock::System.now()
}

/// Waits for the next whole second, so that an assertion minted then has all of its time.
async fn whole_second() {
    tokio::time::sleep(Duration::from_millis(1000 - u64::try_from(now().0 % 1000).unwrap())).await;
}

/// A database that keeps everybody waiting who wants to write to a table: on SQLite somebody else holds the one
/// writer's place, on PostgreSQL a lock on the table.
struct Stall(Outsider);

impl Stall {
    async fn begin(idp: &Idp, table: &str) -> Self {
        let mut outsider = idp.outsider().await;
        match idp.engine {
            Engine::Sqlite => outsider.run("BEGIN IMMEDIATE").await,
            Engine::Postgres => {
                outsider.run("BEGIN").await;
                outsider.run(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await;
            }
        }
        Self(outsider)
    }

    async fn end(mut self) {
        self.0.run("ROLLBACK").await;
    }
}

/// On SQLite every write waits at the same place.
fn tables<const N: usize>(engine: Engine, all: [&'static str; N]) -> Vec<&'static str> {
    match engine {
        Engine::Sqlite => all[..1].to_vec(),
        Engine::Postgres => all.to_vec(),
    }
}

/// Every try of this user, once the database has had time to take what is owed.
async fn settled(idp: &Idp, user: &User, wanted: usize) -> Vec<String> {
    let tries = async || {
        let records = idp.activity().await;
        let of_user = records.iter().filter(|r| r.user_id.as_deref() == Some(&user.id) && r.kind.as_str() == "sign_in");
        of_user.map(crate::actors::line).collect::<Vec<_>>()
    };
    for _ in 0..200 {
        jobs::sweep(&idp.app).await.unwrap();
        if tries().await.len() >= wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // And no second one a moment later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    jobs::sweep(&idp.app).await.unwrap();
    tries().await
}

/// The page of U7, not later than a second after the deadline, and nothing about the session.
#[track_caller]
fn assert_late_in_time(answer: &Answer, minted: Timestamp, what: &str) {
    let answered = now().0;
    assert_eq!((answer.status.as_u16(), answer.message().as_deref()), (403, Some(LATE)), "{what}");
    let deadline = minted.seconds() * 1000 + TIMEOUT;
    assert!(answered <= deadline + 1000, "{what}: answered {} ms after the deadline", answered - deadline);
    assert!(!answer.cookies().iter().any(|(name, _)| name.ends_with("connect-session")), "{what}");
}

both_engines! {
    /// U7, U8: the first step, with the database hanging wherever it may.
    async fn a_database_that_hangs_at_the_first_step_is_a_recorded_timeout(engine: Engine) {
        let idp = Idp::start_live(engine, two_seconds).await;
        // The snapshot of issuers is there, as it is on any replica that has served anybody.
        idp.browser().hand_off("warm").await;
        for (number, table) in tables(engine, ["single_use", "users", "handoffs", "providers", "strikes", "issuers"]).into_iter().enumerate() {
            let user = idp.user(&format!("u{number}")).create().await;
            whole_second().await;
            let (minted, assertion) = (now(), idp.therap_services().sign(&user));
            let stall = Stall::begin(&idp, table).await;
            let mut browser = idp.browser();
            let answer = browser.click(&assertion).await;
            assert_late_in_time(&answer, minted, table);
            tokio::time::sleep(Duration::from_millis(600)).await;
            stall.end().await;
            assert_eq!(settled(&idp, &user, 1).await, ["sign_in refused timed_out"], "{table}");
            assert_eq!(idp.sessions(&user).await, 0);
            assert_eq!(idp.number("SELECT COUNT(*) FROM handoffs").await, 0);
            // It is spent.
            browser.click(&assertion).await.assert_handoff_refused(LATE);
        }
        idp.assert_invariants().await;
    }

    /// U7, U8: the second step. The handoff's own cookie is cleared, the session cookie left.
    async fn a_database_that_hangs_at_the_second_step_is_a_recorded_timeout(engine: Engine) {
        let idp = Idp::start_live(engine, two_seconds).await;
        for (number, table) in tables(engine, ["activity", "sessions", "handoffs", "users", "strikes", "handoff_ties"]).into_iter().enumerate() {
            let user = idp.user(&format!("u{number}")).create().await;
            let mut browser = idp.browser();
            browser.sign_in(&user).await;
            whole_second().await;
            let (minted, assertion) = (now(), idp.therap_services().sign(&user));
            let first = browser.click(&assertion).await;
            let stall = Stall::begin(&idp, table).await;
            let answer = browser.complete(&first).await;
            assert_late_in_time(&answer, minted, table);
            assert!(!browser.cookies.keys().any(|name| name.contains("handoff-")));
            tokio::time::sleep(Duration::from_millis(600)).await;
            stall.end().await;
            assert_eq!(settled(&idp, &user, 2).await, ["sign_in success", "sign_in refused timed_out"], "{table}");
            browser.assert_signed_in_as(&user).await;
            assert_eq!(idp.sessions(&user).await, 1, "the old session alone, by password");
        }
        idp.assert_invariants().await;
    }

    /// U8: a refusal that cannot be recorded is a time-out, recorded as one.
    async fn a_refusal_that_cannot_be_recorded_is_a_timeout(engine: Engine) {
        let idp = Idp::start_live(engine, two_seconds).await;
        let user = idp.user("locked").admin_locked().create().await;
        idp.browser().hand_off("warm").await;
        whole_second().await;
        let (minted, assertion) = (now(), idp.therap_services().sign(&user));
        let stall = Stall::begin(&idp, "activity").await;
        assert_late_in_time(&idp.browser().click(&assertion).await, minted, "refused");
        // One that was late when it came is answered at once, whatever the database does.
        let (before, late) = (now(), idp.therap_services().assertion(&user).minted(-10).sign());
        idp.browser().click(&late).await.assert_handoff_refused(LATE);
        assert!(now().0 - before.0 <= 1000, "{} ms", now().0 - before.0);
        stall.end().await;
        let line = "sign_in refused timed_out";
        assert_eq!(settled(&idp, &user, 2).await, [line, line]);
    }

    /// A stall that ends in time harms nobody.
    async fn a_stall_that_ends_in_time_harms_nobody(engine: Engine) {
        let idp = Idp::start_live(engine, two_seconds).await;
        let user = idp.user("amina").create().await;
        whole_second().await;
        let (mut browser, assertion) = (idp.browser(), idp.therap_services().sign(&user));
        let stall = Stall::begin(&idp, "users").await;
        let click = tokio::spawn(async move {
            browser.hand_off(&assertion).await;
            browser
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        stall.end().await;
        click.await.unwrap().assert_signed_in_as(&user).await;
        idp.assert_activity(["sign_in success"]).await;
    }

    /// G3, G24: a password whose outcome cannot be written is answered 503, and neither lets in nor charges.
    async fn a_sign_in_that_cannot_be_written_is_no_sign_in(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let user = idp.user("amina").create().await;
        let stall = Stall::begin(&idp, "activity").await;
        let (mut right, mut wrong) = (idp.browser(), idp.browser());
        let (one, two) = (user.clone(), user.clone());
        let started = now();
        let right = tokio::spawn(async move { (right.log_in(&one, PASSWORD).await.status, right.session()) });
        let wrong = tokio::spawn(async move { (wrong.log_in(&two, "Wrong-Horse-9").await.status, None) });
        for answer in [right, wrong] {
            let (status, session) = answer.await.unwrap();
            assert_eq!((status.as_u16(), session), (503, None));
        }
        assert!(now().0 - started.0 < 16_000, "{} ms", now().0 - started.0);
        stall.end().await;
        // What goes on unwatched ends on its own: late, nothing is written.
        tokio::time::sleep(Duration::from_secs(1)).await;
        idp.assert_activity([]).await;
        assert_eq!((idp.sessions(&user).await, idp.account(&user).await.failures), (0, 0));
        idp.browser().sign_in(&user).await;
        idp.assert_invariants().await;
    }

    /// G7: a client that goes away at any moment leaves the only connection clean for the next.
    async fn a_client_that_goes_away_leaves_a_clean_connection(engine: Engine) {
        let idp = Idp::start_live(engine, |config| {
            two_seconds(config);
            config.database.connections = 1;
        })
        .await;
        let user = idp.user("amina").create().await;
        let mut held = idp.browser();
        held.sign_in(&user).await;
        for round in 0..60 {
            let mut gone = held.clone();
            let assertion = idp.therap_services().sign(&user);
            let patience = Duration::from_micros(u64::from_be_bytes(Random::System.bytes()) % 20_000);
            let request = async {
                match round % 4 {
                    0 => drop(gone.hand_off(&assertion).await),
                    1 => drop(gone.log_in(&user, PASSWORD).await),
                    2 => drop(gone.get("/activity").await),
                    _ => drop(idp.browser().log_in(&user, "Wrong-Horse-9").await),
                }
            };
            // Dropped where it stands.
            let _ = tokio::time::timeout(patience, request).await;
            let next = async {
                let mut next = idp.browser();
                next.sign_in(&user).await;
                next.assert_signed_in_as(&user).await;
            };
            tokio::time::timeout(Duration::from_secs(10), next).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2100)).await;
        jobs::sweep(&idp.app).await.unwrap();
        if engine == Engine::Postgres {
            let idle = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
            assert_eq!(idp.number(idle).await, 0);
        }
        // U8: each handoff that was claimed has exactly one outcome.
        let odd = "SELECT COUNT(*) FROM handoffs h WHERE (SELECT COUNT(*) FROM activity a WHERE a.handoff_id = h.id) <> 1";
        assert_eq!(idp.number(odd).await, 0);
        assert!(idp.number("SELECT COUNT(*) FROM handoffs").await > 0);
        idp.assert_invariants().await;
    }

    /// G24: connections that die under a handoff are a 503 or a time-out, never a wrong answer; and it works again.
    async fn connections_that_die_are_replaced(engine: Engine) {
        if engine == Engine::Sqlite {
            return; // Nobody can cut the connection to a file.
        }
        let idp = Idp::start_live(engine, two_seconds).await;
        let mut outsider = idp.outsider().await;
        let kill = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name = 'connect-idp'";
        for round in 0..30 {
            let user = idp.user(&format!("u{round}")).create().await;
            let (mut browser, assertion) = (idp.browser(), idp.therap_services().sign(&user));
            let click = tokio::spawn(async move {
                let answer = browser.hand_off(&assertion).await;
                (browser, answer)
            });
            tokio::time::sleep(Duration::from_micros(u64::from_be_bytes(Random::System.bytes()) % 12_000)).await;
            outsider.number(kill).await;
            let (_, answer) = click.await.unwrap();
            let ends = [(200, None), (403, Some(LATE.to_owned())), (503, answer.message())];
            assert!(ends.contains(&(answer.status.as_u16(), answer.message())), "{} {:?}", answer.status, answer.message());
            // A connection or two of the pool may be dead still: each is found out once.
            let mut again = idp.browser();
            for _ in 0..8 {
                again.hand_off(&idp.therap_services().sign(&user)).await;
                if again.session().is_some() {
                    break;
                }
            }
            again.assert_signed_in_as(&user).await;
        }
        tokio::time::sleep(Duration::from_millis(2100)).await;
        jobs::sweep(&idp.app).await.unwrap();
        let odd = "SELECT COUNT(*) FROM handoffs h WHERE (SELECT COUNT(*) FROM activity a WHERE a.handoff_id = h.id) <> 1";
        assert_eq!(idp.number(odd).await, 0);
        idp.assert_invariants().await;
    }
}
