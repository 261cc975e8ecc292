//! Ten times the logins that it bears: most of those get in who would at its best, the others are sent away at once, and
//! apps and handoffs go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::house::{House, Service};
use crate::relying_parties::{App, client};
use crate::support::{DEFAULT, Engine, PASSWORD, PROVIDER, eventually};
use crate::visitors::Visitors;

const USERS: usize = 400;
const TENFOLD: f64 = 10.0;
/// At a time, where it is looked for what it bears: both hashing threads always have the next one.
const AT_ITS_BEST: usize = 6;
const BEST: Duration = Duration::from_secs(4);
const STORM: Duration = Duration::from_secs(8);
/// What is left of the best goodput at least, where the storm's senders run on the same two cores, and where sending people
/// away costs a program that is not optimised many times what it should.
const GOODPUT: f64 = 0.5;
/// How soon half of those who find no room are told so, and 19 of 20. A few had a place, and hashes then took longer than
/// before: those wait for `password.patience_ms`.
const REFUSED_MEDIAN: Duration = Duration::from_millis(250);
const REFUSED_P95: Duration = Duration::from_secs(2);
/// How soon 19 of 20 requests of apps and handoffs are answered meanwhile.
const UNHARMED: Duration = Duration::from_secs(2);
/// What the allocator may keep afterwards.
const LEFT_MIB: f64 = 70.0;

#[derive(Clone, Copy, Debug)]
struct Answered {
    status: u16,
    took: Duration,
}

/// Logins as lean as they can be: what they take is not the service's.
#[derive(Clone)]
struct Logins {
    address: Arc<str>,
    issuer: Arc<str>,
}

impl Logins {
    async fn log_in(&self, number: usize) -> Answered {
        let form = format!("login_name=user{}&password={PASSWORD}&provider_code={PROVIDER}", number % USERS);
        let text = format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: {}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.issuer,
            form.len()
        );
        let began = Instant::now();
        let mut stream = TcpStream::connect(&*self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        let status = said.get(9..12).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        Answered { status: status.expect("no status"), took: began.elapsed() }
    }

    /// Whoever got in makes room for the next: how many get in within a second.
    async fn best(&self) -> f64 {
        let began = Instant::now();
        let people = (0..AT_ITS_BEST).map(|first| {
            let logins = self.clone();
            tokio::spawn(async move {
                let mut let_in = 0_u32;
                while began.elapsed() < BEST {
                    let number = first + AT_ITS_BEST * usize::try_from(let_in).unwrap();
                    assert_eq!(logins.log_in(number).await.status, 303);
                    let_in += 1;
                }
                let_in
            })
        });
        let let_in: u32 = join_all(people).await.into_iter().map(Result::unwrap).sum();
        f64::from(let_in) / began.elapsed().as_secs_f64()
    }

    /// So many come in each second, whatever became of those before.
    async fn storm(&self, rate: f64) -> Vec<Answered> {
        let (began, mut come) = (Instant::now(), Vec::new());
        let mut ticks = interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while began.elapsed() < STORM {
            ticks.tick().await;
            while f64::from(u32::try_from(come.len()).unwrap()) < rate * began.elapsed().as_secs_f64() {
                let (logins, number) = (self.clone(), come.len());
                come.push(tokio::spawn(async move { logins.log_in(number).await }));
            }
        }
        join_all(come).await.into_iter().map(Result::unwrap).collect()
    }
}

/// How long 19 of 20 took, and half of them.
fn spread(times: impl IntoIterator<Item = Duration>) -> (Duration, Duration) {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort();
    assert!(!times.is_empty());
    (times[times.len() / 2], times[times.len() * 19 / 20])
}

