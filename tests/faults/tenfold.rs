//! Ten times the logins that it bears: most of those get in who would at its best, the others are sent away at once,
//! and apps and handoffs go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::relying_parties::{App, client};
use crate::setup::{Service, Setup, optimised, processor_seconds};
use crate::support::{DEFAULT, Engine, PASSWORD, PROVIDER, eventually};
use crate::visitors::Visitors;

const USERS: usize = 400;
const TENFOLD: f64 = 10.0;
/// At a time, where it is looked for what it bears: both hashing threads always have the next one.
const AT_ITS_BEST: usize = 6;
const BEST: Duration = Duration::from_secs(4);

/// What is asked of a program.
struct Bounds {
    storm: Duration,
    /// What is left of the best goodput at least. It counts by the time of the processors that the service had: the
    /// senders run on the same ones, and what they take is not there for hashes.
    goodput: f64,
    /// How soon half of those who find no room are told so, and 19 of 20.
    refused_median: Duration,
    refused_p95: Duration,
    /// How soon 19 of 20 requests of apps and handoffs are answered meanwhile.
    unharmed: Duration,
    /// What the allocator may keep afterwards.
    left_mib: f64,
}

/// Where sending people away costs a program that is not optimised many times what it should. A few had a place, and
/// hashes then took longer than before: those wait for `password.patience_ms`.
const UNOPTIMISED: Bounds = Bounds {
    storm: Duration::from_secs(8),
    goodput: 0.5,
    refused_median: Duration::from_millis(250),
    refused_p95: Duration::from_secs(2),
    unharmed: Duration::from_secs(2),
    left_mib: 70.0,
};

/// What the service promises.
const OPTIMISED: Bounds = Bounds {
    storm: Duration::from_mins(1),
    goodput: 0.9,
    refused_median: Duration::from_millis(50),
    refused_p95: Duration::from_millis(100),
    unharmed: Duration::from_millis(500),
    left_mib: 30.0,
};

/// How many get in.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// Within a second.
    in_time: f64,
    /// For each second of one processor that the service had.
    by_processor: f64,
}

/// Counts from when it is made.
struct Meter<'a> {
    service: &'a Service,
    began: Instant,
    had: f64,
}

impl<'a> Meter<'a> {
    fn start(service: &'a Service) -> Self {
        Self { service, began: Instant::now(), had: service.processor_seconds() }
    }

    fn rate(&self, let_in: usize) -> Rate {
        let let_in = f64::from(u32::try_from(let_in).unwrap());
        let had = self.service.processor_seconds() - self.had;
        Rate { in_time: let_in / self.began.elapsed().as_secs_f64(), by_processor: let_in / had }
    }
}

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

    /// Whoever got in makes room for the next.
    async fn best(&self, service: &Service) -> Rate {
        let meter = Meter::start(service);
        let people = (0..AT_ITS_BEST).map(|first| {
            let (logins, began) = (self.clone(), meter.began);
            tokio::spawn(async move {
                let mut let_in = 0;
                while began.elapsed() < BEST {
                    assert_eq!(logins.log_in(first + AT_ITS_BEST * let_in).await.status, 303);
                    let_in += 1;
                }
                let_in
            })
        });
        let let_in = join_all(people).await.into_iter().map(Result::unwrap).sum();
        meter.rate(let_in)
    }

    /// The number that come in each second, whatever happened to those before.
    async fn storm(&self, rate: f64, lasts: Duration) -> Vec<Answered> {
        let (began, mut come) = (Instant::now(), Vec::new());
        let mut ticks = interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while began.elapsed() < lasts {
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
async fn neighbours(setup: &Setup, service: &Service, tokens: &[String], stop: &AtomicBool) -> Vec<Duration> {
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
        let posted = visitors.hand_over(&setup.sender.assertion("user0")).await.unwrap();
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
    let setup = Setup::new(engine, USERS, DEFAULT, "").await;
    setup.apply(&client(""));
    let service = setup.serve().await;
    let address = service.address.trim_start_matches("http://").into();
    let logins = Logins { address, issuer: setup.issuer.as_str().into() };
    let tokens = refresh_tokens(&service, &service.visitors()).await;

    let bounds = if optimised().is_some() { OPTIMISED } else { UNOPTIMISED };
    let before = logins.best(&service).await;
    let idle = service.memory_mib("VmRSS");
    let stop = AtomicBool::new(false);
    let (meter, ours) = (Meter::start(&service), processor_seconds("self"));
    let storm = async {
        let answers = logins.storm(TENFOLD * before.in_time, bounds.storm).await;
        stop.store(true, Ordering::Relaxed);
        answers
    };
    let (answers, times) = tokio::join!(storm, neighbours(&setup, &service, &tokens, &stop));
    let let_in = answers.iter().filter(|answer| answer.status == 303).count();
    let (goodput, lasted) = (meter.rate(let_in), meter.began.elapsed().as_secs_f64());
    let ours = (processor_seconds("self") - ours) / lasted;
    eventually("the storm is over", Duration::from_secs(10), async || logins.log_in(0).await.status == 303).await;
    let after = logins.best(&service).await;

    let refused: Vec<Duration> = answers.iter().filter(|a| a.status == 503).map(|answer| answer.took).collect();
    assert_eq!(let_in + refused.len(), answers.len(), "each is let in or sent away");
    let best = f64::midpoint(before.by_processor, after.by_processor);
    let (median, p95) = spread(refused);
    let (unharmed_median, unharmed) = spread(times);
    let most = service.memory_mib("VmHWM");
    println!(
        "best {before:.1?} before and {after:.1?} after; {} came in {lasted:.1} s, {let_in} were let in, {goodput:.1?}; of the processors \
         the senders took {ours:.2}; refused within {median:?} ({p95:?}); apps and handoffs {unharmed_median:?} ({unharmed:?}); \
         {idle:.0} MiB before, {most:.0} at most",
        answers.len()
    );
    assert!(goodput.by_processor >= bounds.goodput * best, "{goodput:.1?} of {best:.1} are left");
    assert!(median < bounds.refused_median && p95 < bounds.refused_p95, "refused within {median:?} ({p95:?})");
    assert!(unharmed < bounds.unharmed, "apps and handoffs wait {unharmed:?}");
    let small = async || service.memory_mib("VmRSS") < idle + bounds.left_mib;
    eventually("memory is given back", Duration::from_secs(10), small).await;
    println!("{:.0} MiB afterwards", service.memory_mib("VmRSS"));
    setup.cli(&["doctor"]);
}
