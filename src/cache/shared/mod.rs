//! The Redis that replicas share, and all that names it. It holds nothing but counts of tries, each with a life, under
//! keyed hashes: whoever reads it learns no name, whoever loses it loses nothing, whoever writes into it lets nobody
//! in.
//!
//! A request asks it once and waits 50 ms at most. While it does not answer, requests do not ask: a task looks each
//! second whether it is there again.

mod connect;
mod steadiness;
mod take;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::sync::{Mutex, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use self::connect::{Client, Connection};
use self::steadiness::{LOOK_EVERY, Steadiness};
use self::take::take;
use crate::config;
use crate::crypto::secret::Secret;
use crate::measure::{By, Counter, labels};
use crate::time::{Random, Timestamp};

/// How long a request waits for Redis before the process' own count decides.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// This number of requests in a row must have waited in vain before Redis is taken to be gone: one may be a moment's
/// chance.
const IN_VAIN: u32 = 3;
/// How long one try to connect may take, with all that goes before the first answer.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a start waits for Redis.
const AT_START: Duration = Duration::from_secs(1);
/// What all our keys begin with.
const PREFIX: &str = "connect-idp";

labels! {
    /// What went wrong with Redis.
    pub enum Fault as "fault" {
        /// It could not be connected to.
        Unreachable = "unreachable",
        /// It refused, or the connection was cut.
        Refused = "refused",
        /// It did not answer in time.
        Late = "late",
        /// Something that is not ours stood in place of a count.
        Strange = "strange",
    }
}

/// The Redis of a configuration.
pub struct Redis {
    shared: Arc<Shared>,
    keeper: RwLock<Option<AbortHandle>>,
}

struct Shared {
    /// The address as people may see it.
    address: String,
    client: Mutex<Client>,
    /// Under which what is counted is hashed.
    key: Secret,
    /// Whose key the look for Redis uses: one of this process' own.
    own: String,
    /// What requests ask, while it answers; each connection has a number.
    connection: RwLock<(u64, Option<Connection>)>,
    in_vain: AtomicU32,
    steadiness: std::sync::Mutex<Steadiness>,
    said_lost: AtomicBool,
    said_strange: AtomicBool,
    faults: By<Fault, Counter>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.shared.address)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        keeper.take().iter().for_each(AbortHandle::abort);
    }
}

impl Redis {
    /// The Redis at an address, not yet asked. Names are hashed under `key`.
    ///
    /// # Errors
    /// When the address is not usable.
    pub fn new(settings: &config::Redis, key: Secret, random: &Random, now: Timestamp) -> anyhow::Result<Self> {
        let address = settings.address()?;
        let own = random.id(now);
        let shared = Shared {
            client: Mutex::new(Client::new(&address)?),
            address: address.to_string(),
            key,
            own,
            connection: RwLock::new((0, None)),
            in_vain: AtomicU32::new(0),
            steadiness: std::sync::Mutex::default(),
            said_lost: AtomicBool::new(false),
            said_strange: AtomicBool::new(false),
            faults: By::default(),
        };
        Ok(Self { shared: Arc::new(shared), keeper: RwLock::default() })
    }

    /// Connects, and looks after the connection from now on. Where Redis does not answer soon, that is said and nothing
    /// else changes.
    pub async fn start(&self) {
        let shared = Arc::clone(&self.shared);
        let (looked, first_look) = oneshot::channel();
        let keeper = tokio::spawn(async move {
            shared.look().await;
            // Whoever starts may have stopped waiting.
            let _ = looked.send(());
            loop {
                // One that was lost a moment ago is not asked again at once.
                tokio::time::sleep(LOOK_EVERY).await;
                shared.look().await;
            }
        });
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = Some(keeper.abort_handle());
        if timeout(AT_START, first_look).await.is_err() {
            self.shared.say_lost("it does not answer");
        }
    }

    /// Takes one try of a given number a minute from a bucket that all replicas share. `None` when Redis cannot say:
    /// the process' own count decides then.
    ///
    /// The error is how many seconds until the next try is free.
    pub async fn take(&self, throttle: &str, whose: &str, per_minute: u32) -> Option<Result<(), u64>> {
        let shared = &self.shared;
        let (number, connection) = shared.connection()?;
        let key = shared.name(throttle, whose);
        match timeout(PATIENCE, take(connection, &key, per_minute)).await {
            Ok(Ok(wait_us)) => {
                shared.in_vain.store(0, Ordering::Relaxed);
                // Nobody waits longer than for one try: what says more is not our script.
                let Some(wait_us) = u64::try_from(wait_us).ok().filter(|wait| *wait <= take::MINUTE_US) else {
                    shared.say_strange();
                    return None;
                };
                Some(if wait_us == 0 { Ok(()) } else { Err(wait_us / 1_000_000 + 1) })
            }
            Ok(Err(error)) => {
                shared.refused(number, &error);
                None
            }
            Err(_) => {
                shared.waited_in_vain(number);
                None
            }
        }
    }

