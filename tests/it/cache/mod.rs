//! Replicas that share a Redis: one throttle over them all; and whatever happens to Redis, nobody notices who signs in.

mod clients;
mod endings;
mod faults;
mod secrets;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use connect_idp::config::{self, Config};
use connect_idp::time::Timestamp;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::actors::{Engine, Idp, RedisServer, User, keep_log, logged};

/// So few tries a minute that none comes back while a test runs.
const LIMIT: u32 = 6;
/// How soon replicas share again what they shared, when Redis is back.
const BACK: Duration = Duration::from_secs(10);

/// An address that nobody had before.
fn somebody() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0x0a00_0001);
    Ipv4Addr::from(NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// Two replicas, throttled, with a Redis or without.
struct Replicas {
    both: [Idp; 2],
    user: User,
}

impl Replicas {
    async fn start(engine: Engine, redis: Option<&RedisServer>) -> Self {
        keep_log();
        let settings = redis.map(|redis| config::Redis { url: redis.url() });
        let first = Idp::start_live(engine, |config: &mut Config| {
            config.throttle.enabled = true;
            config.throttle.address_per_minute = LIMIT;
            config.throttle.client_per_minute = LIMIT;
            config.redis = settings;
        })
        .await;
        let user = first.user("amina").create().await;
        Self { both: [first.clone(), first.replica(|_| {}).await], user }
    }

    /// How many of a number of tries from one address are not throttled, by turns at the replicas.
    async fn pass(&self, address: IpAddr, tries: usize) -> usize {
        let mut passed = 0;
        for number in 0..tries {
            let mut browser = self.both[number % 2].browser();
            browser.address = address;
            let answer = browser.try_login("nobody", "Wrong-Horse-9", &self.user.provider_code).await;
            assert!([403, 429].contains(&answer.status.as_u16()), "{}", answer.status);
            passed += usize::from(answer.status == 403);
        }
        passed
    }

    /// One limit over both.
    async fn assert_shared(&self) {
        let began = Instant::now();
        let passed = self.pass(somebody(), 20).await;
        let refilled = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
        let limit = usize::try_from(LIMIT).unwrap();
        assert!((limit..=limit + refilled).contains(&passed), "{passed} of 20 tries passed");
    }

    /// One limit a process.
    async fn assert_apart(&self) {
        let began = Instant::now();
        let passed = self.pass(somebody(), 20).await;
        let refilled = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
        let limit = 2 * usize::try_from(LIMIT).unwrap();
        assert!((limit..=limit + 2 * refilled).contains(&passed), "{passed} of 20 tries passed");
    }

    /// Waits until one limit holds over both, as long as that may take.
    async fn assert_shared_soon(&self) {
        let until = Instant::now() + BACK;
        while self.pass(somebody(), 2 * usize::try_from(LIMIT).unwrap()).await > usize::try_from(LIMIT).unwrap() + 1 {
            assert!(Instant::now() < until, "two limits");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.assert_shared().await;
    }

    /// Does something while people sign in at both replicas, all of whom succeed, and soon.
    async fn while_people_sign_in<T>(&self, done: impl Future<Output = T>) -> T {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let people = (0..4).map(|number| {
            let (idp, user, stopped) = (self.both[number % 2].clone(), self.user.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut count = 0;
                while !*stopped.borrow() {
                    let mut browser = idp.browser();
                    browser.address = somebody();
                    let began = Instant::now();
                    browser.sign_in(&user).await;
                    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
                    count += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                count
            })
        });
        let people: Vec<_> = people.collect();
        let result = done.await;
        stop.send(true).unwrap();
        let counts: Vec<u32> = join_all(people).await.into_iter().map(Result::unwrap).collect();
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        result
    }
}

/// Lines about the Redis of a test alone.
fn lines(redis: &RedisServer, words: &str) -> usize {
    logged(&[&format!("the redis at redis://127.0.0.1:{}", redis.port), words])
}

const LOST: &str = "is not used until it answers";
const FOUND: &str = "is used again";

both_engines! {
    /// Over two replicas an address has one limit, and another address its own.
    async fn an_address_has_one_limit_over_all_replicas(engine: Engine) {
        let Some(redis) = RedisServer::start() else { return };
        let replicas = Replicas::start(engine, Some(&redis)).await;
        replicas.assert_shared().await;
        replicas.assert_shared().await;
        let [first, second] = &replicas.both;
        for idp in [first, second] {
            let mut browser = idp.browser();
            browser.address = somebody();
            browser.sign_in(&replicas.user).await;
        }
        assert_eq!((lines(&redis, LOST), lines(&redis, FOUND)), (0, 0));
    }

    /// Without Redis each has its own.
    async fn without_redis_a_limit_is_a_process_own(engine: Engine) {
        let replicas = Replicas::start(engine, None).await;
        replicas.assert_apart().await;
    }
}

/// Every throttle is shared, each for itself; whoever is refused hears when to come again, and has lost no try by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_throttle_is_shared() {
    let Some(redis) = RedisServer::start() else { return };
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    let [first, second] = replicas.both.each_ref().map(|idp| &idp.app);
    let now = Timestamp(0);
    let whose = "0123".to_owned();
    let limit = usize::try_from(LIMIT).unwrap();
    macro_rules! passes {
        ($throttle:ident, $whose:expr, $tries:expr) => {{
            let mut passed = 0;
            for number in 0..$tries {
                let app = if number % 2 == 0 { first } else { second };
                match app.$throttle.take($whose.clone(), now).await {
                    Ok(()) => passed += 1,
                    Err(seconds) => assert!((1..=61).contains(&seconds), "{seconds}"),
                }
            }
            passed
        }};
    }
    assert_eq!(passes!(client_throttle, whose, 20), limit);
    assert_eq!(passes!(own_token_throttle, whose, 20), limit);
    assert_eq!(passes!(throttle, somebody(), 20), 20, "each is somebody else");
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(passes!(throttle, address, 20), limit);
    let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
    assert_eq!(passes!(throttle, neighbour, 20), 0, "a /64 is one address");
    assert!((4 * limit..=4 * limit + 2).contains(&passes!(waiting_throttle, address, 60)));
    assert!((60..=62).contains(&passes!(family_throttle, whose, 100)));
    let lives = redis.keys();
    assert!(lives.len() >= 5 && lives.iter().all(|(_, left)| (1..=61_000).contains(left)), "{lives:?}");
}

/// What was refused by what others tried costs nothing: when the time has come, the next try passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_keeps_trying_is_let_in_again_in_time() {
    let Some(redis) = RedisServer::start() else { return };
    let replicas = Replicas::start(Engine::Sqlite, Some(&redis)).await;
    let [first, second] = replicas.both.each_ref().map(|idp| &idp.app);
    let address = somebody();
    for _ in 0..LIMIT {
        first.throttle.take(address, first.clock.now()).await.unwrap();
    }
    let began = Instant::now();
    while let Err(seconds) = second.throttle.take(address, second.clock.now()).await {
        assert!(seconds <= 11, "{seconds}");
        assert!(began.elapsed() < Duration::from_secs(12));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
}
