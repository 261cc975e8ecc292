//! What is counted, for `/metrics`: every family of docs/operations/metrics.md.

pub mod labels;
mod process;
mod site;
pub mod text;

use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::time::Instant;

use self::labels::{Busyness, HandoffOutcome, Job, Lockout, PasswordOutcome, Route, SignedIn, Status, Told};
use self::process::Process;
pub use self::site::{Found, Site};
use self::text::Format;
use crate::cache::shared::Redis;
use crate::crypto::password::{HashPool, Load};
use crate::measure::{By, Counter, Gauge, Histogram, seconds, size, waits};
use crate::model::client::{AccessTokenFormat, GrantType};
use crate::model::refusal::Refusal;
use crate::store::Database;
use crate::store::measures::Connections;
use crate::time::Timestamp;

/// What all names begin with, but those of the process.
const PREFIX: &str = "connect_idp";
/// The bounds of a handoff's age and duration, in seconds. 30 is the promise (U7), 60 an assertion's longest life.
const HANDOFF: [f64; 11] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 60.0];

/// What else counts, and is shown beside what is counted here.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The database.
    pub db: &'a Database,
    /// The threads that hash.
    pub hashes: &'a HashPool,
    /// The Redis, where there is one.
    pub redis: Option<&'a Redis>,
    /// Whether mails are sent.
    pub has_mail: bool,
    /// Whether TLS is our own.
    pub has_tls: bool,
}

/// The counts of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    people: People,
    apps: Apps,
    jobs: Jobs,
    machine: Machine,
    /// What is the whole site's.
    pub site: Site,
}

impl Metrics {
    /// Everything at zero.
    #[must_use]
    pub fn new(sources: Sources<'_>, now: Timestamp) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            people: People::default(),
            apps: Apps::default(),
            jobs: Jobs::new(sources.has_mail),
            machine: Machine::default(),
            site: Site::default(),
        };
        let registry = &mut metrics.registry;
        registry.register_collector(Box::new(Process::new(now)));
        let r = registry.sub_registry_with_prefix(PREFIX);
        let build = [("version", env!("CARGO_PKG_VERSION")), ("database", sources.db.engine_name())];
        let is_there = Gauge::default();
        is_there.set(1.0);
        r.sub_registry_with_labels(build.into_iter().map(|(name, value)| (name.into(), value.into()))).register(
            "build_info",
            "Which program this is, and on which database",
            is_there,
        );
        metrics.people.register(r);
        metrics.apps.register(r);
        metrics.jobs.register(r);
        metrics.machine.register(r, sources);
        metrics.site.register(r, Database::own_schema());
        metrics
    }

    /// Everything, in one of the two forms.
    #[must_use]
    pub fn text(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        format.written(text)
    }
}

/// What people see.
#[derive(Debug)]
struct People {
    requests: By<(Route, Status), Histogram>,
    in_flight: Gauge,
    busy: Counter,
    throttled: Counter,
    sign_ins: By<SignedIn, Counter>,
    lockouts: By<Lockout, Counter>,
    handoff_age: Histogram,
    handoff_duration: Histogram,
    handoff_refusals: By<Refusal, Counter>,
    handoff_repeats: Counter,
    unrecorded: Counter,
}

impl Default for People {
    fn default() -> Self {
        Self {
            requests: By::new(waits),
            in_flight: Gauge::default(),
            busy: Counter::default(),
            throttled: Counter::default(),
            sign_ins: By::default(),
            lockouts: By::default(),
            handoff_age: Histogram::new(HANDOFF),
            handoff_duration: Histogram::new(HANDOFF),
            handoff_refusals: By::default(),
            handoff_repeats: Counter::default(),
            unrecorded: Counter::default(),
        }
    }
}

impl People {
    fn register(&self, r: &mut Registry) {
        let requests = self.requests.clone();
        r.register("http_request_duration_seconds", "From a request to its answer, by group of routes", requests);
        r.register("http_requests_in_flight", "Requests that are not answered yet", self.in_flight.clone());
        r.register("busy", "Requests answered 503", self.busy.clone());
        r.register("throttled", "Requests answered 429", self.throttled.clone());
        r.register("sign_ins", "Sign-ins by method and outcome", self.sign_ins.clone());
        r.register("lockouts", "Accounts that were locked", self.lockouts.clone());
        r.register("handoff_age_seconds", "From the click to the arrival of its assertion", self.handoff_age.clone());
        r.register("handoff_duration_seconds", "From the click to the session", self.handoff_duration.clone());
        r.register("handoff_refusals", "Refused handoffs by reason", self.handoff_refusals.clone());
        let repeats = self.handoff_repeats.clone();
        r.register("handoff_repeats", "Repeats of an assertion beyond the first, which are not recorded", repeats);
        r.register("unrecorded", "Timed-out handoffs whose record was owed for a while", self.unrecorded.clone());
    }
}

