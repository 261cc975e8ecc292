//! A database that hangs during a handoff: the page comes by its deadline, and stays true whatever the database did
//! meanwhile (U7, U8).

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::proxy::{Proxy, Trap};
use crate::setup::{Record, Service, Setup};
use crate::support::{CHEAP, Engine, eventually};
use crate::visitors::{Answer, TIMED_OUT, Visitors};

const TWO_SECONDS: &str = "[handoff]\ntimeout_seconds = 2\n";
/// The deadline, and the one second that U7 gives the answer.
const ANSWERED: Duration = Duration::from_secs(3);
/// The sweep comes every two seconds; what is owed is tried again after five; the machine may be busy.
const SETTLED: Duration = Duration::from_secs(20);
const TWO_SWEEPS: Duration = Duration::from_secs(5);

/// When PostgreSQL hangs.
#[derive(Clone, Copy, Debug)]
enum Hangs {
    /// In the transaction of the first step, or in that of the second.
    First(Trap),
    Second(Trap),
}

/// How it goes on.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The same connections go on.
    Resumes,
    /// Every connection breaks first.
    Breaks,
}

/// Each way to hang, with the outcomes that are recorded of the handoff.
const WAYS: [(Hangs, &[&str]); 4] = [
    (Hangs::First(Trap::Before("INSERT INTO single_use")), &["refused"]),
    (Hangs::First(Trap::CommitOf("INSERT INTO handoffs")), &["refused"]),
    (Hangs::Second(Trap::Before("UPDATE handoffs SET state")), &["refused"]),
    (Hangs::Second(Trap::CommitOf("INSERT INTO sessions")), &["success", "refused"]),
];

on_engines! { a_handoff_that_outlasts_a_hang_is_a_timeout_for_good: postgres }
async fn a_handoff_that_outlasts_a_hang_is_a_timeout_for_good(engine: Engine) {
    join_all(WAYS.map(|(hangs, outcomes)| hang(engine.clone(), hangs, Then::Resumes, outcomes))).await;
}

on_engines! { a_handoff_whose_database_hangs_and_breaks_is_a_timeout_for_good: postgres }
async fn a_handoff_whose_database_hangs_and_breaks_is_a_timeout_for_good(engine: Engine) {
    join_all(WAYS.map(|(hangs, outcomes)| hang(engine.clone(), hangs, Then::Breaks, outcomes))).await;
}

async fn hang(engine: Engine, hangs: Hangs, then: Then, outcomes: &[&str]) {
    println!("{hangs:?}, {then:?}");
    let setup = Setup::new(engine, 1, CHEAP, TWO_SECONDS).await;
    let proxy = Proxy::start(&setup.database).await;
    let service = setup.serve_with(&[("CONNECT_IDP__DATABASE__URL", &proxy.url)]).await;
    let visitors = warm(&service).await;

    let started = Instant::now();
    let assertion = setup.sender.assertion("user0");
    let posted = match hangs {
        Hangs::First(trap) => {
            proxy.stop_at(trap);
            assert_timed_out(&in_time(started, visitors.hand_over(&assertion)).await);
            None
        }
        Hangs::Second(trap) => {
            let posted = visitors.hand_over(&assertion).await.unwrap();
            assert_eq!(posted.status, 303, "{posted:?}");
            proxy.stop_at(trap);
            assert_timed_out(&in_time(started, visitors.complete(&posted)).await);
            Some(posted)
        }
    };
    assert!(proxy.is_stopped(), "the trap was never reached");
    if matches!(then, Then::Breaks) {
        proxy.cut();
    }
    proxy.resume();

    assert_settled(&setup, outcomes).await;
    assert_spent(&visitors, &assertion, posted.as_ref()).await;
}

