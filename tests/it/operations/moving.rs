//! The move from SQLite to PostgreSQL: everything is there afterwards and lives on; and a move that fails leaves
//! nothing.

use connect_idp::cli::{Cli, Console};
use connect_idp::config::Config;
use connect_idp::model::activity::{Kind, Visitor};
use connect_idp::operations::Actor;
use connect_idp::operations::moving::Move;
use connect_idp::operations::passwords::link;
use connect_idp::store::moving::Moved;
use connect_idp::store::{Database, activity};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::actors::{Empty, Engine, Idp, PASSWORD};

/// A stopped installation: what the running one is at this moment, in a file of its own.
async fn stopped(idp: &Idp) -> Config {
    let mut config = idp.app.config.clone();
    let file = idp.dir().join("stopped.db");
    idp.app.db.copy_into(&file).await.unwrap();
    config.database.url = Database::sqlite_url(&file);
    config
}

async fn try_move(config: &Config, url: &str) -> anyhow::Result<Moved> {
    let actor = Actor { name: "operator jo".into(), visitor: Visitor::default() };
    Move::begin(config.clone(), url.to_owned()).await?.carry_out(&actor, &mut |_, _, _| {}).await
}

/// What stopped it, with all that led there.
async fn refusal(config: &Config, url: &str) -> String {
    format!("{:#}", try_move(config, url).await.unwrap_err())
}

fn file_of(config: &Config) -> PathBuf {
    Database::sqlite_file(&config.database.url).unwrap()
}

/// What the command says.
async fn command(config: &Config, args: &[&str]) -> (u8, String) {
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let file = config.keys.dir.with_file_name("command.toml");
    let text = format!(
        "issuer = {:?}\n[database]\nurl = {:?}\n[keys]\ndir = {:?}\n[password]\nmemory_kib = 7168\n",
        config.issuer, config.database.url, config.keys.dir
    );
    std::fs::write(&file, text).unwrap();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let said = Buffer::default();
        let mut console = Console::new(&b""[..], said.clone(), said.clone());
        let first = ["connect-idp", "--config", file.to_str().unwrap()].map(str::to_owned);
        let code = Cli::run_on(first.into_iter().chain(args), &mut console);
        let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        (code, text)
    })
    .await
    .unwrap()
}

