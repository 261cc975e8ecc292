//! Backup and restore: what is in a backup, and what a restore leaves alive, which is nothing that is older (G36).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connect_idp::config::Config;
use connect_idp::jobs::logout::process_batch;
use connect_idp::operations::backup;
use connect_idp::operations::backup::restore::{Restore, Restored, end_before};
use connect_idp::operations::passwords::link;
use connect_idp::store::Database;
use connect_idp::time::Random;
use serde_json::Value;

use crate::actors::{Answer, BackChannel, Browser, Engine, Idp, PASSWORD, Program, RelyingParty, User, on_loopback};

/// The configuration of another installation in the test's folder.
fn place(idp: &Idp, name: &str) -> Config {
    let dir = idp.dir().join(name);
    let mut config = idp.app.config.clone();
    config.database.url = Database::sqlite_url(&dir.join("connect.db"));
    config.keys.dir = dir.join("keys");
    config
}

async fn back_up(idp: &Idp, name: &str) -> PathBuf {
    let file = idp.dir().join(name);
    backup::take(&idp.app, &file, &mut |_, _, _| {}).await.unwrap();
    file
}

fn begin(config: &Config, file: &Path) -> anyhow::Result<Restore> {
    Restore::begin(config.clone(), file, &mut |_, _, _| {})
}

async fn restore(idp: &Idp, config: &Config, file: &Path) -> Restored {
    let restore = begin(config, file).unwrap();
    let (actor, clock) = (idp.act().actor, idp.app.clock.clone());
    restore.carry_out(actor, clock, Random::System, &mut |_, _, _| {}).await.unwrap()
}

/// The service on what came out of a backup.
async fn restored(idp: &Idp, file: &Path) -> Idp {
    let config = place(idp, "restored");
    restore(idp, &config, file).await;
    idp.replica(|own| *own = config).await
}

/// One of each kind of what opens something, all alive.
struct Held {
    session: Browser,
    update: Browser,
    party: RelyingParty,
    tokens: Value,
    offline: Value,
    code: String,
    waiting: (Browser, Answer),
    program: Program,
    link: String,
    handoff: (Browser, Answer),
    amina: User,
}

impl Held {
    async fn by(idp: &Idp) -> Self {
        let amina = idp.user("amina").create().await;
        let tess = idp.user("tess").temporary().create().await;
        let (mut session, mut update) = (idp.browser(), idp.browser());
        session.sign_in(&amina).await;
        assert_eq!(update.log_in(&tess, PASSWORD).await.location(), "/password/update");
        let party = idp.app("portal", |_| {}).await;
        let tokens = party.tokens(&mut session.clone(), &amina, &[]).await;
        let scope = [("scope", "openid offline_access")];
        let offline = party.tokens(&mut session.clone(), &amina, &scope).await;
        let code = party.sign_in(&mut session.clone(), &amina, &[]).await.code().to_owned();
        let mut browser = idp.browser();
        let page = party.send(&mut browser, &[]).await;
        let link = link::make(&idp.act(), &tess.provider_id, &tess.id, false).await.unwrap().unwrap();
        let link = link.address.strip_prefix(&idp.app.config.issuer).unwrap().to_owned();
        let mut clicked = idp.browser();
        let first = clicked.click(&idp.therap_services().sign(&amina)).await;
        assert_eq!(first.status, 303);
        let program = idp.client("program", "providers.read").await;
        Self {
            session,
            update,
            party,
            tokens,
            offline,
            code,
            waiting: (browser, page),
            program,
            link,
            handoff: (clicked, first),
            amina,
        }
    }