/// Apps that refresh and read our keys, and people who are handed over, all the time; how long each took.
async fn neighbours(house: &House, service: &Service, tokens: &[String], stop: &AtomicBool) -> Vec<Duration> {
    let (app, visitors) = (App::at(&service.address), service.visitors());
    let mut times = Vec::new();
    for token in tokens.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        assert_eq!(visitors.get("/oauth2/jwks", None).await.unwrap().status, 200);
        times.push(began.elapsed());
        let began = Instant::now();
        let (status, said) = app.refresh(token).await;
        assert_eq!(status, 200, "{said}");
        times.push(began.elapsed());
        let began = Instant::now();
        let posted = visitors.hand_over(&house.sender.assertion("user0")).await.unwrap();
        let completed = visitors.complete(&posted).await.unwrap();
        assert!(completed.session().is_some(), "{completed:?}");
        times.push(began.elapsed() / 2);
        sleep(Duration::from_millis(100)).await;
    }
    times
}

async fn refresh_tokens(service: &Service, visitors: &Visitors) -> Vec<String> {
    let app = App::at(&service.address);
    let mut tokens = Vec::new();
    for number in 0..10 {
        let session = visitors.log_in(&format!("user{number}")).await.session().unwrap();
        let code = app.code(visitors, &session).await.unwrap();
        tokens.push(app.exchange(&code).await.unwrap().1["refresh_token"].as_str().unwrap().to_owned());
    }
    tokens
}

on_engines! { ten_times_the_logins_it_bears_cost_nobody_else_anything: sqlite, postgres }
async fn ten_times_the_logins_it_bears_cost_nobody_else_anything(engine: Engine) {
    let house = House::new(engine, USERS, DEFAULT, "").await;
    house.apply(&client(""));
    let service = house.serve().await;
    let address = service.address.trim_start_matches("http://").into();
    let logins = Logins { address, issuer: house.issuer.as_str().into() };
    let tokens = refresh_tokens(&service, &service.visitors()).await;

    let before = logins.best().await;
    let idle = service.memory_mib("VmRSS");
    let stop = AtomicBool::new(false);
    let storm = async {
        let answers = logins.storm(TENFOLD * before).await;
        stop.store(true, Ordering::Relaxed);
        answers
    };
    let began = Instant::now();
    let (answers, times) = tokio::join!(storm, neighbours(&house, &service, &tokens, &stop));
    let lasted = began.elapsed().as_secs_f64();
    eventually("the storm is over", Duration::from_secs(10), async || logins.log_in(0).await.status == 303).await;
    let after = logins.best().await;

    let let_in = answers.iter().filter(|answer| answer.status == 303).count();
    let refused: Vec<Duration> = answers.iter().filter(|a| a.status == 503).map(|answer| answer.took).collect();
    assert_eq!(let_in + refused.len(), answers.len(), "each is let in or sent away");
    let goodput = f64::from(u32::try_from(let_in).unwrap()) / lasted;
    let best = f64::midpoint(before, after);
    let (median, p95) = spread(refused);
    let (unharmed_median, unharmed) = spread(times);
    let most = service.memory_mib("VmHWM");
    println!(
        "best {before:.0}/s before and {after:.0}/s after; {} came in {lasted:.1} s, {let_in} were let in, {goodput:.0}/s; refused within \
         {median:?} ({p95:?}); apps and handoffs {unharmed_median:?} ({unharmed:?}); {idle:.0} MiB before, {most:.0} at most",
        answers.len()
    );
    assert!(goodput >= GOODPUT * best, "{goodput:.1}/s of {best:.1}/s are left");
    assert!(median < REFUSED_MEDIAN && p95 < REFUSED_P95, "refused within {median:?} ({p95:?})");
    assert!(unharmed < UNHARMED, "apps and handoffs wait {unharmed:?}");
    let small = async || service.memory_mib("VmRSS") < idle + LEFT_MIB;
    eventually("memory is given back", Duration::from_secs(10), small).await;
    println!("{:.0} MiB afterwards", service.memory_mib("VmRSS"));
    house.cli(&["doctor"]);
}
