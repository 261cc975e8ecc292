//! Argon2id on a bounded pool of threads of its own (G6): the async executor never hashes, memory has a ceiling, and
//! overload is an answer ([`Busy`]) instead of a queue without end.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::measure::{By, Counter, Histogram, labels, waits};
use crate::time::Random;

/// Argon2id's cost (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Cost {
    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(32))
    }
}

/// The bounds of the pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Hashes at once; memory in use is at most this many times the cost.
    pub threads: usize,
    /// How many may wait.
    pub queue: usize,
    /// How long one may wait.
    pub patience: Duration,
}

/// The pool is full, or the wait grew too long: nothing was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// What a comparison found.
#[derive(Debug)]
pub struct Checked {
    /// Whether the password is the one the hash was made from.
    pub matches: bool,
    /// A new hash of the same password, when the stored one was made with another cost.
    pub rehashed: Option<String>,
}

labels! {
    /// Why a hash was not made.
    pub enum NoRoom as "reason" {
        /// As many waited already as may.
        Full = "full",
        /// It waited longer than one may.
        Waited = "waited",
    }
}

/// What is counted of the hashes.
#[derive(Clone, Debug)]
pub struct Measures {
    /// How long each waited for a thread.
    pub wait: Histogram,
    /// Those that were not made.
    pub refused: By<NoRoom, Counter>,
}

/// How busy the threads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Hashes that wait.
    pub queued: usize,
    /// As many may wait.
    pub queue: usize,
    /// Threads that hash.
    pub busy: usize,
    /// Threads that wait for work.
    pub idle: usize,
}

/// The threads that hash. Dropping the last handle ends them.
pub struct HashPool {
    shared: Arc<Shared>,
    cost: Cost,
    random: Random,
    dummy: String,
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashPool({:?})", self.cost)
    }
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    limits: PoolLimits,
    /// Memory that no hash is using, the last used on top: as many blocks are made as hashes ever ran at once, and
    /// kept. The allocator does not give blocks of this size back, and each thread would come to hold its own.
    free: Mutex<Vec<Memory>>,
    /// How long each of them is.
    blocks: usize,
    measures: Measures,
}

struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    closed: bool,
    /// How many will come with a job in a moment.
    places: usize,
    /// How long a hash takes of late; nothing until there was one.
    takes: Duration,
}

impl Queue {
    /// Whether one more may wait: there is a place, and its turn comes before its patience ends.
    fn has_room(&self, limits: &PoolLimits) -> bool {
        // A thread that waits takes a job before it could count as queued.
        let waiting = (self.jobs.len() + self.places).saturating_sub(self.idle);
        let rounds = u32::try_from(waiting / limits.threads.max(1)).unwrap_or(u32::MAX);
        // A quarter of it is for hashes that take longer than those before.
        waiting < limits.queue && self.takes.saturating_mul(rounds) <= limits.patience * 3 / 4
    }

    /// The last eight or so count.
    fn note(&mut self, took: Duration) {
        self.takes = if self.takes.is_zero() { took } else { (self.takes * 7 + took) / 8 };
    }
}

struct Job {
    since: Instant,
    run: Box<Work>,
}

/// What is done with memory, and then without: the answer leaves when the memory is back.
type Work = dyn FnOnce(&mut Memory) -> Answer + Send;
type Answer = Box<dyn FnOnce()>;

type Memory = Vec<Block>;

