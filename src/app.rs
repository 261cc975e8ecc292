//! What a request may use: one value, one extractor. Opening it opens the database and the keys.

pub mod background;
pub mod presence;

use std::convert::Infallible;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::extract::FromRequestParts;
use axum::http::request::Parts as RequestParts;
use futures_util::future::LocalBoxFuture;

use self::background::Background;
use self::presence::Presence;
use crate::cache::activity::chain_seen::ChainSeen;
use crate::cache::activity::day_counts::DayCounts;
use crate::cache::badges::Badges;
use crate::cache::client_keys::ClientKeyCache;
use crate::cache::clients::ClientCache;
use crate::cache::hash_queue::HashQueue;
use crate::cache::issuers::IssuerCache;
use crate::cache::proxies::Proxies;
use crate::cache::refusals::Refusals;
use crate::cache::shared::Redis;
use crate::cache::signing_keys::SigningKeyCache;
use crate::cache::throttle::{Network, SharedThrottle};
use crate::config::{self, Config};
use crate::crypto::key_ring::{KeyRing, give_to_owner_of_folder};
use crate::crypto::password::HashPool;
use crate::crypto::secret::Secret;
use crate::metrics::{Metrics, Sources};
use crate::model::provider::{Provider, ProviderCode, ProviderKind, UnifiedLogin};
use crate::outbound::Outbound;
use crate::outbound::mail::Mailer;
use crate::outbound::otlp::Collector;
use crate::store::sqlite_files::Place;
use crate::store::{self, Database, in_transaction};
use crate::time::{Clock, Deadline, Random, Timestamp};

/// How often one sign-in of an app may be refreshed a minute, with as many in reserve: tabs that wake up together do so
/// at once, and nobody needs more.
const REFRESHES_PER_MINUTE: u32 = 60;
/// Names the key that records are proven by.
pub const RECORD_KEY: &str = "User Activity";

/// Everything a handler may use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// What [`App`] holds.
#[derive(Debug)]
pub struct Parts {
    /// The settings as the service was started with; what may change since stands apart ([`App::adopt`]).
    pub config: Config,
    /// The trusted proxies in force.
    pub proxies: Proxies,
    /// The present.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
    /// The truth.
    pub db: Database,
    /// The key-encryption keys.
    pub keys: KeyRing,
    /// Under which unknown Login Names are hashed (G5, A1).
    pub name_key: Secret,
    /// Under which clients' secrets are hashed.
    pub client_secret_key: Secret,
    /// By which refresh tokens of ours are known again.
    pub refresh_token_key: Secret,
    /// Under which the record is sealed (A3).
    pub record_key: Secret,
    /// The queue for the threads that hash passwords.
    pub hashes: HashQueue,
    /// What replicas share, where there is one.
    pub redis: Option<Arc<Redis>>,
    /// Which address tried how often.
    pub throttle: SharedThrottle<Network>,
    /// Which address began how many requests of apps that wait for a person.
    pub waiting_throttle: SharedThrottle<Network>,
    /// Which client asked the API how often, by `client_id`.
    pub client_throttle: SharedThrottle<String>,
    /// Which client asked for tokens of its own how often, by `client_id`.
    pub own_token_throttle: SharedThrottle<String>,
    /// Which token family was refreshed how often, by its id.
    pub family_throttle: SharedThrottle<String>,
    /// The trusted issuers as last read.
    pub issuers: IssuerCache,
    /// Our signing keys as last read.
    pub signing_keys: SigningKeyCache,
    /// Clients as last read.
    pub clients: ClientCache,
    /// The keys of clients, parsed once.
    pub client_keys: ClientKeyCache,
    /// Sign-ins of days that are over.
    pub day_counts: DayCounts,
    /// Where the chain of the record was last seen to end.
    pub chain_seen: ChainSeen,
    /// How much work waits for operators.
    pub badges: Badges,
    /// Refused handoffs that wait to be written down.
    pub refusals: Refusals,
    /// Our own requests to others.
    pub outbound: Outbound,
    /// The collector of traces, where there is one.
    pub collector: Option<Arc<Collector>>,
    /// The way mail goes out, where there is one.
    pub mailer: Option<Mailer>,
    /// Work that no request waits for.
    pub background: Background,
    /// Which replica this is.
    pub presence: Presence,
    /// What is counted.
    pub metrics: Metrics,
    clock_is_wrong: AtomicBool,
    is_draining: Arc<AtomicBool>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRequestParts<Self> for App {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut RequestParts, app: &Self) -> Result<Self, Infallible> {
        Ok(app.clone())
    }
}