/// What a filled site has: people in every state, and all that opens something; then nobody notices that it moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_a_move_and_lives_on() {
    let Some(empty) = Empty::make().await else { return };
    let idp = Idp::start_live(Engine::Sqlite, |_| {}).await;
    let amina = idp.user("amina").create().await;
    let mut zoe = idp.user("zoe").create().await;
    zoe.name = "Zoë Müller-O'Neill \\ 李小龍".into();
    let mut outsider = idp.outsider().await;
    outsider.run("UPDATE users SET name = 'Zoë Müller-O''Neill \\ 李小龍' WHERE login_name = 'zoe'").await;
    let locked = idp.user("locked").admin_locked().create().await;
    let guessed = idp.user("guessed").failures(3).create().await;
    idp.user("gone").inactive().create().await;
    let tess = idp.user("tess").temporary().create().await;
    let mut session = idp.browser();
    session.sign_in(&amina).await;
    let mut other = idp.browser();
    other.sign_in(&zoe).await;
    let mut party = idp.app("portal", |_| {}).await;
    let tokens = party.tokens(&mut session.clone(), &amina, &[("scope", "openid offline_access")]).await;
    let code = party.sign_in(&mut session.clone(), &amina, &[]).await.code().to_owned();
    let page = party.send(&mut session.clone(), &[("prompt", "consent")]).await;
    assert_eq!(page.status, 200);
    let mut waiting = idp.browser();
    party.send(&mut waiting, &[]).await;
    let link = link::make(&idp.act(), &tess.provider_id, &tess.id, false).await.unwrap().unwrap();
    let used = idp.therap_services().sign(&zoe);
    idp.browser().hand_off(&used).await;
    let mut left = idp.browser();
    left.sign_in(&amina).await;
    party.tokens(&mut left.clone(), &amina, &[]).await;
    left.post("/logout", &[]).await;
    outsider
        .run(
            "INSERT INTO mails VALUES ('m', 'password_changed', NULL, 'tab\tback\\slash\nline', 'waiting', 0, 0, 0, 9, NULL, NULL, NULL, NULL); \
             INSERT INTO strike_slots SELECT 'slot', account, 1 FROM strikes LIMIT 1",
        )
        .await;
    let act = idp.act();
    in_tx!(idp, [act], |tx| {
        for number in 0..4000 {
            let note = format!("record {number} of Zoë\t\\N \\. „ende“");
            activity::record(tx, &act.event(Kind::UserChanged).noting(note)).await?;
        }
        Ok::<(), connect_idp::store::Error>(())
    });
    idp.verified().await;

    let mut config = stopped(&idp).await;
    let before = std::fs::read(file_of(&config)).unwrap();
    std::fs::write(idp.dir().join("url"), format!("{}\n", empty.url())).unwrap();
    let url_file = idp.dir().join("url").display().to_string();
    let (code_of_move, said) = command(&config, &["move", "--to-url-file", &url_file]).await;
    assert_eq!(code_of_move, 0, "{said}");
    assert!(said.contains("each the same as here") && said.contains("as they were written"), "{said}");
    assert_eq!(before, std::fs::read(file_of(&config)).unwrap(), "the source is untouched");
    let count = async |sql: &str| empty.outsider().await.number(sql).await;
    let records = "SELECT COUNT(*) FROM activity WHERE kind <> 'moved'";
    assert_eq!(count(records).await, idp.number(records).await);
    let by_whom = "SELECT kind || ' by ' || actor || ' ' || note FROM activity WHERE kind = 'moved'";
    let told = empty.outsider().await.text(by_whom).await;
    assert!(
        told.starts_with("moved by operator ") && told.ends_with(" from SQLite to PostgreSQL, with every row"),
        "{told}"
    );
    for table in ["codes", "families", "interactions", "logout_notes", "mails", "password_links", "single_use"] {
        assert!(count(&format!("SELECT COUNT(*) FROM {table}")).await > 0, "{table}");
    }
    assert_eq!(empty.outsider().await.text("SELECT sealed FROM mails").await, "tab\tback\\slash\nline");
    let built = "SELECT COUNT(*) FROM pg_indexes WHERE schemaname = 'public'";
    let migrated = Idp::start(Engine::Postgres).await;
    assert_eq!(count(built).await, migrated.number(built).await, "every index is there");
    // No number is given out by the database, so there is none to go on from.
    let counters = "SELECT COUNT(*) FROM pg_class WHERE relkind = 'S'";
    assert_eq!(count(counters).await, 0);

    config.database.url = empty.url();
    let (code_of_doctor, said) = command(&config, &["doctor"]).await;
    assert_eq!(code_of_doctor, 0, "{said}");
    let moved = idp.replica(|own| own.database.url = empty.url()).await;
    moved.assert_invariants().await;
    assert!(moved.verified().await.fault.is_none(), "the record of the move is proven as all others are");
    session.at(&moved).assert_signed_in_as(&amina).await;
    other.at(&moved).assert_signed_in_as(&zoe).await;
    left.at(&moved).assert_signed_out().await;
    party.idp = moved.clone();
    assert_eq!(party.userinfo(tokens["access_token"].as_str().unwrap()).await.status, 200);
    assert_eq!(party.refresh(tokens["refresh_token"].as_str().unwrap()).await.status, 200);
    assert_eq!(party.exchange(&code).await.status, 200);
    let link = link.address.strip_prefix(&idp.app.config.issuer).unwrap();
    assert_eq!(moved.browser().get(link).await.status, 200);
    moved.browser().click(&used).await.assert_page(403, "Invalid Credential");
    moved.browser().sign_in(&amina).await;
    for barred in [&locked, &guessed] {
        assert_eq!(moved.browser().log_in(barred, PASSWORD).await.status, 403);
    }
    moved.assert_invariants().await;
}

/// Each refusal names what to do, and what was there is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_empty_is_not_filled() {
    let Some(empty) = Empty::make().await else { return };
    let idp = Idp::start(Engine::Sqlite).await;
    let running = refusal(&idp.app.config, &empty.url()).await;
    assert!(running.contains("is in use: stop the service"), "{running}");
    let config = stopped(&idp).await;
    let here = refusal(&config, "sqlite://other.db").await;
    assert!(here.contains("must begin with postgres://"), "{here}");
    let mut target = empty.outsider().await;

    target.run("CREATE TABLE orders (id TEXT)").await;
    let foreign = refusal(&config, &empty.url()).await;
    assert!(foreign.contains("a table orders, which is not of this program"), "{foreign}");
    target.run("DROP TABLE orders; CREATE TABLE users (id TEXT)").await;
    let without_history = refusal(&config, &empty.url()).await;
    assert!(without_history.contains("no history of its schema"), "{without_history}");
    target.run("DROP TABLE users").await;

    // What `migrate` makes is no obstacle, and one row more is.
    let migrated = {
        let mut own = config.clone();
        own.database.url = empty.url();
        connect_idp::app::App::open(own, connect_idp::app::Opening::Migrate).await.unwrap()
    };
    migrated.db.close().await;
    target
        .run("INSERT INTO mails VALUES ('m', 'asked', NULL, '', 'waiting', 0, 0, 0, 9, NULL, NULL, NULL, NULL)")
        .await;
    let occupied = refusal(&config, &empty.url()).await;
    assert!(occupied.contains("is not empty, mails has rows"), "{occupied}");
    assert_eq!(target.number("SELECT COUNT(*) FROM providers").await, 1, "as it was");
    target.run("DELETE FROM mails").await;
    target.run("BEGIN; SELECT 1 FROM users").await;
    let at_work = refusal(&config, &empty.url()).await;
    assert!(at_work.contains("somebody is at work in the new database"), "{at_work}");
    target.run("ROLLBACK").await;

    target.run("UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 5").await;
    let other = refusal(&config, &empty.url()).await;
    assert!(other.contains("0005_scale is another one"), "{other}");
    target.run("DELETE FROM _sqlx_migrations").await;
    let forgotten = refusal(&config, &empty.url()).await;
    assert!(forgotten.contains("no history of its schema"), "{forgotten}");
}