impl Metrics {
    /// A request comes; what is given back is told of its answer, or that nobody waited for one.
    pub fn request(&self, route: Route) -> Request<'_> {
        self.people.in_flight.inc();
        Request { people: &self.people, route, status: Status::Abandoned, came_at: Instant::now() }
    }

    /// One answer 429.
    pub fn throttled(&self) {
        self.people.throttled.inc();
    }

    /// One answer 503.
    pub fn busy(&self) {
        self.people.busy.inc();
    }

    /// One sign-in by password.
    pub fn password(&self, outcome: PasswordOutcome) {
        self.people.sign_ins.of(SignedIn::Password(outcome)).inc();
    }

    /// One sign-in by handoff that opened a session, so long after the click.
    pub fn handed_off(&self, duration: Duration) {
        self.people.sign_ins.of(SignedIn::Handoff(HandoffOutcome::Success)).inc();
        self.people.handoff_duration.observe(duration.as_secs_f64());
    }

    /// One handoff that could be neither taken nor refused.
    pub fn handoff_failed(&self) {
        self.people.sign_ins.of(SignedIn::Handoff(HandoffOutcome::Failed)).inc();
    }

    /// One refused handoff; how that is called.
    pub fn handoff_refused(&self, refusal: Refusal) -> HandoffOutcome {
        let is_late = refusal == Refusal::TimedOut;
        let outcome = if is_late { HandoffOutcome::TimedOut } else { HandoffOutcome::Refused };
        self.people.sign_ins.of(SignedIn::Handoff(outcome)).inc();
        self.people.handoff_refusals.of(refusal).inc();
        outcome
    }

    /// How old an assertion was that a trusted issuer signed.
    pub fn handoff_arrived(&self, age: Duration) {
        self.people.handoff_age.observe(age.as_secs_f64());
    }

    /// One more copy of an assertion whose first repeat is recorded.
    pub fn handoff_repeated(&self) {
        self.people.handoff_repeats.inc();
    }

    /// One account got a lock.
    pub fn locked(&self, lock: Lockout) {
        self.people.lockouts.of(lock).inc();
    }

    /// One time-out whose record could not be written at once.
    pub fn unrecorded(&self) {
        self.people.unrecorded.inc();
    }
}

/// A request that is not answered yet. It is counted when this is dropped.
#[derive(Debug)]
pub struct Request<'a> {
    people: &'a People,
    route: Route,
    status: Status,
    came_at: Instant,
}

impl Request<'_> {
    /// It is answered.
    pub fn answered(mut self, status: u16) {
        self.status = Status::of(status);
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.people.in_flight.dec();
        self.people.requests.of((self.route, self.status)).observe(self.came_at.elapsed().as_secs_f64());
    }
}

/// What apps get.
#[derive(Debug, Default)]
struct Apps {
    tokens: By<(GrantType, AccessTokenFormat), Counter>,
    logouts_told: By<Told, Counter>,
    mails: By<Told, Counter>,
}

impl Apps {
    fn register(&self, r: &mut Registry) {
        r.register("tokens_issued", "Access tokens by grant and format", self.tokens.clone());
        let told = self.logouts_told.clone();
        r.register("logouts_told", "Tries to tell an app of a logout, by outcome", told);
        r.register("mails_sent", "Tries to send a mail, by outcome", self.mails.clone());
    }
}

impl Metrics {
    /// One access token was given.
    pub fn token_issued(&self, grant: GrantType, format: AccessTokenFormat) {
        self.apps.tokens.of((grant, format)).inc();
    }

    /// One try to tell a client of a logout.
    pub fn logout_told(&self, told: Told) {
        self.apps.logouts_told.of(told).inc();
    }

    /// One try to send a mail.
    pub fn mail_sent(&self, told: Told) {
        self.apps.mails.of(told).inc();
    }
}

