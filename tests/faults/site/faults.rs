//! What is done to the stand, one function each. Whatever a fault took away is there again when its function returns; a
//! Redis that is gone for good, when the next fault begins.

use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::crowd::{Coming, Harm};
use super::dice::Dice;
use super::stand::Stand;
use crate::support::{PASSWORD, eventually};

/// How long a fault is borne at least, and how many requests are answered or refused meanwhile.
const AT_LEAST: Duration = Duration::from_millis(1500);
const REQUESTS: usize = 40;
const BACK: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ReplicaKilled,
    RollingRestart,
    KeyRotated,
    ClockOff,
    DatabaseRestarted,
    DatabaseCrashed,
    DatabasePaused,
    DatabaseHangs,
    DatabaseSlow,
    FailedOver,
    RedisKilled,
    RedisEmptied,
    RedisPaused,
    RedisRestarted,
    RedisLies,
    RedisGone,
}

use Fault::*;

pub const OF_REPLICAS: &[Fault] = &[ReplicaKilled, ReplicaKilled, RollingRestart, ReplicaKilled, KeyRotated, ClockOff];
pub const OF_THE_DATABASE: &[Fault] =
    &[DatabaseRestarted, DatabaseCrashed, DatabasePaused, DatabaseHangs, DatabaseSlow, FailedOver];
pub const OF_REDIS: &[Fault] = &[RedisKilled, RedisEmptied, RedisPaused, RedisRestarted, RedisLies, RedisGone];

/// How long what is paused or slow is so.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    pub pause: Duration,
    pub slow: Duration,
}

/// The stand, those who come to it, and chance.
pub struct Site {
    // Dropped first: nobody comes to what is taken down.
    pub coming: Coming,
    pub stand: Stand,
    pub dice: Dice,
    pub lengths: Lengths,
}

impl Fault {
    pub const fn name(self) -> &'static str {
        match self {
            ReplicaKilled => "replica killed",
            RollingRestart => "rolling restart",
            KeyRotated => "signing keys rotated",
            ClockOff => "clock 10 minutes off",
            DatabaseRestarted => "database restarted",
            DatabaseCrashed => "database crashed",
            DatabasePaused => "database paused",
            DatabaseHangs => "database hangs",
            DatabaseSlow => "database slow",
            FailedOver => "database failed over",
            RedisKilled => "redis killed",
            RedisEmptied => "redis emptied",
            RedisPaused => "redis paused",
            RedisRestarted => "redis restarted",
            RedisLies => "redis lies",
            RedisGone => "redis gone",
        }
    }

    /// What clients may notice.
    pub const fn harm(self) -> Harm {
        match self {
            ReplicaKilled => Harm::Unanswered,
            DatabaseRestarted | DatabaseCrashed | DatabasePaused | DatabaseHangs | DatabaseSlow | FailedOver => {
                Harm::Refused
            }
            RollingRestart | KeyRotated | ClockOff | RedisKilled | RedisEmptied | RedisPaused | RedisRestarted
            | RedisLies | RedisGone => Harm::None,
        }
    }
}

impl Site {
    /// One fault from beginning to end.
    pub async fn bring_about(&mut self, fault: Fault) {
        // Once it was gone for good; what is done to it next needs it.
        if TcpStream::connect(("127.0.0.1", self.stand.redis.port)).is_err() {
            self.stand.redis.run();
        }
        match fault {
            ReplicaKilled => self.kill_replica().await,
            RollingRestart => self.restart_each_replica().await,
            KeyRotated => self.rotate_keys(),
            ClockOff => self.set_a_clock_wrong().await,
            DatabaseRestarted => self.restart_database(Signal::INT).await,
            DatabaseCrashed => self.restart_database(Signal::QUIT).await,
            DatabasePaused => self.pause_database().await,
            DatabaseHangs => self.hang_database().await,
            DatabaseSlow => self.slow_database().await,
            FailedOver => self.stand.fail_over().await,
            RedisKilled => self.kill_redis().await,
            RedisEmptied => self.empty_redis().await,
            RedisPaused => self.pause_redis().await,
            RedisRestarted => self.stand.redis.run(),
            RedisLies => self.let_redis_lie().await,
            RedisGone => self.stand.redis.kill(),
        }
        self.bear().await;
    }

    /// People go on coming for a while.
    async fn bear(&mut self) {
        let answered = |count: super::figures::Count| count.acknowledged + count.refused;
        let (began, before) = (Instant::now(), answered(*self.coming.crowd.count()));
        eventually("people go on coming", BACK, async || {
            began.elapsed() > AT_LEAST && answered(*self.coming.crowd.count()) >= before + REQUESTS
        })
        .await;
        self.coming.assert_content().await;
    }

    async fn kill_replica(&mut self) {
        let replica = self.dice.below(self.stand.replicas.len());
        self.stand.replicas[replica].kill();
        self.bear().await;
        self.stand.start_again(replica, &[]);
        self.stand.all_there().await;
    }

