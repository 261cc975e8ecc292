//! The database as it comes and goes (G33): connections that are cut, ones that cannot be had, and a schema of another
//! version.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;
use std::{fs, future};

use connect_idp::app::{App, Opening};
use connect_idp::config;
use connect_idp::store::{Database, Error};
use connect_idp::time::Clock;
use futures_util::future::join_all;
use tokio::runtime::Handle;

use crate::actors::{Engine, Idp, postgres_server};
use crate::ports::free_port;

/// Cuts every connection of the service, and waits until each is gone.
const CUT: &str = "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'connect-idp'";

/// A cut that nobody could have noticed yet costs nobody an answer, neither who reads nor who writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_cut_a_moment_ago_cost_no_answer() {
    if postgres_server().is_none() {
        return;
    }
    let idp = Idp::start_live(Engine::Postgres, |_| {}).await;
    let amina = idp.user("amina").create().await;
    let mut browsers = Vec::new();
    for _ in 0..6 {
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        browsers.push(browser);
    }
    let machine = idp.client("machine", "users.read").await;
    let mut outsider = idp.outsider().await;
    for round in 0..6 {
        // Every connection there may be is made, and was in use just now.
        for answer in join_all(browsers.iter_mut().map(|browser| browser.get("/"))).await {
            assert_eq!(answer.status, 200);
        }
        assert!(outsider.number(CUT).await > 0);
        if round % 3 == 2 {
            // One statement each, which nobody begins.
            let tries = (0..6).map(|_| machine.party.post("/oauth2/token", &[("grant_type", "client_credentials")]));
            for answer in join_all(tries).await {
                assert_eq!(answer.status, 200, "round {round}: {}", answer.body);
            }
        } else if round % 3 == 0 {
            for answer in join_all(browsers.iter_mut().map(|browser| browser.get("/activity"))).await {
                assert_eq!(answer.status, 200, "round {round}");
            }
        } else {
            let tries = (0..6).map(|_| async { idp.browser().log_in(&amina, &amina.password).await.status });
            assert_eq!(join_all(tries).await, [303; 6], "round {round}");
        }
    }
    idp.assert_invariants().await;
}

async fn refusal(url: String) -> String {
    let settings = config::Database { url, connections: 2, ..config::Database::default() };
    match Database::open(&settings, Clock::System).await.unwrap().ping().await {
        Err(Error::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Whoever looks for the cause reads it, and what to do; not that a pool timed out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_reached_says_why() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("127.0.0.1:{}", free_port());
    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let strange = stranger.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            drop(stranger.accept().await.unwrap());
        }
    });
    let mut cases = vec![
        (format!("postgres://idp:pa55word@{closed}/connect"), format!("nothing listens at {closed}")),
        (
            format!("postgres://idp:pa55word@{}/connect", silent.local_addr().unwrap()),
            format!("{} does not answer", silent.local_addr().unwrap()),
        ),
        (format!("postgres://idp:pa55word@{strange}/connect"), format!("{strange}")),
        ("postgres:///connect?host=/nowhere".into(), "nothing listens at the socket in /nowhere".into()),
    ];
    if let Some(server) = postgres_server() {
        let mut url = url::Url::parse(&server).unwrap();
        let place = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        url.set_path("not_there");
        cases.push((url.to_string(), format!("there is no database not_there at {place}: create it")));
        url.set_username("nobody_of_that_name").unwrap();
        cases.push((url.to_string(), "nobody_of_that_name is not let in".into()));
        cases.push((format!("{server}?sslmode=require"), format!("TLS with {place} fails")));
    }
    let found = join_all(cases.iter().map(|(url, _)| refusal(url.clone()))).await;
    for ((url, wanted), why) in cases.iter().zip(found) {
        assert!(why.contains(wanted), "{url}: {why}");
        assert!(!why.contains("pa55word") && !why.contains("pool timed out"), "{why}");
    }
}

