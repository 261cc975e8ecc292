//! Far more logins at once than the machine can hash: bounded memory, an answer for everybody, nobody locked out.

use std::time::Duration;

use futures_util::future::join_all;

use crate::setup::{Setup, optimised};
use crate::support::{DEFAULT, Engine, PASSWORD, eventually};
use crate::visitors::{INVALID, LOCKED};

const CROWD: usize = 1000;
/// Every tenth of the crowd guesses wrong.
const WRONG: usize = 10;
/// What a crowd adds to an idle service: two hashes of 19 MiB, and a thousand requests in hand of some 70 KiB each in a
/// program that is not optimised.
const MOST_MIB: f64 = 2.0 * 19.0 + 70.0;

on_engines! { a_thousand_logins_at_once_are_all_answered: sqlite, postgres }
async fn a_thousand_logins_at_once_are_all_answered(engine: Engine) {
    let setup = Setup::new(engine, CROWD, DEFAULT, "").await;
    let mut service = setup.serve().await;
    let visitors = service.visitors();
    let idle = service.memory_mib("VmRSS");

    let log_in = async |number: usize| {
        let password = if number.is_multiple_of(WRONG) { "Wrong-Horse-9" } else { PASSWORD };
        (number, visitors.try_log_in(&format!("user{number}"), password, None).await.unwrap())
    };
    let answers = join_all((0..CROWD).map(log_in)).await;

    let (mut let_in, mut refused, mut busy) = (0, 0, Vec::new());
    for (number, answer) in &answers {
        match answer.status {
            303 if !number.is_multiple_of(WRONG) => let_in += 1,
            403 if number.is_multiple_of(WRONG) && answer.text("login-error") == INVALID => refused += 1,
            _ if answer.is_busy() => busy.push(*number),
            _ => panic!("user{number}: {answer:?}"),
        }
    }
    let most = service.memory_mib("VmHWM");
    println!(
        "{CROWD} logins: {let_in} let in, {refused} refused, {} busy; {idle:.1} MiB before, at most {most:.1}",
        busy.len()
    );
    assert!(most < idle + MOST_MIB, "{idle:.1} MiB before, {most:.1} at most");
    assert!(service.runs() && let_in > 0);
    assert_eq!(setup.count("strikes WHERE failures > 0").await, refused);
    let given_back = async || setup.count("strike_slots").await == 0;
    eventually("what was turned away holds no chance", Duration::from_secs(20), given_back).await;
    for number in busy.iter().take(40) {
        let again = visitors.log_in(&format!("user{number}")).await;
        assert_eq!(again.status, 303, "user{number}: {again:?}");
    }
    setup.cli(&["doctor"]);
}

/// What the allocator may keep after storms, in a program that is not optimised; and how much more after the last than
/// after the second, by which each reader is there and has its statements.
const LEFT_MIB: f64 = 70.0;
const MORE_MIB: f64 = 8.0;

on_engines! { storms_with_pauses_leave_no_memory_behind: sqlite, postgres }
async fn storms_with_pauses_leave_no_memory_behind(engine: Engine) {
    let setup = Setup::new(engine, 60, DEFAULT, "").await;
    let mut service = setup.serve().await;
    let visitors = service.visitors();
    let (idle, descriptors) = (service.memory_mib("VmRSS"), service.descriptors());
    let mut after = Vec::new();
    for _ in 0..4 {
        let storm = (0..240).map(|number| {
            let visitors = visitors.clone();
            async move { visitors.log_in(&format!("user{}", number % 60)).await }
        });
        let answers = join_all(storm).await;
        assert!(answers.iter().all(|answer| answer.status == 303 || answer.is_busy()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        after.push(service.memory_mib("VmRSS"));
    }
    println!("{idle:.1} MiB before; {after:.1?} after each storm, at most {:.1}", service.memory_mib("VmHWM"));
    assert!(after[3] < idle + LEFT_MIB && after[3] < after[1] + MORE_MIB, "{idle:.1} MiB before, {after:.1?} after");
    let closed = async || service.descriptors() <= descriptors + 10;
    eventually("connections are closed", Duration::from_secs(10), closed).await;
    assert!(service.runs());
}

on_engines! { a_user_whom_everybody_wants_to_be_gets_in: sqlite, postgres }
async fn a_user_whom_everybody_wants_to_be_gets_in(engine: Engine) {
    let setup = Setup::new(engine, 1, DEFAULT, "").await;
    let service = setup.serve().await;
    let visitors = service.visitors();

    let answers = join_all((0..60).map(|_| visitors.log_in("user0"))).await;

    assert!(answers.iter().all(|answer| answer.text("login-error") != LOCKED));
    assert!(
        answers.iter().all(|answer| answer.status == 303),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
}

on_engines! { an_idle_service_is_small: sqlite, postgres }
async fn an_idle_service_is_small(engine: Engine) {
    let setup = Setup::new(engine, 1, DEFAULT, "").await;
    let service = setup.serve().await;
    let memory = service.memory_mib("VmRSS");
    println!("idle: {memory:.1} MiB");
    // Of a program that is not optimised its own code is the most.
    let most = if optimised().is_some() { 50.0 } else { 80.0 };
    assert!(memory < most, "{memory:.1} MiB");
}