    async fn restart_each_replica(&mut self) {
        for replica in 0..self.stand.replicas.len() {
            self.stand.end(replica).await;
            self.stand.start_again(replica, &[]);
            self.stand.all_there().await;
        }
    }

    fn rotate_keys(&self) {
        let rotated = self.stand.setup.command(&["key", "rotate", "--at-once"]).output().unwrap();
        // A limited number is published at a time: then the next one comes when the oldest goes.
        let said = String::from_utf8_lossy(&rotated.stderr);
        assert!(rotated.status.success() || said.contains("are published"), "{said}");
    }

    /// A replica whose clock is wrong takes no part, and says why; what it is asked all the same ends nothing of
    /// others.
    async fn set_a_clock_wrong(&mut self) {
        let (replica, off) = (self.dice.below(self.stand.replicas.len()), ["+10m", "-10m"][self.dice.below(2)]);
        self.stand.end(replica).await;
        let library = self.stand.programs.faketime.to_str().unwrap().to_owned();
        let wrong = [("LD_PRELOAD", library.as_str()), ("FAKETIME", off), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        self.stand.start_again(replica, &wrong);
        let visitors = self.stand.replicas[replica].visitors();
        let (live, ready) = (
            self.stand.replicas[replica].internal("/health/live"),
            self.stand.replicas[replica].internal("/health/ready"),
        );
        eventually("it runs", BACK, async || visitors.status(&live).await == Some(200)).await;
        eventually("it is not ready", BACK, async || visitors.status(&ready).await == Some(503)).await;
        let handed_over = visitors.hand_over(&self.stand.setup.sender.assertion("user0")).await.unwrap();
        assert_eq!(handed_over.status, 503, "{handed_over:?}");
        // By its clock what others keep alive is long over: its sweeps and purges must not go by that.
        sleep(Duration::from_secs(3)).await;
        self.bear().await;
        self.stand.end(replica).await;
        self.stand.start_again(replica, &[]);
        self.stand.all_there().await;
    }

    async fn restart_database(&mut self, signal: Signal) {
        self.stand.primary.server.end(signal).await;
        sleep(Duration::from_millis(500)).await;
        self.stand.primary.start_again().await;
    }

    async fn pause_database(&mut self) {
        self.stand.primary.server.pause();
        sleep(self.lengths.pause).await;
        self.stand.primary.server.resume();
    }

    async fn hang_database(&mut self) {
        self.stand.way.stop();
        sleep(self.lengths.pause).await;
        self.stand.way.resume();
    }

    async fn slow_database(&mut self) {
        self.stand.way.slow_down(Duration::from_millis(200));
        sleep(self.lengths.slow).await;
        self.stand.way.slow_down(Duration::ZERO);
    }

    async fn kill_redis(&mut self) {
        self.stand.redis.kill();
        self.bear().await;
        self.stand.redis.run();
    }

    async fn empty_redis(&mut self) {
        for _ in 0..10 {
            let _: redis::Value = redis::cmd("FLUSHALL").query(&mut self.stand.redis.outsider()).unwrap();
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pause_redis(&mut self) {
        self.stand.redis.pause();
        sleep(self.lengths.pause).await;
        self.stand.redis.resume();
    }

    /// Somebody writes into every key there is, all the time.
    async fn let_redis_lie(&mut self) {
        let mut outsider = self.stand.redis.outsider();
        let huge = "9".repeat(1 << 16);
        let lies: [&[&str]; 7] = [
            &["SET", "not a number"],
            &["SET", "99999999999999999999"],
            &["SET", "nan"],
            &["SET", &huge],
            &["RPUSH", "a", "b"],
            &["HSET", "a", "b"],
            &["SADD", "a"],
        ];
        let mut keys = || -> Vec<String> { redis::cmd("KEYS").arg("*").query(&mut outsider).unwrap() };
        // After the fault before, each replica looks for it again some seconds apart.
        eventually("Redis holds something", BACK, async || !keys().is_empty()).await;
        let mut outsider = self.stand.redis.outsider();
        let mut written = 0;
        for _ in 0..30 {
            let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut outsider).unwrap();
            for key in keys {
                let lie = lies[self.dice.below(lies.len())];
                let _: redis::Value = redis::cmd("DEL").arg(&key).query(&mut outsider).unwrap();
                let _: redis::Value = redis::cmd(lie[0]).arg(&key).arg(&lie[1..]).query(&mut outsider).unwrap();
                written += 1;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert!(written > 0, "Redis held nothing: this shows nothing");
    }

    /// The first sign-in after a fault; how soon.
    pub async fn recovered(&self) -> Duration {
        let began = Instant::now();
        self.stand.all_there().await;
        let front = &self.coming.crowd.front;
        eventually("people sign in again", BACK, async || {
            front.try_log_in("user0", PASSWORD, None).await.is_ok_and(|answer| answer.status == 303)
        })
        .await;
        began.elapsed()
    }
}