impl HashPool {
    /// Starts the threads, at a lower priority than the rest of the process.
    ///
    /// # Errors
    /// When the cost is outside Argon2's own bounds, or a thread cannot be started.
    pub fn start(cost: Cost, limits: PoolLimits, random: Random) -> anyhow::Result<Self> {
        let params =
            cost.params().map_err(|error| anyhow::anyhow!("the [password] cost is not one of Argon2's: {error}"))?;
        let queue =
            Mutex::new(Queue { jobs: VecDeque::new(), idle: 0, closed: false, places: 0, takes: Duration::ZERO });
        let (free, blocks) = (Mutex::default(), params.block_count());
        let measures = Measures { wait: waits(), refused: By::default() };
        let shared = Arc::new(Shared { queue, wake: Condvar::new(), limits, free, blocks, measures });
        for number in 0..limits.threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("argon2-{number}")).spawn(move || shared.work())?;
        }
        let salt = random.bytes::<16>();
        let dummy = encode(cost, &salt, &[0; 32])?;
        Ok(Self { shared, cost, random, dummy })
    }

    /// Whether one more password would be hashed in time.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.lock().has_room(&self.shared.limits)
    }

    /// Counts somebody who is sent away because there is no room.
    pub fn count_refusal(&self) {
        self.shared.measures.refused.of(NoRoom::Full).inc();
    }

    /// Keeps a place for a password that comes in a moment. Whoever takes one first spares the rest of the service what
    /// would come to nothing: when ten times as many sign in as can be, most of the work is that of sending people
    /// away.
    ///
    /// # Errors
    /// [`Busy`] when it would not be hashed in time.
    pub fn place(&self) -> Result<Place, Busy> {
        let mut queue = self.shared.lock();
        if !queue.has_room(&self.shared.limits) {
            drop(queue);
            self.count_refusal();
            return Err(Busy);
        }
        queue.places += 1;
        Ok(Place(Some(Arc::clone(&self.shared))))
    }

    /// Hashes a prepared password into a PHC string with the current cost.
    ///
    /// # Errors
    /// [`Busy`] when the pool has no room.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Busy> {
        let (cost, salt) = (self.cost, self.random.bytes::<16>());
        self.run(None, move |memory| hash(cost, &salt, &password, memory)).await
    }

    /// Compares a prepared password with a PHC string. Without one a hash of the same cost is made all the same, and
    /// nothing matches: the time taken does not say which accounts exist (G5).
    ///
    /// # Errors
    /// [`Busy`] when the pool has no room.
    pub async fn verify(&self, password: Zeroizing<String>, phc: Option<String>) -> Result<Checked, Busy> {
        self.verify_at(None, password, phc).await
    }

    /// The same, by whoever may have a place.
    ///
    /// # Errors
    /// [`Busy`] when there is neither a place nor room, or when it waited longer than patience allows.
    pub async fn verify_at(
        &self,
        place: Option<Place>,
        password: Zeroizing<String>,
        phc: Option<String>,
    ) -> Result<Checked, Busy> {
        let (cost, salt) = (self.cost, self.random.bytes::<16>());
        let (known, phc) = (phc.is_some(), phc.unwrap_or_else(|| self.dummy.clone()));
        self.run(place, move |memory| {
            let (matches, stored_cost) = compare(&phc, &password, memory);
            let matches = matches && known;
            let stale = matches && stored_cost != Some(cost);
            Checked { matches, rehashed: stale.then(|| hash(cost, &salt, &password, memory)) }
        })
        .await
    }

    /// What is counted of the hashes.
    #[must_use]
    pub fn measures(&self) -> &Measures {
        &self.shared.measures
    }

    /// How busy the threads are at this moment.
    #[must_use]
    pub fn load(&self) -> Load {
        let (limits, queue) = (self.shared.limits, self.shared.lock());
        let busy = limits.threads.saturating_sub(queue.idle);
        Load { queued: queue.jobs.len(), queue: limits.queue, busy, idle: queue.idle }
    }

    async fn run<T: Send + 'static>(
        &self,
        place: Option<Place>,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, result) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| -> Answer {
            let done = work(memory);
            Box::new(move || drop(answer.send(done)))
        });
        self.shared.push(place, job)?;
        // The sender is dropped unsent when the job waited longer than patience allows.
        result.await.map_err(|_| Busy)
    }
}