/// "Not ready" tells connections that are all in use from a server that is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_all_in_use_are_the_cause() {
    if postgres_server().is_none() {
        return;
    }
    let idp = Idp::start_live(Engine::Postgres, |config| config.database.connections = 1).await;
    assert_eq!(idp.app.db.diagnose().await, Ok(()));
    let (db, (held, holds)) = (idp.app.db.clone(), tokio::sync::oneshot::channel());
    let holder = tokio::spawn(async move {
        let _conn = db.read().await.unwrap();
        held.send(()).unwrap();
        future::pending::<()>().await;
    });
    holds.await.unwrap();
    let why = idp.app.db.diagnose().await.unwrap_err();
    assert!(why.starts_with("all 1 connections to the database are in use"), "{why}");
    holder.abort();
    idp.app.db.ping().await.unwrap();
    assert_eq!(idp.app.db.diagnose().await, Ok(()));
}

async fn start(idp: &Idp) -> anyhow::Result<App> {
    App::open_with(idp.app.config.clone(), Opening::Run, idp.app.clock.clone(), idp.app.random.clone()).await
}

both_engines! {
    /// G23: a program goes on beside a newer one, and says so; on a schema with a gap it does not start.
    async fn a_newer_schema_is_worked_on_and_one_with_a_gap_is_not(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut outsider = idp.outsider().await;
        assert_eq!(idp.app.db.schema().await.unwrap().notice(), None);
        let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, 'of a later program', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        outsider.run(later).await;
        start(&idp).await.unwrap();
        let notice = idp.app.db.schema().await.unwrap().notice().unwrap();
        assert!(notice.contains("newer than this program") && notice.contains("9999"), "{notice}");

        let other = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1) WHERE version = 5";
        outsider.run(other).await;
        let why = format!("{:#}", start(&idp).await.unwrap_err());
        // On SQLite a start migrates, and finds it there.
        assert!(why.contains("0005_scale") || why.contains("migration 5"), "{why}");
        outsider.run("DELETE FROM _sqlx_migrations WHERE version = 5").await;
        let refusal = idp.app.db.schema().await.unwrap().refusal().unwrap();
        assert!(refusal.contains("lacks 0005_scale: run `connect-idp migrate`"), "{refusal}");
        assert!(start(&idp).await.is_err());
    }

    /// A keys folder may be a secret that nobody can write to: once its key is there, nothing else is made in it.
    async fn a_start_writes_nothing_to_the_keys_folder(engine: Engine) {
        let idp = Idp::start(engine).await;
        let dir = idp.app.config.keys.dir.clone();
        // Whoever runs as root could write all the same: that nothing came or went shows in the folder's own time.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
        let before = fs::metadata(&dir).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        for opening in [Opening::Run, Opening::Migrate, Opening::Existing] {
            App::open_with(idp.app.config.clone(), opening, idp.app.clock.clone(), idp.app.random.clone()).await.unwrap();
        }
        let after = fs::metadata(&dir).unwrap();
        assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
        let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kek-0001"]);
        if engine == Engine::Sqlite {
            assert!(idp.dir().join("connect.db.migrating").exists());
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// The schema as it was before its eleventh step.
const BEFORE_THE_CHAIN: &str = "ALTER TABLE activity DROP COLUMN proof; DROP TABLE activity_seals, activity_chain, refused_handoffs, import_rows, imports, replicas, email_links, external_ids, user_changes, provisioned_users; \
     ALTER TABLE users DROP COLUMN email_checked, DROP COLUMN email_at, DROP COLUMN signed_in_at; ALTER TABLE password_links DROP COLUMN email; \
     ALTER TABLE mails DROP COLUMN about, DROP COLUMN recipient; DROP INDEX activity_reference, sessions_provider, sessions_issuer, users_by_age; \
     CREATE INDEX users_by_name ON users (provider_id, name_key); CREATE INDEX users_by_login_name ON users (provider_id, login_name_key); \
     ALTER TABLE interactions DROP COLUMN user_id, DROP COLUMN answered_at; DELETE FROM settings WHERE name = 'user changes are known to'; DELETE FROM _sqlx_migrations WHERE version > 10";
const RECORD: &str = "INSERT INTO activity (id, at, actor, kind, outcome, reference) \
                      VALUES (gen_random_uuid()::text, 1, 'system', 'client_changed', 'success', 'AAAA-AAAA')";
const WHOLE: &str =
    "SELECT COUNT(*) FROM pg_index WHERE indisvalid AND indexrelid = to_regclass('activity_reference')::oid";
const BROKEN: &str = "SELECT COUNT(*) FROM pg_index WHERE NOT indisvalid";

/// G23: a step of the schema stops no sign-in, whoever holds a table for long; killed while it builds an index, it is
/// whole when it is run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_stops_nobody_and_may_be_broken_off() {
    if postgres_server().is_none() {
        return;
    }
    let idp = Idp::start_live(Engine::Postgres, |_| {}).await;
    let (mut holder, mut other, mut reader) = (idp.outsider().await, idp.outsider().await, idp.outsider().await);
    other.run(BEFORE_THE_CHAIN).await;
    let start = || {
        let (db, runtime) = (idp.app.db.clone(), Handle::current());
        tokio::task::spawn_blocking(move || runtime.block_on(db.migrate()))
    };
    // Somebody writes in a transaction that stays open: the step waits, and others write.
    holder.run("BEGIN").await;
    holder.run(RECORD).await;
    let migration = start();
    for _ in 0..5 {
        let write = tokio::time::timeout(Duration::from_secs(3), other.run(RECORD));
        assert!(write.await.is_ok(), "nobody waits longer than a step may wait for a lock");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(!migration.is_finished());
    // Somebody reads in one that stays open: the index waits, and others write.
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT COUNT(*) FROM providers").await;
    holder.run("COMMIT").await;
    let builds = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                  AND query LIKE 'CREATE INDEX CONCURRENTLY%'";
    for _ in 0..100 {
        if other.number(builds).await == 1 && other.number(BROKEN).await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let write = tokio::time::timeout(Duration::from_millis(500), other.run(RECORD));
    assert!(write.await.is_ok() && !migration.is_finished());
    assert!(idp.app.db.schema().await.unwrap().refusal().is_none(), "the service runs without the index");
    // Killed: what is left of the index is of no use, and in nobody's way.
    let kill = builds.replace("COUNT(*)", "COUNT(pg_terminate_backend(pid, 5000))");
    assert_eq!(other.number(&kill).await, 1);
    assert!(migration.await.unwrap().is_err());
    assert_eq!((other.number(WHOLE).await, other.number(BROKEN).await), (0, 1));
    reader.run("COMMIT").await;
    // Run again, by two at once.
    let (one, two) = tokio::join!(start(), start());
    one.unwrap().unwrap();
    two.unwrap().unwrap();
    assert_eq!((other.number(WHOLE).await, other.number(BROKEN).await), (1, 0));
    assert!(idp.app.db.schema().await.unwrap().refusal().is_none());
}

const INDICES: &str =
    "SELECT STRING_AGG(indexdef, E'\\n' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'";

/// A new database and one that was brought up step by step have the same indices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indices_that_are_built_apart_are_the_same_ones() {
    if postgres_server().is_none() {
        return;
    }
    let idp = Idp::start(Engine::Postgres).await;
    let mut outsider = idp.outsider().await;
    let new = outsider.text(INDICES).await;
    outsider.run("DROP INDEX sessions_sid, activity_named, activity_all_counts, users_by_name").await;
    assert_ne!(outsider.text(INDICES).await, new);
    idp.app.db.migrate().await.unwrap();
    assert_eq!(outsider.text(INDICES).await, new);
}