    /// Nothing of it opens anything at `idp`.
    async fn assert_dead(mut self, idp: &Idp) {
        self.session.clone().at(idp).assert_signed_out().await;
        assert_eq!(self.update.at(idp).get("/password/update").await.location(), "/", "there is no password to update");
        self.party.idp = idp.clone();
        for tokens in [&self.tokens, &self.offline] {
            let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
            assert_eq!(self.party.userinfo(&text("access_token")).await.status, 401);
            assert!(!self.party.is_active(&text("access_token")).await);
            self.party.refresh(&text("refresh_token")).await.assert_oauth_error(400, "invalid_grant");
        }
        self.party.exchange(&self.code).await.assert_oauth_error(400, "invalid_grant");
        let (browser, page) = self.waiting;
        let went = self.party.log_in(&mut browser.at(idp), &page, &self.amina).await;
        assert!(!went.has("#consent-form") && went.headers.get("location").is_none(), "no app's request goes on");
        self.program.party.idp = idp.clone();
        assert_eq!(self.program.get("/api/v1/providers").await.status, 401);
        assert_eq!(idp.browser().get(&self.link).await.status, 404);
        let (clicked, first) = self.handoff;
        let late = clicked.at(idp).complete(&first).await;
        assert_eq!(late.status, 403, "{}", late.body);
    }
}

both_engines! {
    /// After somebody else's restore: what was born before the moment is dead, each kind of it, and what came after
    /// lives.
    async fn what_is_older_than_the_moment_is_ended_and_nothing_else(engine: Engine) {
        let idp = Idp::start(engine).await;
        let held = Held::by(&idp).await;
        idp.advance(Duration::from_secs(1));
        let moment = idp.now();
        let (amina, party) = (held.amina.clone(), held.party.clone());
        let mut newer = idp.browser();
        newer.sign_in(&amina).await;
        let tokens = party.tokens(&mut newer, &amina, &[]).await;
        idp.advance(Duration::from_secs(1));
        let ended = end_before(&idp.act(), moment).await.unwrap();
        assert_eq!((ended.sessions, ended.families), (1, 2));
        held.assert_dead(&idp).await;
        newer.assert_signed_in_as(&amina).await;
        assert_eq!(party.userinfo(tokens["access_token"].as_str().unwrap()).await.status, 200);
        assert!(idp.record().await.contains(&"restored success".to_owned()));
        idp.assert_invariants().await;
        // Twice is the same as once.
        assert_eq!(end_before(&idp.act(), moment).await.unwrap().sessions, 0);
    }

    /// What could be used before the restore may have been used after the backup: it counts as used.
    async fn an_assertion_that_was_made_before_a_restore_opens_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let before = idp.therap_services().sign(&amina);
        idp.advance(Duration::from_secs(2));
        end_before(&idp.act(), idp.now()).await.unwrap();
        idp.browser().click(&before).await.assert_page(403, "Invalid Credential");
        // Our clocks may differ by five seconds.
        idp.advance(Duration::from_secs(5));
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        assert_eq!(idp.sessions(&amina).await, 1);
    }

    /// Apps are told of the sessions that a restore ended.
    async fn apps_are_told_of_what_a_restore_ended(engine: Engine) {
        let idp = Idp::start_with(engine, on_loopback).await;
        let told = BackChannel::listen().await;
        let amina = idp.user("amina").create().await;
        let party = idp.app("portal", |metadata| metadata.backchannel_logout_uri = Some(told.address.clone())).await;
        party.tokens(&mut idp.browser(), &amina, &[]).await;
        idp.advance(Duration::from_secs(1));
        end_before(&idp.act(), idp.now()).await.unwrap();
        process_batch(&idp.app).await.unwrap();
        assert_eq!(told.sent().len(), 1);
    }
}

