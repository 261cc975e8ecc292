//! Two replicas on one PostgreSQL with one keys folder are of one mind.

use std::time::Duration;

use futures_util::future::join_all;

use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, PROVIDER, eventually};
use crate::visitors::{INVALID, LOCKED, NOT_VALID, Visitors};

/// How soon a replica knows what was decided elsewhere.
const AT_ONCE: Duration = Duration::from_secs(1);

struct Replicas {
    setup: Setup,
    both: [Visitors; 2],
    services: [Service; 2],
}

impl Replicas {
    async fn start(engine: Engine) -> Self {
        let setup = Setup::new(engine, 3, CHEAP, "").await;
        let services = [setup.serve().await, setup.serve_too().await];
        Self { setup, both: [services[0].visitors(), services[1].visitors()], services }
    }

    /// Each visits the replica after the one before.
    fn turn(&self, number: usize) -> &Visitors {
        &self.both[number % 2]
    }
}

on_engines! { sixty_copies_of_an_assertion_open_one_session: postgres }
async fn sixty_copies_of_an_assertion_open_one_session(engine: Engine) {
    let replicas = Replicas::start(engine).await;
    let assertion = replicas.setup.sender.assertion("user0");

    let answers = join_all((0..60).map(|number| replicas.turn(number).hand_over(&assertion))).await;

    let (opened, refused): (Vec<_>, Vec<_>) = answers.into_iter().map(Result::unwrap).partition(|a| a.status == 303);
    assert_eq!(opened.len(), 1);
    assert!(refused.iter().all(|answer| (answer.status, answer.text("handoff-error").as_str()) == (403, NOT_VALID)));
    let completed = replicas.turn(0).complete(&opened[0]).await.unwrap();
    assert!(replicas.turn(1).is_signed_in(&completed.session().unwrap()).await);
    assert_eq!(replicas.setup.count("sessions").await, 1);
    assert_eq!(replicas.setup.count("activity WHERE kind = 'sign_in' AND outcome = 'success'").await, 1);
    assert_eq!(replicas.setup.count("activity WHERE reason = 'replayed'").await, 1);
    replicas.setup.cli(&["doctor"]);
}

on_engines! { wrong_guesses_split_over_replicas_are_answered_three_times: postgres }
async fn wrong_guesses_split_over_replicas_are_answered_three_times(engine: Engine) {
    let replicas = Replicas::start(engine).await;

    let guesses = (0..40).map(|number| replicas.turn(number).try_log_in("user0", "Wrong-Horse-9", None));
    let answers: Vec<_> = join_all(guesses).await.into_iter().map(Result::unwrap).collect();

    let read = |text: &str| answers.iter().filter(|a| a.status == 403 && a.text("login-error") == text).count();
    let busy = answers.iter().filter(|answer| answer.is_busy()).count();
    assert_eq!((read(INVALID), read(LOCKED) + busy), (2, 38), "the third wrong answer is the lock message");
    assert!(read(LOCKED) > 0);
    assert_eq!(replicas.setup.count("activity WHERE reason = 'wrong_password'").await, 3);
    assert_eq!(replicas.setup.count("activity WHERE kind = 'account_locked'").await, 1);
    for visitors in &replicas.both {
        assert_eq!(visitors.log_in("user0").await.text("login-error"), LOCKED);
        assert_eq!(visitors.log_in("user1").await.status, 303);
    }
    replicas.setup.cli(&["doctor"]);
}

on_engines! { what_replicas_record_is_sealed_once_and_soon: postgres }
async fn what_replicas_record_is_sealed_once_and_soon(engine: Engine) {
    let replicas = Replicas::start(engine).await;

    let sign_ins = (0..60).map(|number| replicas.turn(number).log_in("user1"));
    let opened = join_all(sign_ins).await.into_iter().filter(|answer| answer.status == 303).count();

    assert!(opened > 0);
    let unsealed = "activity a WHERE NOT EXISTS (SELECT 1 FROM activity_seals s WHERE s.activity_id = a.id)";
    let sealed = async || replicas.setup.count(unsealed).await == 0;
    eventually("every record is sealed", 2 * AT_ONCE, sealed).await;
    assert_eq!(replicas.setup.count("activity_seals").await, replicas.setup.count("activity").await);
    assert!(replicas.setup.cli(&["activity", "verify"]).starts_with("ok "));
}

on_engines! { a_lock_and_a_deactivation_end_sessions_on_every_replica: postgres }
async fn a_lock_and_a_deactivation_end_sessions_on_every_replica(engine: Engine) {
    let replicas = Replicas::start(engine).await;
    let [first, second] = &replicas.both;
    let (user0, user1) =
        (first.log_in("user0").await.session().unwrap(), second.log_in("user1").await.session().unwrap());
    for visitors in &replicas.both {
        assert!(visitors.is_signed_in(&user0).await && visitors.is_signed_in(&user1).await);
    }

    replicas.setup.cli(&["user", "lock", "--provider", PROVIDER, "--login-name", "user0"]);
    for visitors in &replicas.both {
        eventually("user0 is out", AT_ONCE, async || !visitors.is_signed_in(&user0).await).await;
        assert!(visitors.is_signed_in(&user1).await);
        assert_eq!(visitors.log_in("user0").await.text("login-error"), LOCKED);
    }

    replicas.setup.cli(&["provider", "deactivate", "--provider", PROVIDER]);
    for visitors in &replicas.both {
        eventually("user1 is out", AT_ONCE, async || !visitors.is_signed_in(&user1).await).await;
        assert_eq!(visitors.log_in("user2").await.text("login-error"), INVALID);
        let refused = visitors.hand_over(&replicas.setup.sender.assertion("user2")).await.unwrap();
        assert_eq!((refused.status, refused.text("handoff-error").as_str()), (403, NOT_VALID));
    }
    replicas.setup.cli(&["doctor"]);
}

on_engines! { a_handoff_goes_on_and_is_repeated_on_the_other_replica: postgres }
async fn a_handoff_goes_on_and_is_repeated_on_the_other_replica(engine: Engine) {
    let replicas = Replicas::start(engine).await;
    let [first, second] = &replicas.both;

    let posted = first.hand_over(&replicas.setup.sender.assertion("user0")).await.unwrap();
    let completed = second.complete(&posted).await.unwrap();
    let repeated = first.complete(&posted).await.unwrap();

    let session = completed.session().unwrap();
    assert_eq!(repeated.session().as_ref(), Some(&session));
    assert_eq!(repeated.location, "/");
    for visitors in &replicas.both {
        assert!(visitors.is_signed_in(&session).await);
    }
    assert_eq!(replicas.setup.count("sessions").await, 1);
}

on_engines! { a_replica_that_dies_leaves_its_handoff_to_the_other: postgres }
async fn a_replica_that_dies_leaves_its_handoff_to_the_other(engine: Engine) {
    let mut replicas = Replicas::start(engine).await;
    let posted = replicas.both[0].hand_over(&replicas.setup.sender.assertion("user0")).await.unwrap();
    let session = replicas.both[0].log_in("user1").await.session().unwrap();

    replicas.services[0].kill();

    let completed = replicas.both[1].complete(&posted).await.unwrap();
    assert!(replicas.both[1].is_signed_in(&completed.session().unwrap()).await);
    assert!(replicas.both[1].is_signed_in(&session).await);
}
