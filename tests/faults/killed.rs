//! `kill -9` at any point of a sign-in: nothing acknowledged is lost, nothing is doubled, nothing is unrecorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};

use crate::setup::{Record, Setup};
use crate::support::{CHEAP, Engine, PASSWORD, eventually, hash, user};
use crate::visitors::{Answer, INVALID, LOCKED, TIMED_OUT, Visitors};

const KILLS: usize = 20;
const USERS: usize = 200;

/// What clients were told, and so must stay true.
#[derive(Default)]
struct Told {
    /// Cookies whose sign-in was acknowledged and that nothing since may have replaced: until the last kill, and since.
    sessions: BTreeSet<String>,
    new_sessions: BTreeSet<String>,
    /// Handoffs whose first step was acknowledged.
    begun: BTreeSet<String>,
    /// Handoffs whose second step was acknowledged.
    completed: BTreeSet<String>,
    /// Handoffs whose second step was answered as a time-out.
    timed_out: BTreeSet<String>,
    /// Assertions sent since the last start, and whether their claim was acknowledged.
    assertions: Vec<(String, bool)>,
    /// How often each user read "Invalid Credentials".
    wrong: BTreeMap<String, usize>,
}

/// One storm: its service, its users, what was told in it.
struct Storm {
    setup: Setup,
    told: Mutex<Told>,
    next: AtomicUsize,
}

impl Storm {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn next_user(&self) -> String {
        format!("user{}", self.next.fetch_add(1, Ordering::Relaxed) % USERS)
    }

    /// Signs in by password, now and then in a browser that is signed in already; until the service is gone.
    async fn log_in(&self, visitors: Visitors) -> Option<()> {
        loop {
            let user = self.next_user();
            let first = self.try_log_in(&visitors, &user, None).await?;
            if first.is_some() {
                // Whether or not the answer arrives, the old cookie may be dead from here on.
                self.told().new_sessions.remove(first.as_ref()?);
                self.try_log_in(&visitors, &user, first.as_deref()).await?;
            }
        }
    }

    async fn try_log_in(&self, visitors: &Visitors, user: &str, held: Option<&str>) -> Option<Option<String>> {
        let answer = visitors.try_log_in(user, PASSWORD, held).await.ok()?;
        assert!(answer.status == 303 || answer.is_busy(), "{answer:?}");
        let session = answer.session();
        self.told().new_sessions.extend(session.clone());
        Some(session)
    }

    /// Guesses at one user after another until each is locked.
    async fn guess(&self, visitors: Visitors) -> Option<()> {
        loop {
            let user = format!("wrong{}", self.next.fetch_add(1, Ordering::Relaxed) % USERS);
            loop {
                let answer = visitors.try_log_in(&user, "Wrong-Horse-9", None).await.ok()?;
                match (answer.status, answer.text("login-error").as_str()) {
                    (403, INVALID) => *self.told().wrong.entry(user.clone()).or_default() += 1,
                    (403, LOCKED) => break,
                    _ if answer.is_busy() => break,
                    _ => panic!("{answer:?}"),
                }
            }
        }
    }

    /// Hands over, completes, opens the Dashboard; every third browser never comes back.
    async fn hand_over(&self, visitors: Visitors) -> Option<()> {
        for number in 0.. {
            // A click ahead of our clock has its whole time left after the restart too.
            let assertion = self.setup.sender.clicked(&self.next_user(), 4);
            self.told().assertions.push((assertion.clone(), false));
            let posted = visitors.hand_over(&assertion).await.ok()?;
            self.note_begun(&assertion, &posted);
            if posted.status == 303 && number % 3 != 0 {
                self.complete(&visitors, &posted).await?;
            }
        }
        None
    }

    fn note_begun(&self, assertion: &str, posted: &Answer) {
        assert!(posted.status == 303 || posted.text("handoff-error") == TIMED_OUT, "{posted:?}");
        let mut told = self.told();
        told.begun.extend((posted.status == 303).then(|| id(posted)));
        told.assertions.iter_mut().filter(|(sent, _)| sent == assertion).for_each(|(_, claimed)| *claimed = true);
    }

    async fn complete(&self, visitors: &Visitors, posted: &Answer) -> Option<()> {
        let completed = visitors.complete(posted).await.ok()?;
        let Some(session) = completed.session() else {
            assert_eq!(completed.text("handoff-error"), TIMED_OUT, "{completed:?}");
            self.told().timed_out.insert(id(posted));
            return Some(());
        };
        self.told().completed.insert(id(posted));
        self.told().new_sessions.insert(session.clone());
        let home = visitors.get("/", Some(&session)).await.ok()?;
        assert_eq!(home.status, 200, "{home:?}");
        Some(())
    }

    /// What was claimed is spent; what may have been claimed opens one session at most, which the invariants count.
    async fn replay(&self, visitors: &Visitors) {
        let sent = std::mem::take(&mut self.told().assertions);
        for (assertion, claimed) in &sent {
            let posted = visitors.hand_over(assertion).await.unwrap();
            assert!(posted.status == 403 || (posted.status == 303 && !claimed), "claimed: {claimed}, {posted:?}");
            if posted.status == 303 {
                self.note_begun(assertion, &posted);
                self.complete(visitors, &posted).await.unwrap();
                assert_eq!(visitors.hand_over(assertion).await.unwrap().status, 403);
            }
        }
    }