/// What was acknowledged before a backup began is in it, while others write on; and the backup is private.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_has_everything_that_was_acknowledged() {
    let idp = Idp::start(Engine::Sqlite).await;
    let amina = idp.user("amina").create().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (idp, amina, stop) = (idp.clone(), amina.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    idp.browser().sign_in(&amina).await;
                }
            })
        })
        .collect();
    let written = async |more_than: i64| loop {
        let records = idp.number("SELECT COUNT(*) FROM activity WHERE kind = 'sign_in'").await;
        if records > more_than {
            return records;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let before = written(0).await;
    let file = back_up(&idp, "backup.tar").await;
    // They still write.
    written(before).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> = fs::read_dir(idp.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("backup.tar.")), "{names:?}");
    let again = backup::take(&idp.app, &file, &mut |_, _, _| {}).await.unwrap_err().to_string();
    assert!(again.contains("exists already"), "{again}");

    let restored = restored(&idp, &file).await;
    let records = restored.record().await;
    let signed_in = records.iter().filter(|line| *line == "sign_in success").count();
    assert!(i64::try_from(signed_in).unwrap() >= before, "{signed_in} of {before}");
    let fault = restored.verified().await.fault;
    assert!(fault.is_none(), "{}", fault.unwrap().words());
    assert_eq!(records.iter().filter(|line| *line == "restored success").count(), 1);
}

/// Whatever was alive in the backup is dead when it is restored, each kind of it; passwords and clients are as they
/// were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_opens_nothing_that_is_older() {
    let idp = Idp::start(Engine::Sqlite).await;
    let held = Held::by(&idp).await;
    let late = idp.therap_services().sign(&held.amina);
    let file = back_up(&idp, "backup.tar").await;
    // Used where it was, after the backup.
    idp.browser().hand_off(&late).await;
    let restored = restored(&idp, &file).await;
    restored.browser().click(&late).await.assert_page(403, "Invalid Credential");
    let amina = held.amina.clone();
    held.assert_dead(&restored).await;
    restored.advance(Duration::from_secs(6));
    restored.browser().sign_in(&amina).await;
    restored.browser().hand_off(&restored.therap_services().sign(&amina)).await;
}

/// A database that somebody has open is not replaced; what was there is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_use_is_not_replaced_and_one_that_is_replaced_is_kept() {
    let idp = Idp::start(Engine::Sqlite).await;
    let amina = idp.user("amina").create().await;
    let file = back_up(&idp, "backup.tar").await;
    let refused = begin(&idp.app.config, &file).unwrap_err().to_string();
    assert!(refused.contains("is in use: stop the service"), "{refused}");

    // Another installation, with keys of its own.
    let other = place(&idp, "other");
    let running = connect_idp::app::App::open(other.clone(), connect_idp::app::Opening::Migrate).await.unwrap();
    assert!(begin(&other, &file).is_err());
    running.db.close().await;
    drop(running);
    let begun = begin(&other, &file).unwrap();
    assert!(begun.occupied.database && begun.occupied.other_keys);
    // Nobody opens what is about to be replaced.
    let opened = connect_idp::app::App::open(other.clone(), connect_idp::app::Opening::Run).await.unwrap_err();
    assert!(opened.to_string().contains("alone"), "{opened}");
    drop(begun);
    let done = restore(&idp, &other, &file).await;
    let dir = idp.dir().join("other");
    assert!(dir.join(format!("connect.db.replaced-{}", done.replaced)).exists());
    assert!(dir.join(format!("keys/replaced-{}-kek-0001", done.replaced)).exists());
    assert!(!dir.join("connect.db.restoring").exists() && !dir.join("connect.db.restored").exists());
    idp.replica(|own| *own = other).await.browser().sign_in(&amina).await;
}

/// A backup of an older schema is brought up to date; one of a newer is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_schema_is_migrated_and_a_newer_refused() {
    let idp = Idp::start(Engine::Sqlite).await;
    let amina = idp.user("amina").create().await;
    let mut outsider = idp.outsider().await;
    outsider.run("ALTER TABLE interactions DROP COLUMN user_id; DELETE FROM _sqlx_migrations WHERE version = 12").await;
    let older = back_up(&idp, "older.tar").await;
    restored(&idp, &older).await.browser().sign_in(&amina).await;
    outsider
        .run("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, x'01', 0)")
        .await;
    let newer = back_up(&idp, "newer.tar").await;
    let refused = begin(&place(&idp, "nowhere"), &newer).unwrap_err().to_string();
    assert!(refused.contains("[9999]") && refused.contains("newer version"), "{refused}");
}