/// A place among those who wait; it is free again when dropped.
#[must_use = "a place is free again when dropped"]
pub struct Place(Option<Arc<Shared>>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.lock().places -= 1;
        }
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::disallowed_methods, reason = "a queue's patience counts on the monotonic clock")]
    fn push(&self, place: Option<Place>, run: Box<Work>) -> Result<(), Busy> {
        let mut queue = self.lock();
        if let Some(mut place) = place {
            // It becomes the job's, and nobody takes it between.
            place.0 = None;
            queue.places -= 1;
        } else if !queue.has_room(&self.limits) {
            drop(queue);
            self.measures.refused.of(NoRoom::Full).inc();
            return Err(Busy);
        }
        queue.jobs.push_back(Job { since: Instant::now(), run });
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "what a hash takes counts on the monotonic clock")]
    fn work(&self) {
        // Best effort: without the priority the pool works the same, only less politely.
        let _ = rustix::process::nice(5);
        while let Some(job) = self.next() {
            let waited = job.since.elapsed();
            self.measures.wait.observe(waited.as_secs_f64());
            if waited > self.limits.patience {
                self.measures.refused.of(NoRoom::Waited).inc();
            } else {
                let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
                let mut memory = free().pop().unwrap_or_else(|| vec![Block::default(); self.blocks]);
                let began = Instant::now();
                // A thread outlives what happens in it: nobody would start another.
                let done = catch_unwind(AssertUnwindSafe(|| (job.run)(&mut memory)));
                free().push(memory);
                self.lock().note(began.elapsed());
                if let Ok(answer) = done {
                    answer();
                } else {
                    tracing::error!("a password hash panicked");
                }
            }
        }
    }

    /// The next job; `None` when the pool is closed.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the pool starts with no cost that Argon2 refuses, and the lengths are constants"
)]
fn hash(cost: Cost, salt: &[u8], password: &str, memory: &mut Memory) -> String {
    let params = cost.params().expect("checked when the pool was started");
    let output = fill(&params, Algorithm::Argon2id, Version::V0x13, salt, password, memory);
    encode(cost, salt, &output[..]).expect("a 16-byte salt and a 32-byte output fit a PHC string")
}

fn encode(cost: Cost, salt: &[u8], output: &[u8]) -> anyhow::Result<String> {
    let invalid = |_| anyhow::anyhow!("not a PHC string");
    let params = cost.params().map_err(|_| anyhow::anyhow!("not a cost"))?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| anyhow::anyhow!("not a cost"))?,
        salt: Some(Salt::new(salt).map_err(invalid)?),
        hash: Some(Output::new(output).map_err(invalid)?),
    };
    Ok(phc.to_string())
}

#[expect(clippy::expect_used, reason = "the lengths are constants, and the blocks are as many as the parameters want")]
fn fill(
    params: &Params,
    algorithm: Algorithm,
    version: Version,
    salt: &[u8],
    password: &str,
    memory: &mut Memory,
) -> Zeroizing<[u8; 32]> {
    let blocks = params.block_count();
    // A stored hash may have been made with more.
    let mut more = Memory::new();
    let memory = if blocks <= memory.len() {
        &mut memory[..blocks]
    } else {
        more.resize(blocks, Block::default());
        &mut more[..]
    };
    let mut output = Zeroizing::new([0; 32]);
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut *output, memory)
        .expect("salt and output lengths are within Argon2's bounds");
    output
}

/// Whether a PHC string is one that [`HashPool::verify`] can compare: Argon2 with a 32-byte output.
#[must_use]
pub fn is_usable_hash(phc: &str) -> bool {
    parse(phc).is_some()
}

type Parsed = (Params, Algorithm, Version, Vec<u8>, Vec<u8>);

fn parse(phc: &str) -> Option<Parsed> {
    let hash = PasswordHash::new(phc).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Some(Version::V0x13), |v| Version::try_from(v).ok())?;
    let params = Params::try_from(&hash).ok()?;
    let (salt, output) = (hash.salt?, hash.hash?);
    let bounded = params.m_cost() <= 1 << 20 && params.t_cost() <= 64;
    (output.len() == 32 && bounded).then(|| (params, algorithm, version, salt.to_vec(), output.as_bytes().to_vec()))
}