    /// How long one question takes on a connection of its own.
    ///
    /// # Errors
    /// Why it cannot be asked, with its address.
    pub async fn round_trip(&self) -> Result<Duration, String> {
        let shared = &self.shared;
        let asked = async {
            let connection = shared.client.lock().await.connect().await?;
            let key = shared.name("look", &shared.own);
            take(connection.clone(), &key, 1_000_000).await?;
            let before = Instant::now();
            take(connection, &key, 1_000_000).await?;
            RedisResult::Ok(before.elapsed())
        };
        match timeout(CONNECT, asked).await {
            Ok(Ok(took)) => Ok(took),
            Ok(Err(error)) => Err(format!("{}: {}", shared.address, words(&error))),
            Err(_) => Err(format!("{} does not answer within {} seconds", shared.address, CONNECT.as_secs())),
        }
    }

    /// Whether requests ask it, since it answers.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.shared.connection().is_some()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn faults(&self) -> &By<Fault, Counter> {
        &self.shared.faults
    }

    /// The address as people may see it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }
}

/// What an error says, and what to do where that is no riddle.
fn words(error: &RedisError) -> String {
    let hint =
        if error.redirect_node().is_some() { " (it is one node of a cluster: name several in redis.url)" } else { "" };
    format!("{error}{hint}")
}

impl Shared {
    fn connection(&self) -> Option<(u64, Connection)> {
        let kept = self.connection.read().unwrap_or_else(PoisonError::into_inner);
        Some((kept.0, kept.1.clone()?))
    }

    fn name(&self, throttle: &str, whose: &str) -> String {
        format!("{PREFIX}:{throttle}:{}", self.key.keyed_hash(&[throttle, whose]))
    }

    /// Stops asking on a connection, unless another has taken its place meanwhile.
    fn lose(&self, number: u64, why: &str) {
        let mut kept = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        if kept.0 == number && kept.1.take().is_some() {
            drop(kept);
            self.steadiness().lose();
            self.say_lost(why);
        }
    }

    fn steadiness(&self) -> std::sync::MutexGuard<'_, Steadiness> {
        self.steadiness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, number: u64, error: &RedisError) {
        self.faults.of(Fault::Refused).inc();
        self.lose(number, &words(error));
    }

    fn waited_in_vain(&self, number: u64) {
        self.faults.of(Fault::Late).inc();
        if self.in_vain.fetch_add(1, Ordering::Relaxed) + 1 >= IN_VAIN {
            self.lose(number, &format!("it does not answer within {} ms", PATIENCE.as_millis()));
        }
    }

    fn say_lost(&self, why: &str) {
        if !self.said_lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                redis = %self.address,
                "the redis at {} is not used until it answers: each replica counts tries by itself meanwhile ({why})",
                self.address
            );
        }
    }

    fn say_strange(&self) {
        self.faults.of(Fault::Strange).inc();
        if !self.said_strange.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                redis = %self.address,
                "somebody else writes into our keys in the redis at {}: give it to this service alone, or another database",
                self.address
            );
        }
    }

    /// Sees whether Redis answers, as quickly as requests need it to.
    async fn look(&self) {
        let key = self.name("look", &self.own);
        if let Some((number, connection)) = self.connection() {
            match timeout(PATIENCE, take(connection, &key, 1_000_000)).await {
                Ok(Ok(_)) => self.in_vain.store(0, Ordering::Relaxed),
                Ok(Err(error)) => self.refused(number, &error),
                Err(_) => self.waited_in_vain(number),
            }
            return;
        }
        if self.steadiness().is_pausing() {
            return;
        }
        let connecting = async {
            let connection = self.client.lock().await.connect().await?;
            take(connection.clone(), &key, 1_000_000).await?;
            RedisResult::Ok(connection)
        };
        let connection = match timeout(CONNECT, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return self.say_unreachable(&words(&error)),
            Err(_) => return self.say_unreachable("it does not answer"),
        };
        match timeout(PATIENCE, take(connection.clone(), &key, 1_000_000)).await {
            Ok(Ok(_)) => self.found(connection),
            Ok(Err(error)) => self.say_unreachable(&words(&error)),
            Err(_) => self.say_unreachable(&format!("it does not answer within {} ms", PATIENCE.as_millis())),
        }
    }

    fn say_unreachable(&self, why: &str) {
        self.faults.of(Fault::Unreachable).inc();
        self.say_lost(why);
    }

    fn found(&self, connection: Connection) {
        let mut kept = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        *kept = (kept.0 + 1, Some(connection));
        drop(kept);
        self.steadiness().find();
        self.in_vain.store(0, Ordering::Relaxed);
        self.said_strange.store(false, Ordering::Relaxed);
        if self.said_lost.swap(false, Ordering::Relaxed) {
            tracing::info!(redis = %self.address, "the redis at {} is used again", self.address);
        }
    }
}
