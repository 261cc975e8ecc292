//! People and apps who come all the time, and note what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::Error;
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::dice::Dice;
use super::figures::Count;
use super::ledger::Ledger;
use super::stand::guessed;
use crate::setup::{Service, Setup};
use crate::visitors::{Answer, TIMED_OUT, Visitors};

/// How many come at a time, and how long each rests between two visits.
const AT_ONCE: usize = 8;
const REST: Duration = Duration::from_millis(25);

/// What the clients of a service may notice of a fault, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Every request is answered as always.
    None,
    /// What may not be asked twice, and was in the hands of the replica that died, is not answered.
    Unanswered,
    /// 503, or a handoff's time-out.
    Refused,
}

/// What those who come share.
pub struct Crowd {
    pub setup: Arc<Setup>,
    /// By HAProxy, each request at another replica; and each replica alone.
    pub front: Visitors,
    pub each: Vec<Visitors>,
    ledger: Mutex<Ledger>,
    count: Mutex<Count>,
    harm: Mutex<Harm>,
    /// Held by each visit; whoever has it alone finds everybody at rest.
    gate: RwLock<()>,
    stop: AtomicBool,
}

/// See the head of this file. Dropped, nobody comes any more.
pub struct Coming {
    pub crowd: Arc<Crowd>,
    people: Vec<JoinHandle<()>>,
}

impl Coming {
    /// To the service: by its proxy, and, to see that all are of one mind, to each replica.
    pub fn start(setup: &Arc<Setup>, front: Visitors, replicas: &[Service], dice: &mut Dice) -> Self {
        let crowd = Arc::new(Crowd {
            setup: Arc::clone(setup),
            front,
            each: replicas.iter().map(Service::visitors).collect(),
            ledger: Mutex::new(Ledger::of(guessed())),
            count: Mutex::default(),
            harm: Mutex::new(Harm::None),
            gate: RwLock::default(),
            stop: AtomicBool::new(false),
        });
        let come = |mut dice: Dice| {
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move {
                while !crowd.stop.load(Ordering::Relaxed) {
                    let within = crowd.gate.read().await;
                    crowd.visit(&mut dice).await;
                    drop(within);
                    sleep(REST).await;
                }
            })
        };
        let people = (0..AT_ONCE).map(|_| come(dice.split())).collect();
        Self { crowd, people }
    }

    /// Fails where somebody was told what must not be.
    pub async fn assert_content(&mut self) {
        while let Some(gone) = self.people.iter().position(JoinHandle::is_finished) {
            self.people.swap_remove(gone).await.unwrap();
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.crowd.stop.store(true, Ordering::Relaxed);
        self.people.iter().for_each(JoinHandle::abort);
    }
}

impl Crowd {
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap()
    }

    /// What a request may come to from now on.
    pub fn expect(&self, harm: Harm) {
        *self.harm.lock().unwrap() = harm;
    }

    /// Waits until everybody is at rest, and keeps them there.
    pub async fn rest(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// What may be asked twice.
    pub async fn get(&self, asked: impl Future<Output = Result<Answer, Error>>) -> Option<Answer> {
        self.ask(asked, Harm::None).await
    }

    /// What may not.
    pub async fn post(&self, asked: impl Future<Output = Result<Answer, Error>>) -> Option<Answer> {
        self.ask(asked, Harm::Unanswered).await
    }

    /// An answer that says the result of the request; `None` where that is not known.
    async fn ask(&self, asked: impl Future<Output = Result<Answer, Error>>, at_a_death: Harm) -> Option<Answer> {
        self.count().requests += 1;
        let answer = asked.await;
        let harm = *self.harm.lock().unwrap();
        match answer {
            Ok(answer) if matches!(answer.status, 502 | 504) => self.unanswered(harm, at_a_death, &answer),
            Err(error) => self.unanswered(harm, at_a_death, &error),
            Ok(answer) if answer.status == 503 || answer.text("handoff-error") == TIMED_OUT => {
                assert_eq!(harm, Harm::Refused, "{answer:?}");
                self.count().refused += 1;
                None
            }
            Ok(answer) => {
                assert!(answer.status < 500, "{answer:?}");
                self.count().acknowledged += 1;
                Some(answer)
            }
        }
    }

    fn unanswered(&self, harm: Harm, at_a_death: Harm, why: &dyn std::fmt::Debug) -> Option<Answer> {
        assert!(harm == Harm::Unanswered && at_a_death == Harm::Unanswered, "not answered: {why:?}");
        self.count().broken += 1;
        None
    }

    /// Before it is asked again.
    pub async fn wait_to_retry(&self) {
        self.count().retried += 1;
        sleep(Duration::from_millis(100)).await;
    }
}