/// Whether opening may change what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Make what is missing: on SQLite the file, its schema, the keys folder and the key; on PostgreSQL the schema.
    Migrate,
    /// `serve` and `apply`: on SQLite as above; on PostgreSQL the schema must be there.
    Run,
    /// Commands that look or change a little: the database must be there already.
    Existing,
}

impl App {
    /// Opens database and keys and puts the parts together.
    ///
    /// # Errors
    /// One sentence that says what is missing or wrong, and the command that mends it.
    pub async fn open(config: Config, opening: Opening) -> anyhow::Result<Self> {
        Self::open_with(config, opening, Clock::System, Random::System).await
    }

    /// [`App::open`] with a clock and randomness of the caller's.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn open_with(
        config: Config,
        opening: Opening,
        clock: Clock,
        random: Random,
    ) -> LocalBoxFuture<'static, anyhow::Result<Self>> {
        // Boxed, so that it is compiled here and not once more in each program that calls it.
        Box::pin(Self::open_as(config, opening, clock, random))
    }

    async fn open_as(config: Config, opening: Opening, clock: Clock, random: Random) -> anyhow::Result<Self> {
        let sqlite = config.on_sqlite();
        if sqlite && Place::of(&config)?.finish()? {
            tracing::warn!("a restore that was cut off is finished");
        }
        if sqlite && opening == Opening::Existing {
            let file = Database::sqlite_file(&config.database.url).context("database.url is not a SQLite address")?;
            ensure!(
                file.exists(),
                "there is no database at {}: run `connect-idp migrate`, `apply` or `serve` first, or check database.url",
                file.display()
            );
        }
        let keys = if sqlite && opening != Opening::Existing {
            ensure!(
                KeyRing::load(&config.keys.dir)?.is_some() || !has_its_key(&config).await,
                "the database has a key-encryption key already, and it is not in {}: restore that folder from its backup",
                config.keys.dir.display()
            );
            KeyRing::load_or_create(&config.keys.dir, &random)?
        } else {
            KeyRing::load(&config.keys.dir)?.with_context(|| {
                format!(
                    "there is no key-encryption key in {}: run `connect-idp key init`, or copy the folder of another replica there",
                    config.keys.dir.display()
                )
            })?
        };
        let db = Database::open(&config.database, clock.clone()).await?;
        let migrate = opening == Opening::Migrate || (sqlite && opening == Opening::Run);
        if migrate {
            let _alone = sqlite.then(|| MigrationLock::take(&config)).transpose()?;
            db.migrate().await?;
        }
        let schema = db.schema().await?;
        if let Some(refusal) = schema.refusal() {
            bail!("{refusal}");
        }
        if let Some(notice) = schema.notice() {
            tracing::warn!("{notice}");
        }
        if opening == Opening::Run {
            check_issuer_belongs(&db, &config.issuer, clock.now()).await?;
        }
        let app = Self::assemble(config, clock, random, db, keys).await?;
        if let Some(redis) = app.redis.as_ref().filter(|_| opening != Opening::Existing) {
            redis.start().await;
        }
        Ok(app)
    }

    async fn assemble(
        config: Config,
        clock: Clock,
        random: Random,
        db: Database,
        keys: KeyRing,
    ) -> anyhow::Result<Self> {
        check_keys_belong(&db, &keys, clock.now()).await?;
        let record_key = keys.oldest().derive(RECORD_KEY);
        let db = db.with_record_key(record_key.clone());
        ensure_operator_realm(&db, &config.operator_code, &random, clock.now()).await?;
        let hashes = HashQueue::new(HashPool::start(config.password_cost(), config.pool_limits(), random.clone())?);
        let rates = Rates::of(&config);
        let redis = open_redis(&config, &keys, &random, clock.now())?.map(Arc::new);
        let shared = redis.as_ref();
        let mailer = Mailer::new(&config)?;
        let sources = Sources {
            db: &db,
            hashes: hashes.pool(),
            redis: redis.as_deref(),
            has_mail: mailer.is_some(),
            has_tls: config.tls.is_some(),
        };
        let metrics = Metrics::new(sources, clock.now());
        Ok(Self(Arc::new(Parts {
            proxies: Proxies::new(&config.trusted_proxies),
            throttle: SharedThrottle::new("address", rates.address, shared),
            waiting_throttle: SharedThrottle::new("waiting", rates.waiting, shared),
            client_throttle: SharedThrottle::new("client", rates.client, shared),
            own_token_throttle: SharedThrottle::new("own_tokens", rates.client, shared),
            family_throttle: SharedThrottle::new("family", rates.family, shared),
            outbound: Outbound::new(&config)?,
            collector: Collector::new(&config)?,
            mailer,
            presence: Presence::new(&config, &keys, &random, clock.now()),
            name_key: keys.oldest().derive("names that are nobody's"),
            client_secret_key: keys.oldest().derive("client secrets"),
            refresh_token_key: keys.oldest().derive("refresh tokens"),
            record_key,
            issuers: IssuerCache::default(),
            signing_keys: SigningKeyCache::default(),
            clients: ClientCache::default(),
            client_keys: ClientKeyCache::default(),
            day_counts: DayCounts::default(),
            chain_seen: ChainSeen::default(),
            badges: Badges::default(),
            refusals: Refusals::default(),
            background: Background::default(),
            metrics,
            clock_is_wrong: AtomicBool::new(false),
            is_draining: Arc::default(),
            config,
            clock,
            random,
            db,
            keys,
            hashes,
            redis,
        })))
    }

    /// Takes over what may change without a restart ([`config::LIVE`]), but for the log, which is the process's.
    pub fn adopt(&self, config: &Config) {
        let rates = Rates::of(config);
        self.presence.adopt(config);
        self.proxies.trust(&config.trusted_proxies);
        self.throttle.set(rates.address);
        self.waiting_throttle.set(rates.waiting);
        self.client_throttle.set(rates.client);
        self.own_token_throttle.set(rates.client);
        self.family_throttle.set(rates.family);
    }

    /// Lets the database belong to the issuer of the configuration from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn adopt_issuer(&self) -> Result<(), store::Error> {
        let (db, issuer) = (&self.db, self.config.issuer.clone());
        in_transaction!(db, self.patient_deadline(), [issuer], |tx| {
            store::settings::put(tx, store::settings::ISSUER, &issuer).await
        })
    }

    /// Notes whether our clock is wrong, until it is asked again.
    pub fn find_clock_wrong(&self, is_wrong: bool) -> bool {
        self.clock_is_wrong.store(is_wrong, Ordering::Relaxed);
        is_wrong
    }

    /// Whether our clock was found wrong when it was last compared with the database's.
    #[must_use]
    pub fn clock_is_wrong(&self) -> bool {
        self.clock_is_wrong.load(Ordering::Relaxed)
    }

    /// From now on others are to answer in our place: this replica is not ready any more, and its connections end.
    pub fn start_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Whether this replica was told to stop, and still answers.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// The same, for whoever asks at each answer.
    #[must_use]
    pub fn draining(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_draining)
    }

    /// Until when the work of an ordinary request may commit. Its answer is owed sooner (`web::layers`).
    #[must_use]
    pub fn ordinary_deadline(&self, now: Timestamp) -> Deadline {
        Deadline::after(Duration::from_secs(30), now)
    }

    /// Until when a person who typed a password waits for the answer.
    #[must_use]
    pub fn answer_deadline(&self, now: Timestamp) -> Deadline {
        Deadline::after(Duration::from_secs(12), now)
    }

    /// How long work may take that nobody waits for.
    #[must_use]
    pub fn patient_deadline(&self) -> Deadline {
        Deadline::after(Duration::from_mins(1), self.clock.now())
    }
}

