//! A database that is gone, hangs, or moved: everybody is answered within bounds, and the service recovers
//! automatically.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::proxy::Proxy;
use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, eventually};
use crate::visitors::{Answer, Visitors};

/// How long an ordinary request may take at most, with a second for this machine.
const BOUND: Duration = Duration::from_secs(16);
/// How long a service whose database is back may take to find it.
const RECOVERED: Duration = Duration::from_secs(10);
/// How long until connections that hang for good are given up.
const GIVEN_UP: Duration = Duration::from_secs(75);

async fn behind_a_proxy(setup: &Setup) -> (Service, Proxy) {
    let proxy = Proxy::start(&setup.database).await;
    let service = setup.serve_with(&[("CONNECT_IDP__DATABASE__URL", &proxy.url)]).await;
    // Every connection that the pool may have is made, and just now in use.
    for answer in log_in_all(&service.visitors()).await {
        assert_eq!(answer.status, 303);
    }
    (service, proxy)
}

/// More logins at once than there are connections.
async fn log_in_all(visitors: &Visitors) -> Vec<Answer> {
    join_all((0..24).map(async |number| visitors.log_in(&format!("user{number}")).await)).await
}

/// All are answered "busy" in time; how soon.
async fn assert_all_busy(visitors: &Visitors, within: Duration) -> Duration {
    let started = Instant::now();
    for answer in timeout(within, log_in_all(visitors)).await.expect("not all were answered in time") {
        assert!(answer.is_busy(), "{answer:?}");
    }
    started.elapsed()
}

async fn recovers(visitors: &Visitors, within: Duration) -> Duration {
    let started = Instant::now();
    eventually("a login succeeds again", within, async || visitors.log_in("user1").await.status == 303).await;
    started.elapsed()
}

on_engines! { a_dead_database_is_answered_503_and_found_again: postgres }
async fn a_dead_database_is_answered_503_and_found_again(engine: Engine) {
    let setup = Setup::new(engine, 24, CHEAP, "").await;
    let (service, proxy) = behind_a_proxy(&setup).await;
    let visitors = service.visitors();

    proxy.cut();
    let answered = assert_all_busy(&visitors, Duration::from_secs(5)).await;
    let handed_over = visitors.hand_over(&setup.sender.assertion("user0")).await.unwrap();
    assert!(handed_over.is_busy(), "{handed_over:?}");
    assert_eq!(visitors.status(&service.internal("/health/ready")).await, Some(503));
    assert_eq!(visitors.status(&service.internal("/health/live")).await, Some(200));

    proxy.resume();
    println!("cut off: answered within {answered:?}, back after {:?}", recovers(&visitors, RECOVERED).await);
    setup.cli(&["doctor"]);
}

on_engines! { a_hanging_database_is_answered_503_and_found_again: postgres }
async fn a_hanging_database_is_answered_503_and_found_again(engine: Engine) {
    let (resume, fail_over) =
        (hang(engine.clone(), Proxy::resume, RECOVERED), hang(engine, Proxy::fail_over, GIVEN_UP));
    let (resumed, failed_over) = tokio::join!(resume, fail_over);
    println!("hanging: back after {resumed:?}; moved: back after {failed_over:?}");
}

/// Hangs until everybody is answered, then goes on; how soon a login succeeds.
async fn hang(engine: Engine, go_on: impl Fn(&Proxy), within: Duration) -> Duration {
    let setup = Setup::new(engine, 24, CHEAP, "").await;
    let (service, proxy) = behind_a_proxy(&setup).await;
    let visitors = service.visitors();

    proxy.stop();
    assert_all_busy(&visitors, BOUND).await;
    assert_eq!(visitors.status(&service.internal("/health/ready")).await, Some(503));
    go_on(&proxy);

    let back = recovers(&visitors, within).await;
    setup.cli(&["doctor"]);
    back
}

on_engines! { a_locked_file_is_answered_503_and_waited_out: sqlite }
async fn a_locked_file_is_answered_503_and_waited_out(engine: Engine) {
    let setup = Setup::new(engine, 24, CHEAP, "").await;
    let service = setup.serve().await;
    let visitors = service.visitors();
    let signed_in = visitors.log_in("user0").await.session().unwrap();
    assert!(visitors.is_signed_in(&signed_in).await);

    let other = setup.sqlite();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let answered = assert_all_busy(&visitors, BOUND).await;
    assert!(visitors.is_signed_in(&signed_in).await, "reading needs no lock");
    other.execute_batch("ROLLBACK").unwrap();

    println!("locked file: answered within {answered:?}, back after {:?}", recovers(&visitors, RECOVERED).await);
    setup.cli(&["doctor"]);
}

on_engines! { a_full_disk_is_answered_503_and_not_ready_until_there_is_room: sqlite }
async fn a_full_disk_is_answered_503_and_not_ready_until_there_is_room(engine: Engine) {
    let mut setup = Setup::new(engine, 24, CHEAP, "").await;
    // With the signal ignored that comes with it, a limit on files is to a program what a full disk is.
    let script = format!("#!/bin/sh\ntrap '' XFSZ\nexec '{}' \"$@\"\n", setup.program.display());
    setup.program = setup.write("without-signal", &script);
    fs::set_permissions(&setup.program, fs::Permissions::from_mode(0o700)).unwrap();
    let service = setup.serve().await;
    let visitors = service.visitors();
    let signed_in = visitors.log_in("user0").await.session().unwrap();
    assert!(visitors.is_signed_in(&signed_in).await);
    let ready = service.internal("/health/ready");
    assert_eq!(visitors.status(&ready).await, Some(200));

    let log = fs::metadata(setup.folder.path().join("connect.db-wal")).unwrap().len();
    service.limit_files(Some(log));
    assert_all_busy(&visitors, BOUND).await;
    assert_eq!(visitors.status(&ready).await, Some(503));
    assert_eq!(visitors.status(&service.internal("/health/live")).await, Some(200));
    assert!(visitors.is_signed_in(&signed_in).await, "reading needs no room");

    service.limit_files(None);
    println!("full disk: back after {:?}", recovers(&visitors, RECOVERED).await);
    assert_eq!(visitors.status(&ready).await, Some(200));
    assert!(visitors.is_signed_in(&signed_in).await);
    setup.cli(&["doctor"]);
}
