//! Health and metrics, on the internal listener.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use connect_idp::operations::keys::sealing;
use connect_idp::store;
use connect_idp::web::health;
use tower::ServiceExt as _;

use crate::actors::{Engine, Idp};

async fn ask(idp: &Idp, path: &str) -> (u16, String) {
    let routes = health::routes().with_state(idp.app.clone());
    let response = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// G33: after the database was read-only for a while, as in a fail-over, and its connections were cut, it is used
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_read_only_is_used_again() {
    const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
    if crate::actors::postgres_server().is_none() {
        return;
    }
    let alter =
        |what: &str| format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {what}', current_database()); END $$");
    let idp = Idp::start_live(Engine::Postgres, |_| {}).await;
    let amina = idp.user("amina").create().await;
    let mut outsider = idp.outsider().await;
    outsider.run(&alter("SET default_transaction_read_only = on")).await;
    outsider.run(CUT).await;
    for _ in 0..8 {
        assert_eq!(ask(&idp, "/health/ready").await.0, 503);
    }
    assert!(ask(&idp, "/health/ready").await.1.contains("read-only"));
    assert_eq!(idp.browser().log_in(&amina, &amina.password).await.status, 503);
    // The session that alters is not bound by what it set: it was there before.
    outsider.run(&alter("RESET default_transaction_read_only")).await;
    assert_eq!(ask(&idp, "/health/ready").await, (200, "ready\n".into()));
    idp.browser().sign_in(&amina).await;
}

/// G30: a replica that freezes while it shows that it can write keeps no other one from being ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_probe_holds_no_other_up() {
    if crate::actors::postgres_server().is_none() {
        return;
    }
    let idp = Idp::start_live(Engine::Postgres, |_| {}).await;
    let other = in_tx!(idp, [idp], |tx| {
        store::settings::prove_write(tx, "frozen").await?;
        let probed = idp.clone();
        Ok(tokio::spawn(async move { ask(&probed, "/health/ready").await }).await.unwrap())
    });
    assert_eq!(other, (200, "ready\n".into()));
    assert_eq!(idp.number("SELECT COUNT(*) FROM settings WHERE name LIKE 'write of %'").await, 0);
}

both_engines! {
    /// Ready while the database answers, live in any case.
    async fn it_is_ready_while_the_database_answers(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        assert_eq!(ask(&idp, "/health/live").await, (200, "live\n".into()));
        assert_eq!(ask(&idp, "/health/ready").await, (200, "ready\n".into()));
        idp.app.db.close().await;
        assert_eq!(ask(&idp, "/health/ready").await.0, 503);
        assert_eq!(ask(&idp, "/health/live").await.0, 200);
    }

    /// A replica whose clock is off the database's is not ready: its deadlines would lie.
    async fn a_clock_that_is_off_is_not_ready(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (status, body) = ask(&idp, "/health/ready").await;
        match engine {
            Engine::Sqlite => assert_eq!(status, 200, "it shares our clock"),
            Engine::Postgres => {
                assert_eq!(status, 503);
                assert!(body.starts_with("not ready: our clock is "), "{body}");
                assert!(idp.app.clock_is_wrong());
            }
        }
    }

    /// G33: a replica that cannot open the key that is to sign is not ready, and says which and why.
    async fn a_replica_that_cannot_sign_is_not_ready(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        sealing::renew(&idp.act()).await.unwrap();
        assert_eq!(idp.browser().get("/oauth2/jwks").await.status, 200);
        assert_eq!(ask(&idp, "/health/ready").await, (200, "ready\n".into()));
        let file = idp.app.config.keys.dir.join("kek-0002");
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let blind = idp.replica(|_| {}).await;
        let (status, body) = ask(&blind, "/health/ready").await;
        assert_eq!(status, 503, "{body}");
        assert!(body.starts_with("not ready: nothing can be signed with RS256: "), "{body}");
        assert!(body.contains("kek-0002") && body.contains("restore"), "{body}");
        assert_eq!(ask(&idp, "/health/ready").await.0, 200, "it has opened its keys already");
        fs::write(&file, kept).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let fresh = idp.replica(|_| {}).await;
        assert_eq!(ask(&fresh, "/health/ready").await.0, 200);
    }

    /// Health is nobody's business outside.
    async fn health_is_not_on_the_public_site(engine: Engine) {
        let idp = Idp::start(engine).await;
        assert_eq!(idp.browser().get("/health/ready").await.status, 404);
    }
}