/// How much a minute each throttle lets pass; `None` lets everything.
struct Rates {
    address: Option<u32>,
    waiting: Option<u32>,
    client: Option<u32>,
    family: Option<u32>,
}

impl Rates {
    fn of(config: &Config) -> Self {
        let settings = &config.throttle;
        let enabled = |rate| settings.enabled.then_some(rate);
        Self {
            address: enabled(settings.address_per_minute),
            // A person who signs in comes by several apps, and by tabs that a browser brings back.
            waiting: enabled(settings.address_per_minute.saturating_mul(4)),
            client: enabled(settings.client_per_minute),
            family: enabled(REFRESHES_PER_MINUTE),
        }
    }
}

/// The Redis of the configuration, not yet asked.
///
/// # Errors
/// When its address is not usable.
fn open_redis(config: &Config, keys: &KeyRing, random: &Random, now: Timestamp) -> anyhow::Result<Option<Redis>> {
    let open = |settings| Redis::new(settings, keys.oldest().derive("what Redis counts"), random, now);
    config.redis.as_ref().map(open).transpose()
}

/// Whether the database belongs to a key. One that cannot be asked, or that is empty, does not.
pub async fn has_its_key(config: &Config) -> bool {
    let exists = !config.on_sqlite() || Database::sqlite_file(&config.database.url).is_some_and(|file| file.exists());
    if !exists {
        return false;
    }
    let settings = config::Database { connections: 1, ..config.database.clone() };
    let Ok(db) = Database::open(&settings, Clock::System).await else { return false };
    let Ok(mut conn) = db.read().await else { return false };
    let found = store::settings::get(&mut conn, store::settings::KEY_FINGERPRINT).await;
    drop(conn);
    db.close().await;
    found.is_ok_and(|found| found.is_some())
}