    /// Each handoff has exactly the records that its end asks for (U8).
    async fn assert_recorded(&self) {
        let (told, activity) = (std::mem::take(&mut *self.told()), self.setup.activity());
        let of = |id: &str| activity.iter().filter(|r| r.handoff_id.as_deref() == Some(id)).collect::<Vec<_>>();
        let states = self.setup.pairs("SELECT id, state FROM handoffs").await;
        for (id, state) in &states {
            let outcomes: Vec<&str> = of(id).iter().map(|r| r.outcome.as_str()).collect();
            let settled_later = told.timed_out.contains(id) && outcomes == ["success", "refused"];
            match state.as_str() {
                "completed" => assert!(outcomes == ["success"] || settled_later, "{id}: {outcomes:?}"),
                "failed" => assert_eq!(outcomes, ["refused"], "{id}"),
                other => panic!("{id} is {other}"),
            }
        }
        let known: BTreeSet<&String> = states.iter().map(|(id, _)| id).collect();
        assert!(told.begun.iter().all(|id| known.contains(id)), "an acknowledged handoff is gone");
        for id in &told.completed {
            assert_eq!(of(id).iter().map(|r| r.outcome.as_str()).collect::<Vec<_>>(), ["success"], "{id}");
        }
        for id in &told.timed_out {
            assert_eq!(of(id).last().unwrap().outcome, "refused", "{id}");
        }
        for (user, answered) in &told.wrong {
            let wrong =
                |r: &&Record| r.login_name.as_ref() == Some(user) && r.reason.as_deref() == Some("wrong_password");
            let recorded = activity.iter().filter(wrong).count();
            assert!(
                *answered <= 2 && (*answered..=3).contains(&recorded),
                "{user}: {answered} answered, {recorded} recorded"
            );
        }
        println!(
            "acknowledged: {} sessions in use, {} handoffs begun, {} completed, {} timed out; {} handoffs stored, {} records",
            told.sessions.len(),
            told.begun.len(),
            told.completed.len(),
            told.timed_out.len(),
            states.len(),
            activity.len()
        );
        assert!(
            told.sessions.len() > 10 * KILLS && told.completed.len() > 2 * KILLS,
            "the storms were too weak to say anything"
        );
    }
}

/// Every sign-in that was acknowledged still stands.
async fn assert_signed_in(visitors: &Visitors, sessions: &BTreeSet<String>) {
    let asked = async |session: &String| assert!(visitors.is_signed_in(session).await, "lost: {session}");
    stream::iter(sessions).for_each_concurrent(8, asked).await;
}

fn id(posted: &Answer) -> String {
    posted.location.rsplit_once("?h=").unwrap_or_else(|| panic!("{posted:?}")).1.to_owned()
}

on_engines! { a_killed_service_loses_and_doubles_nothing: sqlite, postgres }
async fn a_killed_service_loses_and_doubles_nothing(engine: Engine) {
    let setup = Setup::new(engine, USERS, CHEAP, "[handoff]\ntimeout_seconds = 2\n").await;
    let hash = hash(CHEAP).await;
    setup.apply(&(0..USERS).map(|number| user(&format!("wrong{number}"), &hash)).collect::<String>());
    let mut service = setup.serve().await;
    let storm = Arc::new(Storm { setup, told: Mutex::default(), next: AtomicUsize::new(0) });

    for round in 0..KILLS {
        let clients = (0..8).map(|number| {
            let (storm, visitors) = (Arc::clone(&storm), service.visitors());
            tokio::spawn(async move {
                match number {
                    0..3 => storm.log_in(visitors).await,
                    3 => storm.guess(visitors).await,
                    _ => storm.hand_over(visitors).await,
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        // From a process's first answers to well into its work.
        let enough = 5 * (round % 7);
        eventually("the storm blows", Duration::from_secs(20), async || storm.told().new_sessions.len() > enough).await;
        service.kill();
        for ended in join_all(clients).await {
            assert_eq!(ended.unwrap(), None);
        }

        service = storm.setup.serve().await;
        let visitors = service.visitors();
        storm.replay(&visitors).await;
        let new = std::mem::take(&mut storm.told().new_sessions);
        assert_signed_in(&visitors, &new).await;
        storm.told().sessions.extend(new);
        storm.setup.cli(&["doctor"]);
        storm.setup.cli(&["activity", "verify"]);
    }

    let settled = async || storm.setup.count("handoffs WHERE state = 'pending'").await == 0;
    eventually("every handoff is settled", Duration::from_secs(10), settled).await;
    let sessions = storm.told().sessions.clone();
    assert_signed_in(&service.visitors(), &sessions).await;
    storm.setup.cli(&["doctor"]);
    storm.setup.cli(&["activity", "verify"]);
    storm.assert_recorded().await;
}
