//! Replicas that are stopped and started again one after the other, behind a proxy that tries nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use crate::haproxy::{ALL, NO_RETRY, before_replicas};
use crate::needs::named;
use crate::servers::folder;
use crate::setup::Setup;
use crate::support::{CHEAP, Engine, PASSWORD, eventually};
use crate::visitors::Visitors;

/// How many people ask at a time, and how many requests there are at least.
const AT_ONCE: usize = 4;
const REQUESTS: usize = 1000;
pub const DRAIN: (&str, &str) = ("CONNECT_IDP__DRAIN_SECONDS", "2");

/// Signs in, and reads what anybody may read, until told to stop; counts what was asked.
async fn visit(visitors: Visitors, stop: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let signed_in = visitors.try_log_in("user0", PASSWORD, None).await.unwrap();
        assert_eq!(signed_in.status, 303, "{signed_in:?}");
        asked.fetch_add(1, Ordering::Relaxed);
        for path in ["/login", "/oauth2/jwks", "/.well-known/openid-configuration"].iter().cycle().take(9) {
            let answer = visitors.get(path, None).await.unwrap();
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let (Some(engine), Some(program)) = (Engine::postgres(), named("CONNECT_IDP_TEST_HAPROXY")) else { return };
    let folder = folder();
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    let mut replicas = [setup.serve_with(&[DRAIN]).await, setup.serve_too_with(&[DRAIN]).await];
    let [first, second] = &replicas;
    let proxy = before_replicas(&program, folder.path(), &[first, second], NO_RETRY).await;
    let port = proxy.port;
    let visitors = Visitors::new(&format!("http://127.0.0.1:{port}"), &setup.issuer);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visits: Vec<_> =
        (0..AT_ONCE).map(|_| tokio::spawn(visit(visitors.clone(), Arc::clone(&stop), Arc::clone(&asked)))).collect();

    for replica in &mut replicas {
        replica.terminate();
        let ready = replica.internal("/health/ready");
        eventually("it is not ready at once", Duration::from_secs(1), async || {
            visitors.status(&ready).await == Some(503)
        })
        .await;
        assert_eq!(replica.ended(Duration::from_secs(10)).await.code(), Some(0));
        setup.start_again(replica, &[DRAIN]);
        eventually("the proxy has both again", Duration::from_secs(20), async || {
            visitors.status(&format!("http://127.0.0.1:{port}{ALL}")).await == Some(200)
        })
        .await;
    }
    eventually("enough was asked", Duration::from_mins(1), async || asked.load(Ordering::Relaxed) >= REQUESTS).await;
    stop.store(true, Ordering::Relaxed);

    join_all(visits).await.into_iter().for_each(|visit| visit.unwrap());
}