/// What runs on a schedule.
#[derive(Debug)]
struct Jobs {
    done_at: By<Job, Gauge>,
    failures: By<Job, Counter>,
    record_broken: Gauge,
}

impl Jobs {
    fn new(has_mail: bool) -> Self {
        let shown: fn(Job) -> bool = if has_mail { |_| true } else { |job| job != Job::Mail };
        Self {
            done_at: By::default().showing(shown),
            failures: By::default().showing(shown),
            record_broken: Gauge::default(),
        }
    }

    fn register(&self, r: &mut Registry) {
        let done_at = self.done_at.clone();
        r.register("job_last_success_timestamp_seconds", "When a job was last done here; 0 for not yet", done_at);
        r.register("job_failures", "Runs of a job that failed", self.failures.clone());
        r.register(
            "record_broken",
            "1 while the chain of User Activity does not go on from where it was seen to end, and nothing is sealed",
            self.record_broken.clone(),
        );
    }
}

impl Metrics {
    /// One run of a job, and whether it did what it was to do.
    pub fn job_ran(&self, job: Job, is_done: bool, now: Timestamp) {
        if is_done {
            self.jobs.done_at.of(job).set(seconds(now));
        } else {
            self.jobs.failures.of(job).inc();
        }
    }

    /// Whether the record's chain is found to be another than it was.
    pub fn record_is_broken(&self, is_broken: bool) {
        self.jobs.record_broken.set(f64::from(u8::from(is_broken)));
    }
}

/// What it all runs on.
#[derive(Debug, Default)]
struct Machine {
    hash_queue: Gauge,
    hash_queue_limit: Gauge,
    hash_threads: By<Busyness, Gauge>,
    connections: By<Busyness, Gauge>,
    connections_limit: Gauge,
    clock_offset: Gauge,
    redis_up: Gauge,
    certificate_expiry: Gauge,
}

impl Machine {
    fn register(&self, r: &mut Registry, sources: Sources<'_>) {
        let hashes = sources.hashes.measures();
        r.register("hash_wait_seconds", "How long a password waited for a thread", hashes.wait.clone());
        r.register("hash_refused", "Passwords that no thread had time for", hashes.refused.clone());
        r.register("hash_queue_depth", "Passwords that wait for a thread", self.hash_queue.clone());
        r.register("hash_queue_limit", "As many may wait", self.hash_queue_limit.clone());
        r.register("hash_threads", "Threads that hash, by what they do", self.hash_threads.clone());
        let database = sources.db.measures();
        r.register("database_connections", "Connections to the database", self.connections.clone());
        r.register("database_connections_limit", "As many there may be", self.connections_limit.clone());
        r.register("database_wait_seconds", "How long a connection was waited for", database.wait.clone());
        r.register("database_errors", "What went wrong with the database", database.faults.clone());
        r.register("clock_offset_seconds", "Our clock less the database's", self.clock_offset.clone());
        if let Some(redis) = sources.redis {
            r.register("redis_up", "1 while Redis answers, and counts for all replicas", self.redis_up.clone());
            r.register("redis_errors", "What went wrong with Redis", redis.faults().clone());
        }
        if sources.has_tls {
            let expiry = self.certificate_expiry.clone();
            r.register("certificate_expiry_timestamp_seconds", "When the certificate in use ends", expiry);
        }
    }
}

impl Metrics {
    /// How busy the parts are at this moment.
    pub fn sample(&self, hashes: Load, connections: Connections, redis_is_used: bool) {
        let m = &self.machine;
        m.hash_queue.set(size(hashes.queued));
        m.hash_queue_limit.set(size(hashes.queue));
        m.hash_threads.of(Busyness::InUse).set(size(hashes.busy));
        m.hash_threads.of(Busyness::Idle).set(size(hashes.idle));
        m.connections.of(Busyness::InUse).set(size(connections.in_use));
        m.connections.of(Busyness::Idle).set(size(connections.idle));
        m.connections_limit.set(size(connections.most));
        m.redis_up.set(f64::from(u8::from(redis_is_used)));
    }

    /// How far our clock is ahead of the database's, or behind where that is negative, in milliseconds.
    pub fn clock_is_off(&self, ms: i64) {
        self.machine.clock_offset.set(seconds(Timestamp(ms)));
    }

    /// When the certificate in use ends.
    pub fn certificate_ends(&self, at: Timestamp) {
        self.machine.certificate_expiry.set(seconds(at));
    }
}
