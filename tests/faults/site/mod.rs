//! What many machines must bear: three replicas, their database with a standby, a Redis, and faults in all of them
//! while people sign in, are handed over, let apps in and log out. After each fault everything that anybody was told
//! still holds.
//!
//! The short form brings each fault about once. The long form, `tests/run --long`, goes on at random until there were
//! so many.

pub mod check;
pub mod crowd;
pub mod dice;
mod faults;
mod figures;
mod ledger;
pub mod stand;
mod visits;

use std::time::Duration;

use tokio::time::Instant;

use crowd::Coming;
use dice::Dice;
use faults::{Fault, Lengths, OF_REDIS, OF_REPLICAS, OF_THE_DATABASE, Site};
use figures::{Count, Figures};
use stand::{Programs, Stand};

const SHORT: Lengths = Lengths { pause: Duration::from_secs(4), slow: Duration::from_secs(4) };
/// As long as a paused database is to be borne (G33).
const LONG: Lengths = Lengths { pause: Duration::from_secs(30), slow: Duration::from_secs(30) };
/// How many injections the long form makes, and from which number it throws.
const INJECTIONS: &str = "CONNECT_IDP_TEST_INJECTIONS";
const SEED: &str = "CONNECT_IDP_TEST_SEED";
/// How long people come before the first fault.
const AT_FIRST: Duration = Duration::from_secs(3);

/// Brings faults about, one after the other, and checks everything after each.
async fn under(seed: u64, lengths: Lengths, mut next: impl FnMut(&mut Dice, &Figures) -> Option<Fault>) {
    let Some(programs) = Programs::find() else { return };
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let stand = Stand::start(programs).await;
    let coming = Coming::start(&stand.setup, stand.visitors(), &stand.replicas, &mut dice);
    let mut site = Site { coming, stand, dice: dice.split(), lengths };
    tokio::time::sleep(AT_FIRST).await;
    check::check(&site.coming.crowd, &mut site.dice).await;
    let mut figures = Figures::default();
    figures.add("none", std::mem::take(&mut *site.coming.crowd.count()));
    while let Some(fault) = next(&mut dice, &figures) {
        let began = Instant::now();
        site.coming.crowd.expect(fault.harm());
        site.bring_about(fault).await;
        let back = site.recovered().await;
        check::check(&site.coming.crowd, &mut site.dice).await;
        site.coming.assert_content().await;
        let count = Count { injections: 1, longest: back, ..std::mem::take(&mut *site.coming.crowd.count()) };
        figures.add(fault.name(), count);
        println!(
            "{:>6} {:22} {:>6} acknowledged, {:>4} refused, {:>3} broken; {:.1} s, people sign in {:.1} s after it",
            figures.injections(),
            fault.name(),
            count.acknowledged,
            count.refused,
            count.broken,
            began.elapsed().as_secs_f64(),
            back.as_secs_f64()
        );
    }
    println!("{}", figures.table());
}

async fn each_once(faults: &'static [Fault]) {
    under(1, SHORT, |_, figures| faults.get(figures.injections()).copied()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_when_replicas_fail() {
    each_once(OF_REPLICAS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_when_the_database_fails() {
    each_once(OF_THE_DATABASE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_when_redis_fails() {
    each_once(OF_REDIS).await;
}

/// The long form: see `tests/run --help`.
#[ignore = "it takes as long as it is told to: tests/run --long"]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_at_random_for_long() {
    let number = |variable| std::env::var(variable).ok().map(|text| text.parse::<u64>().expect(variable));
    let injections = number(INJECTIONS).unwrap_or(10_000);
    let seed = number(SEED).unwrap_or_else(|| connect_idp::time::Clock::System.now().0.unsigned_abs());
    let mut deck: Vec<Fault> = Vec::new();
    under(seed, LONG, |dice, figures| {
        if deck.is_empty() {
            deck = [OF_REPLICAS, OF_THE_DATABASE, OF_REDIS].concat();
            dice.shuffle(&mut deck);
        }
        (u64::try_from(figures.injections()).unwrap() < injections).then(|| deck.pop().unwrap())
    })
    .await;
}