on_engines! { a_handoff_that_outlasts_a_lock_of_the_file_is_a_timeout_for_good: sqlite }
async fn a_handoff_that_outlasts_a_lock_of_the_file_is_a_timeout_for_good(engine: Engine) {
    join_all([false, true].map(|at_second_step| {
        let engine = engine.clone();
        async move {
            let setup = Setup::new(engine, 1, CHEAP, TWO_SECONDS).await;
            let service = setup.serve().await;
            let visitors = warm(&service).await;
            let other = setup.sqlite();

            let started = Instant::now();
            let assertion = setup.sender.assertion("user0");
            let posted = if at_second_step { Some(visitors.hand_over(&assertion).await.unwrap()) } else { None };
            other.execute_batch("BEGIN EXCLUSIVE").unwrap();
            let answer = match &posted {
                Some(posted) => in_time(started, visitors.complete(posted)).await,
                None => in_time(started, visitors.hand_over(&assertion)).await,
            };
            assert_timed_out(&answer);
            other.execute_batch("ROLLBACK").unwrap();
            drop(other);

            assert_settled(&setup, &["refused"]).await;
            assert_spent(&visitors, &assertion, posted.as_ref()).await;
        }
    }))
    .await;
}

on_engines! { a_browser_that_breaks_off_in_time_comes_again_to_its_session: postgres }
async fn a_browser_that_breaks_off_in_time_comes_again_to_its_session(engine: Engine) {
    let setup = Setup::new(engine, 1, CHEAP, "").await;
    let proxy = Proxy::start(&setup.database).await;
    let service = setup.serve_with(&[("CONNECT_IDP__DATABASE__URL", &proxy.url)]).await;
    let visitors = warm(&service).await;
    let posted = visitors.hand_over(&setup.sender.assertion("user0")).await.unwrap();

    proxy.stop_at(Trap::CommitOf("INSERT INTO sessions"));
    assert!(timeout(Duration::from_secs(1), visitors.complete(&posted)).await.is_err());
    assert!(proxy.is_stopped(), "the trap was never reached");
    proxy.resume();

    let again = visitors.complete(&posted).await.unwrap();
    assert!(visitors.is_signed_in(&again.session().unwrap()).await);
    assert_eq!(setup.count("activity WHERE kind = 'sign_in'").await, 1);
    setup.cli(&["doctor"]);
}

/// A service that knows its trusted issuers already.
async fn warm(service: &Service) -> Visitors {
    let visitors = service.visitors();
    assert_eq!(visitors.hand_over("no assertion").await.unwrap().status, 403);
    visitors
}

/// The answer, which comes within the time that U7 gives.
async fn in_time(started: Instant, asked: impl Future<Output = Result<Answer, reqwest::Error>>) -> Answer {
    timeout_at(started + ANSWERED, asked).await.expect("the page is late").unwrap()
}

fn assert_timed_out(answer: &Answer) {
    assert_eq!((answer.status, answer.text("handoff-error").as_str()), (403, TIMED_OUT), "{answer:?}");
    assert_eq!(answer.session(), None);
}

/// These outcomes are recorded, no other comes after them, the last says why; and no session is left.
async fn assert_settled(setup: &Setup, outcomes: &[&str]) {
    const RECORDS: &str = "activity WHERE login_type = 'Unified Login'";
    eventually("the handoff is settled", SETTLED, async || setup.count(RECORDS).await >= outcomes.len()).await;
    sleep(TWO_SWEEPS).await;
    let unified = |record: &Record| record.login_type.as_deref() == Some("Unified Login");
    let found: Vec<Record> = setup.activity().into_iter().filter(unified).collect();
    assert_eq!(found.iter().map(|record| record.outcome.as_str()).collect::<Vec<_>>(), outcomes, "{found:?}");
    assert_eq!(found.last().unwrap().reason.as_deref(), Some("timed_out"));
    assert_eq!(setup.count("sessions WHERE ended_at IS NULL").await, 0);
    assert_eq!(setup.count("handoffs WHERE state = 'pending'").await, 0);
    setup.cli(&["doctor"]);
}

/// Neither the assertion nor the handoff's own cookie opens anything any more.
async fn assert_spent(visitors: &Visitors, assertion: &str, posted: Option<&Answer>) {
    assert_eq!(visitors.hand_over(assertion).await.unwrap().status, 403);
    if let Some(posted) = posted {
        assert_eq!(visitors.complete(posted).await.unwrap().session(), None);
    }
}