/// SQLite has no lock for migrations: two processes that start at once take turns by a file beside it. It stays there:
/// who removed it could leave two that each hold one of that name.
struct MigrationLock(#[expect(dead_code, reason = "held until dropped")] std::fs::File);

impl MigrationLock {
    fn take(config: &Config) -> anyhow::Result<Self> {
        let database = Database::sqlite_file(&config.database.url).context("database.url is not a SQLite address")?;
        let path = PathBuf::from(format!("{}.migrating", database.display()));
        let file = std::fs::File::create(&path).and_then(|file| give_to_owner_of_folder(&path).map(|()| file));
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
        Ok(Self(file))
    }
}

/// A key that does not belong to the database would make everything sealed under the right one look lost. Other secrets
/// are derived from the oldest key, so that one is the database's; of the later ones each name means one key.
async fn check_keys_belong(db: &Database, keys: &KeyRing, now: Timestamp) -> anyhow::Result<()> {
    const FACT: &str = store::settings::KEY_FINGERPRINT;
    let fingerprints = keys.fingerprints();
    let mut facts = vec![(FACT.to_owned(), fingerprints[0].1.clone())];
    facts.extend(
        fingerprints.iter().skip(1).map(|(name, print)| (store::settings::fingerprint_of(name), print.clone())),
    );
    let deadline = Deadline::after(Duration::from_secs(30), now);
    in_transaction!(db, deadline, [facts], |tx| {
        for (name, print) in &facts {
            store::settings::insert(tx, name, print).await?;
        }
        Ok(())
    })?;
    let mut conn = db.read().await?;
    for ((fact, print), (file, _)) in facts.iter().zip(&fingerprints) {
        let stored = store::settings::get(&mut conn, fact).await?.context("the database lost a key's fingerprint")?;
        ensure!(
            stored == *print || fact != FACT,
            "the keys folder does not belong to this database: restore the key-encryption key that the database was made \
             with, the lowest number of all"
        );
        ensure!(
            stored == *print,
            "{file} in the keys folder is not the {file} that this database knows: copy it from the replica that made it"
        );
    }
    Ok(())
}

/// Tokens, links and handoffs name the issuer: two replicas that say different ones would each refuse what the other
/// made.
async fn check_issuer_belongs(db: &Database, issuer: &str, now: Timestamp) -> anyhow::Result<()> {
    let issuer = issuer.to_owned();
    let deadline = Deadline::after(Duration::from_secs(30), now);
    let known = in_transaction!(db, deadline, [issuer], |tx| {
        store::settings::insert(tx, store::settings::ISSUER, &issuer).await?;
        store::settings::get(tx, store::settings::ISSUER).await
    })?;
    let known = known.unwrap_or_default();
    ensure!(
        known == issuer,
        "the database belongs to the issuer {known}, and the configuration says {issuer}: give every replica the same \
         `issuer`; if the address has really changed, stop them all and run `connect-idp migrate --new-issuer`"
    );
    Ok(())
}

async fn ensure_operator_realm(db: &Database, code: &str, random: &Random, now: Timestamp) -> anyhow::Result<()> {
    let code = ProviderCode::parse(code).context("operator_code must be 1 to 32 letters, digits or hyphens")?;
    if store::providers::operator_realm(&mut db.read().await?).await?.is_some_and(|realm| realm.code == code.as_str()) {
        return Ok(());
    }
    let realm = Provider {
        id: random.id(now),
        kind: ProviderKind::Operator,
        code: code.as_str().to_owned(),
        name: "Therap".into(),
        active: true,
        unified_login: UnifiedLogin::Off,
        time_zone: "America/New_York".into(),
        contact: None,
        idle_minutes: None,
        absolute_hours: None,
        reset_by_mail: true,
        epoch: 1,
        revision: 1,
    };
    let deadline = Deadline::after(Duration::from_secs(30), now);
    in_transaction!(db, deadline, [realm, code], |tx| {
        let taken = store::providers::by_folded_code(tx, &code).await?;
        if taken.is_some_and(|p| p.kind == ProviderKind::Agency) {
            return Err(store::Error::Damaged(format!("operator_code {} is the code of an agency", code.as_str())));
        }
        if store::providers::operator_realm(tx).await?.is_some() {
            store::providers::rename_operator_realm(tx, &code).await
        } else {
            store::providers::insert(tx, &realm, &code.folded(), now).await.map(drop)
        }
    })?;
    Ok(())
}