fn compare(phc: &str, password: &str, memory: &mut Memory) -> (bool, Option<Cost>) {
    let Some((params, algorithm, version, salt, expected)) = parse(phc) else {
        return (false, None);
    };
    let found = fill(&params, algorithm, version, &salt, password, memory);
    let current = algorithm == Algorithm::Argon2id && version == Version::V0x13;
    let cost = Cost { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() };
    (found.ct_eq(&expected[..]).into(), current.then_some(cost))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn pool(cost: Cost, threads: usize, queue: usize) -> HashPool {
        let limits = PoolLimits { threads, queue, patience: Duration::from_secs(20) };
        HashPool::start(cost, limits, Random::System).unwrap()
    }

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_alone() {
        let pool = pool(CHEAP, 2, 8);
        let phc = pool.hash(secret("Correct-Horse-9")).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let right = pool.verify(secret("Correct-Horse-9"), Some(phc.clone())).await.unwrap();
        assert!(right.matches && right.rehashed.is_none());
        assert!(!pool.verify(secret("correct-horse-9"), Some(phc)).await.unwrap().matches);
        assert!(!pool.verify(secret(""), None).await.unwrap().matches);
        assert!(!pool.verify(secret("x"), Some("not a hash".into())).await.unwrap().matches);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_made_anew_when_the_password_is_right() {
        let old = pool(CHEAP, 1, 8).hash(secret("Correct-Horse-9")).await.unwrap();
        let pool = pool(Cost { iterations: 2, ..CHEAP }, 1, 8);
        let checked = pool.verify(secret("Correct-Horse-9"), Some(old.clone())).await.unwrap();
        assert!(checked.rehashed.unwrap().contains("t=2"));
        assert!(pool.verify(secret("wrong"), Some(old)).await.unwrap().rehashed.is_none());
    }

    /// However the threads take turns, there are no more blocks than hashes at once; a larger one is not kept.
    #[tokio::test]
    async fn memory_is_kept_for_as_many_hashes_as_ran_at_once() {
        let large = pool(Cost { memory_kib: 256, ..CHEAP }, 1, 8).hash(secret("Correct-Horse-9")).await.unwrap();
        let pool = pool(CHEAP, 8, 8);
        for _ in 0..50 {
            assert!(!pool.verify(secret("x"), None).await.unwrap().matches);
            assert!(pool.verify(secret("Correct-Horse-9"), Some(large.clone())).await.unwrap().matches);
        }
        let kept = pool.shared.free.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(kept, [64]);
        let panicked = pool.run(None, |_| -> () { panic!("on purpose") }).await;
        assert_eq!(panicked, Err(Busy));
        for _ in 0..20 {
            assert!(pool.verify(secret("x"), None).await.is_ok());
        }
    }

    /// Nobody waits for a turn that would come too late.
    #[test]
    fn as_many_may_wait_as_are_hashed_in_time() {
        let limits = PoolLimits { threads: 2, queue: 256, patience: Duration::from_secs(1) };
        let mut queue = Queue { jobs: VecDeque::new(), idle: 0, closed: false, places: 0, takes: Duration::ZERO };
        #[expect(clippy::disallowed_methods, reason = "a queue's patience counts on the monotonic clock")]
        let began = Instant::now();
        let mut room = |idle| {
            (queue.jobs, queue.idle) = (VecDeque::new(), idle);
            while queue.has_room(&limits) {
                queue.jobs.push_back(Job { since: began, run: Box::new(|_| Box::new(|| ())) });
            }
            queue.note(Duration::from_millis(25));
            queue.jobs.len()
        };
        assert_eq!((room(2), room(0), room(2)), (258, 62, 64));
    }

    #[test]
    fn a_place_that_is_kept_is_nobody_elses() {
        let pool = pool(CHEAP, 0, 2);
        let (first, second) = (pool.place().unwrap(), pool.place().unwrap());
        assert!(!pool.has_room() && pool.place().is_err());

        // Whoever has one is not asked again: without threads the job waits where the place was.
        assert!(pool.verify_at(Some(first), secret("x"), None).now_or_never().is_none());
        assert!(!pool.has_room());
        drop(second);
        assert!(pool.has_room());
    }

    #[tokio::test]
    async fn a_full_pool_says_so_at_once() {
        let pool = pool(Cost { memory_kib: 8192, iterations: 4, parallelism: 1 }, 1, 1);
        let storm = (0..40).map(|_| pool.verify(secret("x"), None));
        let answers = futures_util::future::join_all(storm).await;
        assert!(answers.iter().any(Result::is_ok));
        let refused = answers.iter().filter(|answer| matches!(answer, Err(Busy))).count();
        assert!(refused > 0);
        assert_eq!(pool.measures().refused.of(NoRoom::Full).get(), u64::try_from(refused).unwrap());
        let load = pool.load();
        assert_eq!((load.queued, load.queue, load.busy + load.idle), (0, 1, 1));
    }
}
