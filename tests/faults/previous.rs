//! The previous release beside this program: the schema is brought up to date and replicas are replaced one by one
//! while people come, and nobody notices; nor when the old program is put back.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::haproxy::{ALL, NO_RETRY, before_replicas};
use crate::needs::named;
use crate::rolling::DRAIN;
use crate::servers::folder;
use crate::setup::{Service, Setup};
use crate::site::check::check;
use crate::site::crowd::Coming;
use crate::site::dice::Dice;
use crate::site::stand::{SETTINGS, USERS, seed};
use crate::support::{CHEAP, Engine, eventually};
use crate::visitors::Visitors;

const BACK: Duration = Duration::from_secs(30);
/// How long people come to two replicas of which one is new, and how many requests they make meanwhile.
const SIDE_BY_SIDE: Duration = Duration::from_secs(2);
const REQUESTS: usize = 60;

/// What `connect-idp` is in this test from now on.
fn install(setup: &Path, program: &Path) {
    let (place, next) = (setup.join("connect-idp"), setup.join("connect-idp.next"));
    symlink(program, &next).unwrap();
    fs::rename(next, place).unwrap();
}

/// Two replicas behind a proxy that tries nothing twice.
struct Pair {
    // Dropped first: nobody comes to what is taken down.
    coming: Coming,
    setup: Arc<Setup>,
    replicas: [Service; 2],
    proxy: String,
}

impl Pair {
    /// People go on coming, and each is answered as always.
    async fn bear(&mut self) {
        let answered = || self.coming.crowd.count().acknowledged;
        let (began, before) = (Instant::now(), answered());
        eventually("people go on coming", BACK, async || {
            began.elapsed() > SIDE_BY_SIDE && answered() >= before + REQUESTS
        })
        .await;
        self.coming.assert_content().await;
    }

    /// One after the other ends, and what is installed starts in its place.
    async fn replace_each(&mut self) {
        for number in 0..self.replicas.len() {
            let replica = &mut self.replicas[number];
            replica.terminate();
            assert_eq!(replica.ended(BACK).await.code(), Some(0));
            self.setup.start_again(replica, &[DRAIN]);
            let (visitors, both) = (&self.coming.crowd.front, format!("{}{ALL}", self.proxy));
            eventually("the proxy has both again", BACK, async || visitors.status(&both).await == Some(200)).await;
            self.bear().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_previous_release_and_this_one_serve_side_by_side() {
    let (Some(engine), Some(program), Some(old)) =
        (Engine::postgres(), named("CONNECT_IDP_TEST_HAPROXY"), named("CONNECT_IDP_TEST_PREVIOUS"))
    else {
        return;
    };
    let folder = folder();
    let mut setup = Setup::empty(engine, CHEAP, SETTINGS).await;
    let (new, place) = (setup.program.clone(), setup.folder.path().to_owned());
    install(&place, &old);
    setup.program = place.join("connect-idp");
    setup.prepare();
    setup.apply(&(setup.seed(USERS, CHEAP).await + &seed().await));
    let replicas = [setup.serve_with(&[DRAIN]).await, setup.serve_too_with(&[DRAIN]).await];
    let [first, second] = &replicas;
    let front = before_replicas(&program, folder.path(), &[first, second], NO_RETRY).await;
    let (setup, proxy, mut dice) = (Arc::new(setup), format!("http://127.0.0.1:{}", front.port), Dice::new(2));
    let coming = Coming::start(&setup, Visitors::new(&proxy, &setup.issuer), &replicas, &mut dice);
    let mut pair = Pair { coming, setup, replicas, proxy };
    pair.bear().await;

    install(&place, &new);
    println!("{}", pair.setup.cli(&["migrate"]).trim_end());
    pair.bear().await;
    pair.replace_each().await;
    check(&pair.coming.crowd, &mut dice).await;

    install(&place, &old);
    pair.replace_each().await;
    // Each program finds what the other one wrote in order.
    check(&pair.coming.crowd, &mut dice).await;
    install(&place, &new);
    check(&pair.coming.crowd, &mut dice).await;
    pair.coming.assert_content().await;
    let count = *pair.coming.crowd.count();
    println!("{} requests, {} answered", count.requests, count.acknowledged);
}
