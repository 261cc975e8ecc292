//! What must not run does not start: one sentence on standard error that names the key and the cure.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::databases::run_on;
use crate::needs::named;
use crate::ports::free_port;
use crate::servers::{Postgres, folder};
use crate::setup::Setup;
use crate::support::{CHEAP, Engine, bare, eventually, hash, user};

/// Longer than the patience with a database that does not answer.
const REFUSED: Duration = Duration::from_secs(15);

/// Runs what must be refused with this status; the sentence.
async fn refusal(command: &mut Command, status: i32) -> String {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ended = None;
    let until = tokio::time::Instant::now() + REFUSED;
    while ended.is_none() && tokio::time::Instant::now() < until {
        ended = child.try_wait().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(ended.and_then(|ended| ended.code()), Some(status), "{said}");
    said
}

/// Refused with status 1, by one sentence with these words.
async fn assert_refused(command: &mut Command, words: &[&str]) {
    let said = refusal(command, 1).await;
    println!("{}", said.trim_end());
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.starts_with("connect-idp: ") && words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
}

on_engines! { an_unsafe_or_absurd_configuration_does_not_start: sqlite }
async fn an_unsafe_or_absurd_configuration_does_not_start(engine: Engine) {
    const PUBLIC: &str = "issuer = \"https://connect.example.org\"\n";
    let setup = Setup::empty(engine, CHEAP, "").await;
    let refused = async |toml: &str, words: &[&str]| {
        let file = setup.write("refused.toml", toml);
        assert_refused(bare(&setup.program).arg("--config").arg(file).arg("serve").current_dir(&setup.folder), words)
            .await;
    };

    refused("lissen = \"127.0.0.1:1\"", &["lissen", "no setting"]).await;
    refused("[session]\nidle = 3", &["session", "idle", "no setting"]).await;
    refused("[session]\nidle_minutes = 0", &["session.idle_minutes", "between"]).await;
    refused("[session]\nidle_minutes = \"x\"", &["session.idle_minutes", "refused.toml"]).await;
    refused("[handoff]\ntimeout_seconds = 31", &["handoff.timeout_seconds", "between"]).await;
    refused("[database]\nurl = \"mysql://localhost/x\"", &["database.url", "sqlite://"]).await;
    refused("issuer = \"http://connect.example.org\"", &["issuer", "https"]).await;
    refused("issuer = \"https://connect.example.org/\"", &["issuer", "trailing slash"]).await;
    refused(&format!("{PUBLIC}[throttle]\nenabled = false"), &["throttle.enabled", "remove it"]).await;
    refused(&format!("{PUBLIC}[password]\nmemory_kib = 8"), &["password.memory_kib", "between"]).await;
    refused("[tls]\ncertificate = \"nowhere.pem\"\nkey = \"nowhere.key\"", &["tls.certificate", "nowhere.pem"]).await;
    setup.write("no.pem", "no certificate");
    refused("[tls]\ncertificate = \"no.pem\"\nkey = \"no.pem\"", &["tls.certificate", "no.pem", "leaf first"]).await;
    refused("[log]\nlevel = \"a=b=c\"", &["log.level"]).await;
    refused("[redis]\nurl = \"http://:pa55@cache\"", &["redis.url", "rediss://"]).await;
    refused("issuer =", &["not TOML"]).await;

    let mut by_variable = setup.command(&["serve"]);
    assert_refused(
        by_variable.env("CONNECT_IDP__HANDOFF__TIMEOUT_SECONDS", "0"),
        &["HANDOFF__TIMEOUT_SECONDS", "between"],
    )
    .await;
    let missing = setup.folder.path().join("missing.toml");
    assert_refused(bare(&setup.program).arg("--config").arg(missing).arg("serve"), &["missing.toml", "cannot be read"])
        .await;
}

on_engines! { wrong_usage_says_so: sqlite }
async fn wrong_usage_says_so(engine: Engine) {
    let setup = Setup::empty(engine, CHEAP, "").await;
    for wrong in [&["serve", "--fast"] as &[&str], &["sing"], &["user", "lock"], &["apply"]] {
        let said = refusal(&mut setup.command(wrong), 2).await;
        assert!(said.contains("Usage:") || said.contains("--help"), "{said}");
    }
}

on_engines! { a_taken_port_is_named: sqlite, postgres }
async fn a_taken_port_is_named(engine: Engine) {
    let setup = Setup::new(engine, 0, CHEAP, "").await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = format!("127.0.0.1:{}", free_port());
    for (listen, internal, key) in [(&address, &free, "listen"), (&free, &address, "internal_listen")] {
        let mut serve = setup.command(&["serve"]);
        serve.env("CONNECT_IDP__LISTEN", listen).env("CONNECT_IDP__INTERNAL_LISTEN", internal);
        assert_refused(&mut serve, &[&format!("{key} {address}"), "choose another"]).await;
    }
}

on_engines! { a_database_without_its_keys_is_not_served: sqlite, postgres }
async fn a_database_without_its_keys_is_not_served(engine: Engine) {
    let setup = Setup::new(engine, 0, CHEAP, "").await;
    let keys = setup.folder.path().join("keys");

    let key = keys.join("kek-0001");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(&mut setup.command(&["serve"]), &["kek-0001", "chmod 600"]).await;

    fs::rename(&keys, setup.folder.path().join("away")).unwrap();
    // A new key would be no cure: the database has one already.
    assert_refused(&mut setup.command(&["key", "init"]), &["already", "restore that folder"]).await;
    let other_database = format!("sqlite://{}/other.db", setup.folder.path().display());
    let made = setup.command(&["key", "init"]).env("CONNECT_IDP__DATABASE__URL", other_database).output().unwrap();
    assert!(made.status.success());
    assert_refused(&mut setup.command(&["serve"]), &["keys folder does not belong to this database", "restore"]).await;
    assert_refused(&mut setup.command(&["user", "list", "--provider", "SUNRISE-IL"]), &["does not belong"]).await;
}

on_engines! { postgresql_is_not_served_before_its_key_and_schema: postgres }
async fn postgresql_is_not_served_before_its_key_and_schema(engine: Engine) {
    let setup = Setup::empty(engine, CHEAP, "").await;
    assert_refused(&mut setup.command(&["serve"]), &["key-encryption key", "`connect-idp key init`"]).await;
    assert_refused(&mut setup.command(&["migrate"]), &["`connect-idp key init`"]).await;
    setup.cli(&["key", "init"]);
    assert_refused(&mut setup.command(&["serve"]), &["schema", "`connect-idp migrate`"]).await;

    let nobody_listens = format!("postgres://postgres@127.0.0.1:{}/postgres", free_port());
    let nowhere = format!("{}_not_there", setup.database);
    for (url, why) in [(nobody_listens, "nothing listens at 127.0.0.1:"), (nowhere, "there is no database")] {
        let mut serve = setup.command(&["serve"]);
        assert_refused(serve.env("CONNECT_IDP__DATABASE__URL", url), &[why, "database.url"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_us_from_postgresql_is_named() {
    let Some(programs) = named("CONNECT_IDP_TEST_POSTGRES_PROGRAMS") else { return };
    let folder = folder();
    let postgres = Postgres::first(&programs, folder.path()).await;
    postgres.run_sql("CREATE ROLE idp LOGIN PASSWORD 'Right-Horse-9'").await;
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all idp 127.0.0.1/32 scram-sha-256\n";
    fs::write(folder.path().join("first/pg_hba.conf"), rules).unwrap();
    postgres.run_sql("SELECT pg_reload_conf()").await;
    let setup = Setup::empty(Engine::Postgres(postgres.url()), CHEAP, "").await;
    setup.prepare();
    let url = |password: &str| setup.database.replace("postgres@", &format!("idp:{password}@"));
    let serve = |password: &str| {
        let mut serve = setup.command(&["serve"]);
        serve.env("CONNECT_IDP__DATABASE__URL", url(password));
        serve
    };
    let reloaded = async || matches!(run_on(&url("Wrong-Horse-9"), "SELECT 1".into()).await, Err(error) if error.to_string().contains("password"));
    eventually("the rules are read", REFUSED, reloaded).await;

    assert_refused(&mut serve("Wrong-Horse-9"), &["the password of idp is wrong"]).await;
    postgres.run_sql("ALTER ROLE idp CONNECTION LIMIT 0").await;
    assert_refused(&mut serve("Right-Horse-9"), &["has no connection left for us", "database.connections"]).await;
    let doctor = setup.command(&["doctor"]).env("CONNECT_IDP__DATABASE__URL", url("Wrong-Horse-9")).output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("WRONG  database: ") && said.contains("the password of idp is wrong"), "{said}");
    assert!(!said.contains("Horse"), "{said}");
}

on_engines! { a_newer_schema_is_said_aloud: sqlite, postgres }
async fn a_newer_schema_is_said_aloud(engine: Engine) {
    const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                         SELECT 9999, 'of a later program', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    setup.run_sql(LATER).await;
    let service = setup.serve().await;
    assert_eq!(service.visitors().log_in("user0").await.status, 303);
    let said = service.said();
    assert!(said.contains("newer than this program") && said.contains("9999"), "{said}");
    assert!(setup.cli(&["doctor"]).contains("9999"));
}

on_engines! { a_bad_seed_file_applies_nothing: sqlite, postgres }
async fn a_bad_seed_file_applies_nothing(engine: Engine) {
    const GOOD: &str = "[[provider]]\ncode = \"GOOD\"\nname = \"Good\"\n";
    let setup = Setup::empty(engine, CHEAP, "").await;
    setup.prepare();
    let amina = user("amina", &hash(CHEAP).await).replace("SUNRISE-IL", "GOOD");
    let bad = [
        (format!("{GOOD}colour = \"red\"\n"), "colour"),
        (format!("{GOOD}[[provider]]\ncode = \"NOT GOOD\"\nname = \"x\"\n"), "code"),
        (format!("{GOOD}[[provider]]\ncode = \"good\"\nname = \"x\"\n"), "good"),
        (format!("{GOOD}{amina}[[user]]\nprovider = \"NOBODY\"\nlogin_name = \"x\"\nname = \"x\"\n"), "NOBODY"),
        (format!("{GOOD}{amina}user_type = \"Therap Admin\"\n"), "Therap Admin"),
        (format!("{GOOD}{amina}password = \"Correct-Horse-9\"\n"), "password"),
        (format!("{GOOD}{amina}{amina}"), "amina"),
        (format!("{GOOD}{amina}handoff_sub = \"person-1\"\n"), "handoff"),
        (format!("{GOOD}[[trusted_issuer]]\nissuer = \"https://x.example\"\norigins = []\njwks = \"no\"\n"), "issuer"),
        (format!("{GOOD}[[provider"), "seed.toml"),
    ];
    for (seed, word) in bad {
        let file = setup.write("seed.toml", &seed);
        assert_refused(setup.command(&["apply"]).arg(&file), &["seed.toml", word]).await;
        let migrated = setup.command(&["provider", "list"]).output().unwrap();
        assert!(!migrated.status.success() || !String::from_utf8(migrated.stdout).unwrap().contains("GOOD"), "{seed}");
    }
    setup.apply(&format!("{GOOD}{amina}"));
    assert_eq!(setup.count("users").await, 1);
}

/// systemd is told when requests are answered, that the service lives, and that it stops.
#[tokio::test]
async fn systemd_is_told_of_the_service() {
    let Some(engine) = Engine::sqlite() else { return };
    let setup = Setup::new(engine, 0, CHEAP, "").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let told = async || {
        let mut line = [0; 64];
        let length = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut line)).await.unwrap().unwrap();
        String::from_utf8(line[..length].to_vec()).unwrap()
    };
    let path = path.to_str().unwrap();
    let mut service = setup.start(free_port(), &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "200000")]);

    assert_eq!(told().await, "READY=1\n");
    for _ in 0..3 {
        assert_eq!(told().await, "WATCHDOG=1\n");
    }
    service.terminate();
    while told().await != "STOPPING=1\n" {}
    assert_eq!(service.ended(Duration::from_secs(10)).await.code(), Some(0));
}
