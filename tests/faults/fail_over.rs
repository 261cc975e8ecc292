//! A PostgreSQL that dies, and its standby in its place: two servers with streaming replication behind HAProxy, which
//! sends everybody to the one that writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::databases::run_on;
use crate::haproxy::before_databases;
use crate::needs::named;
use crate::servers::{Postgres, folder};
use crate::setup::Setup;
use crate::support::{CHEAP, Engine, eventually};
use crate::visitors::Visitors;

/// How soon after the promotion people sign in again.
const BACK: Duration = Duration::from_secs(5);
const USERS: usize = 24;

/// Signs people in one after the other until told to stop, and notes the session of each who was answered.
async fn sign_in_all_the_time(visitors: Visitors, first: usize, stop: Arc<AtomicBool>, noted: Arc<Mutex<Vec<String>>>) {
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        let answer = visitors.log_in(&format!("user{}", number % USERS)).await;
        assert!(answer.status == 303 || answer.is_busy(), "{answer:?}");
        match answer.session() {
            Some(session) => noted.lock().unwrap().push(session),
            None => sleep(Duration::from_millis(20)).await,
        }
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_is_found_and_nothing_acknowledged_is_lost() {
    let (Some(programs), Some(program)) =
        (named("CONNECT_IDP_TEST_POSTGRES_PROGRAMS"), named("CONNECT_IDP_TEST_HAPROXY"))
    else {
        return;
    };
    let folder = folder();
    let mut first = Postgres::first(&programs, folder.path()).await;
    let second = first.standby(folder.path()).await;
    // From here on a commit is acknowledged when both have it.
    first.wait_for_standby().await;
    let proxy = before_databases(&program, folder.path(), [first.server.port, second.server.port]).await;
    let cluster = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port);
    // It takes a server for good until it has asked, and goes round.
    let writes = async |_| run_on(&cluster, "CREATE TEMPORARY TABLE t (a int)".into()).await.is_ok();
    let all_write = async || join_all((0..8).map(writes)).await.into_iter().all(|writes| writes);
    eventually("HAProxy has found the one that writes", BACK, all_write).await;

    let setup = Setup::new(Engine::Postgres(cluster), USERS, CHEAP, "").await;
    let service = setup.serve().await;
    let visitors = service.visitors();
    let (stop, noted) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let people: Vec<_> = (0..6)
        .map(|n| tokio::spawn(sign_in_all_the_time(visitors.clone(), n * 4, Arc::clone(&stop), Arc::clone(&noted))))
        .collect();
    eventually("people sign in", BACK, async || noted.lock().unwrap().len() > 60).await;

    first.server.kill();
    let before = noted.lock().unwrap().len();
    eventually("nobody is told that all is well", BACK, async || {
        visitors.status(&service.internal("/health/ready")).await == Some(503)
    })
    .await;
    second.run_sql("SELECT pg_promote(true)").await;
    let promoted = Instant::now();
    eventually("people sign in again", BACK, async || visitors.log_in("user0").await.status == 303).await;
    let back = promoted.elapsed();
    for answer in join_all((0..USERS).map(async |number| visitors.log_in(&format!("user{number}")).await)).await {
        assert_eq!(answer.status, 303, "each connection that is left over costs nobody an answer");
    }
    let ready = async || visitors.status(&service.internal("/health/ready")).await == Some(200);
    eventually("it is ready", BACK, ready).await;

    stop.store(true, Ordering::Relaxed);
    for person in people {
        person.await.unwrap();
    }
    let noted = noted.lock().unwrap().clone();
    println!("back {back:?} after the promotion; {before} sessions before it, {} in all", noted.len());
    for some in noted.chunks(20) {
        let live = join_all(some.iter().map(|session| visitors.is_signed_in(session))).await;
        assert!(live.iter().all(|live| *live), "a session that was acknowledged is lost");
    }
    let recorded = setup.count("activity WHERE kind = 'sign_in' AND outcome = 'success'").await;
    assert!(recorded >= noted.len() + USERS, "{recorded} of {} are recorded", noted.len() + USERS);
    setup.cli(&["doctor"]);
}
