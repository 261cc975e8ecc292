//! PgBouncer between us and PostgreSQL, as it comes: nothing that it does not know is passed over by its configuration.

use std::fs;

use futures_util::future::join_all;
use serde_json::json;

use crate::needs::named;
use crate::ports::free_port;
use crate::relying_parties::{App, client};
use crate::servers::{Server, command, folder};
use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, PROVIDER};
use crate::visitors::{INVALID, LOCKED};

const USERS: usize = 24;

on_engines! { everything_works_through_a_pooler_that_gives_each_session_a_connection: postgres }
async fn everything_works_through_a_pooler_that_gives_each_session_a_connection(engine: Engine) {
    // As many as both replicas have, and some for commands.
    through(engine, "session", 30).await;
}

on_engines! { everything_works_through_a_pooler_that_gives_each_transaction_a_connection: postgres }
async fn everything_works_through_a_pooler_that_gives_each_transaction_a_connection(engine: Engine) {
    // Fewer than we have, so that who comes back finds another one.
    through(engine, "transaction", 4).await;
}

async fn through(engine: Engine, pooling: &str, connections: u16) {
    let Some(program) = named("CONNECT_IDP_TEST_PGBOUNCER") else { return };
    let folder = folder();
    let setup = Setup::empty(engine, CHEAP, "").await;
    let direct = url::Url::parse(&setup.database).unwrap();
    let port = free_port();
    fs::write(folder.path().join("users"), "\"postgres\" \"\"\n").unwrap();
    let settings = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = users\npool_mode = {pooling}\ndefault_pool_size = {connections}\n\
         max_client_conn = 200\n",
        direct.host_str().unwrap(),
        direct.port().unwrap_or(5432)
    );
    fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
    let mut pgbouncer = command(&program, folder.path());
    pgbouncer.arg("pgbouncer.ini");
    let _pgbouncer = Server::start(pgbouncer, folder.path(), port).await;

    let mut pooled = direct.clone();
    pooled.set_host(Some("127.0.0.1")).unwrap();
    pooled.set_port(Some(port)).unwrap();
    let variables = [("CONNECT_IDP__DATABASE__URL", pooled.as_str()), ("CONNECT_IDP__DATABASE__POOLING", pooling)];
    let cli = |arguments: &[&str]| {
        let done = setup.command(arguments).envs(variables).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    cli(&["key", "init"]);
    cli(&["migrate"]);
    if pooling == "transaction" {
        let unset = || setup.command(&["provider", "list"]).env("CONNECT_IDP__DATABASE__URL", pooled.as_str()).output();
        // The first leaves statements under names that the second uses too.
        let (_, second) = (unset().unwrap(), unset().unwrap());
        let said = String::from_utf8(second.stderr).unwrap();
        assert!(said.contains("set database.pooling = \"transaction\""), "{said}");
    }
    // What was left in the pooler's connections is in nobody's way.
    cli(&["migrate"]);
    let file = setup.write("seed.toml", &(setup.seed(USERS, CHEAP).await + &client("")));
    cli(&["apply", file.to_str().unwrap()]);

    let services = [setup.serve_with(&variables).await, setup.serve_too_with(&variables).await];
    sign_ins(&setup, &services).await;
    tokens(&services).await;
    cli(&["user", "lock", "--provider", PROVIDER, "--login-name", "user1"]);
    assert_eq!(services[0].visitors().log_in("user1").await.text("login-error"), LOCKED);
    cli(&["doctor"]);
}

async fn sign_ins(setup: &Setup, [first, second]: &[Service; 2]) {
    let both = [first.visitors(), second.visitors()];
    let answers =
        join_all((0..USERS * 2).map(async |number| both[number % 2].log_in(&format!("user{}", number / 2)).await));
    for answer in answers.await {
        assert_eq!(answer.status, 303, "{answer:?}");
        let session = answer.session().unwrap();
        assert!(both[0].is_signed_in(&session).await && both[1].is_signed_in(&session).await);
    }
    let refused = both[0].try_log_in("user0", "Wrong-Horse-9", None).await.unwrap();
    assert_eq!(refused.text("login-error"), INVALID);
    let posted = both[0].hand_over(&setup.sender.assertion("user0")).await.unwrap();
    let session = both[1].complete(&posted).await.unwrap().session().unwrap();
    for path in ["/", "/activity", "/sessions"] {
        assert_eq!(both[0].get(path, Some(&session)).await.unwrap().status, 200, "{path}");
    }
    for service in [first, second] {
        assert_eq!(both[0].status(&service.internal("/health/ready")).await, Some(200));
    }
}

async fn tokens([first, second]: &[Service; 2]) {
    let (here, there) = (App::at(&first.address), App::at(&second.address));
    let session = first.visitors().log_in("user2").await.session().unwrap();
    let code = here.code(&first.visitors(), &session).await.unwrap();
    let (status, tokens) = there.exchange(&code).await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(here.exchange(&code).await.unwrap().0, 400, "a code is good once");
    let code = here.code(&first.visitors(), &session).await.unwrap();
    let (_, tokens) = there.exchange(&code).await.unwrap();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, tokens) =
        here.post("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!((here.userinfo(access).await, there.userinfo(access).await), (200, 200));
    here.post("/oauth2/revoke", &[("token", access)]).await;
    let (_, said) = there.post("/oauth2/introspect", &[("token", access)]).await.unwrap();
    assert_eq!(said, json!({ "active": false }));
}
