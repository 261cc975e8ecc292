//! Health and metrics, on the internal listener.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use connect_idp::web::health;
use tower::ServiceExt as _;

use crate::actors::{Engine, Idp, User};

async fn ask(idp: &Idp, path: &str) -> (u16, String) {
    let routes = health::routes().with_state(idp.app.clone());
    let response = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
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
            }
        }
    }

    /// What is counted says nothing of anybody.
    async fn metrics_count_sign_ins(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.browser().sign_in(&amina).await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.browser().log_in(&User::nobody("x", "y"), "z").await;
        idp.browser().hand_off("nonsense").await;
        let (status, body) = ask(&idp, "/metrics").await;
        assert_eq!(status, 200);
        let counted: BTreeMap<_, _> = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect();
        for (name, count) in [
            ("connect_idp_sign_ins_total{method=\"password\",outcome=\"success\"}", "1"),
            ("connect_idp_sign_ins_total{method=\"password\",outcome=\"refused\"}", "1"),
            ("connect_idp_sign_ins_total{method=\"handoff\",outcome=\"success\"}", "1"),
            ("connect_idp_sign_ins_total{method=\"handoff\",outcome=\"refused\"}", "1"),
            ("connect_idp_handoff_refusals_total{reason=\"not_compact_jws\"}", "1"),
        ] {
            assert_eq!(counted.get(name), Some(&count), "{name}");
        }
        assert!(body.ends_with("# EOF\n"));
        // Nothing of it is on the public site.
        assert_eq!(idp.browser().get("/metrics").await.status, 404);
        assert_eq!(idp.browser().get("/health/ready").await.status, 404);
    }
}