/// What `migrate` makes there is written over by what is here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_migrated_and_never_used_is_filled() {
    let Some(empty) = Empty::make().await else { return };
    let idp = Idp::start(Engine::Sqlite).await;
    let amina = idp.user("amina").create().await;
    let config = stopped(&idp).await;
    let mut own = config.clone();
    own.database.url = empty.url();
    let app = connect_idp::app::App::open(own, connect_idp::app::Opening::Migrate).await.unwrap();
    app.db.close().await;
    try_move(&config, &empty.url()).await.unwrap();
    let moved = idp.replica(|own| own.database.url = empty.url()).await;
    moved.browser().sign_in(&amina).await;
    let again = refusal(&config, &empty.url()).await;
    assert!(again.contains("is not empty"), "{again}");
}

/// What PostgreSQL cannot keep is named, and nothing is left there; nor is a row lost or changed on the way unnoticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_fails_leaves_nothing_behind() {
    let Some(empty) = Empty::make().await else { return };
    let idp = Idp::start(Engine::Sqlite).await;
    idp.user("amina").create().await;
    let mut target = empty.outsider().await;
    let mut outsider = idp.outsider().await;
    for (number, (harm, words)) in [
        (
            "INSERT INTO refused_handoffs VALUES ('r', 1, 'r', 'r', 'a' || CHAR(0), '')",
            "table refused_handoffs: the column address of a row cannot be moved: it holds a NUL character",
        ),
        (
            "UPDATE refused_handoffs SET address = '', at = 'yesterday'",
            "table refused_handoffs: the column at of a row cannot be moved",
        ),
        (
            "UPDATE refused_handoffs SET at = 1; PRAGMA foreign_keys = OFF; UPDATE users SET provider_id = 'nobody'",
            "users_provider_id_provider_kind_fkey",
        ),
        ("CREATE TABLE notes (id TEXT)", "a table notes, which is not of this program"),
    ]
    .into_iter()
    .enumerate()
    {
        outsider.run(harm).await;
        let config = {
            let mut config = idp.app.config.clone();
            let file = idp.dir().join(format!("harmed-{number}.db"));
            idp.app.db.copy_into(&file).await.unwrap();
            config.database.url = Database::sqlite_url(&file);
            config
        };
        let failed = refusal(&config, &empty.url()).await;
        assert!(failed.contains("nothing was moved") && failed.contains(words), "{failed}");
        let left = "SELECT COUNT(*) FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace)";
        assert_eq!(target.number(left).await, 0, "not even the schema: {words}");
    }
}

/// Keys of another installation are found out before anything is moved; a password never stands among the arguments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_keys_and_a_password_in_an_argument_are_refused() {
    let idp = Idp::start(Engine::Sqlite).await;
    let config = stopped(&idp).await;
    let url = "postgres://connect_idp:secret@127.0.0.1:9/connect_idp";
    let (code, said) = command(&config, &["move", "--to", url]).await;
    assert!(code == 1 && said.contains("--to-url-file") && !said.contains("secret"), "{said}");
    let other = Idp::start(Engine::Sqlite).await;
    let mut wrong = config.clone();
    wrong.keys.dir.clone_from(&other.app.config.keys.dir);
    let refused = refusal(&wrong, "postgres://127.0.0.1:9/connect_idp").await;
    assert!(refused.contains("does not belong to this database"), "{refused}");
    let unreachable = refusal(&config, "postgres://127.0.0.1:9/connect_idp").await;
    assert!(unreachable.contains("nothing listens at 127.0.0.1:9"), "{unreachable}");
}
