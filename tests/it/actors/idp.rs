//! The service under test, with a database of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use connect_idp::app::{App, Opening};
use connect_idp::config::Config;
use connect_idp::crypto::key_ring::KeyRing;
use connect_idp::model::activity::Visitor;
use connect_idp::model::issuer::TrustedIssuer;
use connect_idp::model::login_name::LoginName;
use connect_idp::model::password_rules;
use connect_idp::model::provider::{Provider, ProviderCode, ProviderKind, UnifiedLogin};
use connect_idp::model::user::{Account, UserType};
use connect_idp::operations::activity::verify::{Terms, Verified, verify};
use connect_idp::operations::admin_context::{AdminContext, Authority};
use connect_idp::operations::{self, Actor};
use connect_idp::store::activity::{Filter, Record};
use connect_idp::store::users::NewUser;
use connect_idp::time::{Clock, Random, Timestamp};
use connect_idp::{router, store};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::therap_services::public_jwks;
use super::{Browser, Engine, ISSUER, TherapServices, postgres_server};
use crate::databases::Database;

/// When tests happen: 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Everybody's password, unless a test says otherwise.
pub const PASSWORD: &str = "Correct-Horse-9";
/// The agency that everybody belongs to, unless a test says otherwise.
const AGENCY: &str = "SUNRISE-IL";

/// The service. Cheap to clone; the database goes with the last clone.
#[derive(Clone)]
pub struct Idp {
    pub app: App,
    pub router: Router,
    pub engine: Engine,
    home: Arc<Home>,
}

struct Home {
    dir: TempDir,
    url: String,
    _postgres: Option<Database>,
}

impl Home {
    async fn make(engine: Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite://{}", dir.path().join("connect.db").display());
                Self { dir, url, _postgres: None }
            }
            Engine::Postgres => {
                let database = Database::create(&postgres_server().unwrap()).await;
                Self { dir, url: database.url(), _postgres: Some(database) }
            }
        }
    }
}

/// A database of PostgreSQL with nothing in it, which goes with the last clone.
#[derive(Clone)]
pub struct Empty(Arc<Database>);

impl Empty {
    /// One on the tests' server, where there is one.
    pub async fn make() -> Option<Self> {
        Some(Self(Arc::new(Database::create(&postgres_server()?).await)))
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    pub async fn outsider(&self) -> Outsider {
        Outsider::Postgres(PgConnection::connect(&self.url()).await.unwrap())
    }
}

/// A user, as tests name one.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub provider_id: String,
    pub provider_code: String,
    pub login_name: String,
    pub name: String,
    pub password: String,
}

impl User {
    /// The sister product's id for this person.
    pub fn sub(&self) -> String {
        format!("person-{}-{}", self.provider_code, self.login_name)
    }

    /// Nobody: a name without an account.
    pub fn nobody(login_name: &str, provider_code: &str) -> Self {
        Self {
            id: String::new(),
            provider_id: String::new(),
            provider_code: provider_code.into(),
            login_name: login_name.into(),
            name: String::new(),
            password: PASSWORD.into(),
        }
    }
}

impl Idp {
    /// A service whose clock stands still at [`NOW`].
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    /// The same with another configuration.
    pub async fn start_with(engine: Engine, tweak: impl FnOnce(&mut Config)) -> Self {
        Self::open(engine, Clock::fixed(NOW), tweak).await
    }

    /// A service on the machine's clock.
    pub async fn start_live(engine: Engine, tweak: impl FnOnce(&mut Config)) -> Self {
        Self::open(engine, Clock::System, tweak).await
    }

    async fn open(engine: Engine, clock: Clock, tweak: impl FnOnce(&mut Config)) -> Self {
        let home = Home::make(engine).await;
        let mut config = Config { issuer: "https://connect.example.org".into(), ..Config::default() };
        config.database.url.clone_from(&home.url);
        config.database.connections = 6;
        config.keys.dir = home.dir.path().join("keys");
        config.password.memory_kib = 8;
        config.password.iterations = 1;
        config.password.threads = 2;
        config.password.queue = 1000;
        config.password.patience_ms = 10_000;
        config.throttle.enabled = false;
        tweak(&mut config);
        KeyRing::load_or_create(&config.keys.dir, &Random::System).unwrap();
        let app = App::open_with(config, Opening::Migrate, clock, Random::System).await.unwrap();
        let idp = Self { router: router::router(&app).into_router(), app, engine, home: Arc::new(home) };
        idp.provider(AGENCY, |_| {}).await;
        idp.trust(ISSUER, |_| {}).await;
        idp
    }

    /// Another replica on the same database, with another configuration if need be.
    pub async fn replica(&self, tweak: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.app.config.clone();
        tweak(&mut config);
        let app = App::open_with(config, Opening::Run, self.app.clock.clone(), Random::System).await.unwrap();
        Self { router: router::router(&app).into_router(), app, engine: self.engine, home: Arc::clone(&self.home) }
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self)
    }

    pub fn therap_services(&self) -> TherapServices {
        TherapServices::new(self)
    }

    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Lets the fixed clock run on.
    pub fn advance(&self, span: Duration) {
        self.app.clock.advance(span);
    }

    /// Where files of this test may lie.
    pub fn dir(&self) -> PathBuf {
        self.home.dir.path().to_owned()
    }

    /// An administrative act of an operator, now.
    pub fn act(&self) -> AdminContext {
        let (app, now) = (self.app.clone(), self.now());
        let actor = Actor { name: "operator test".into(), visitor: Visitor::default() };
        AdminContext { deadline: app.patient_deadline(), app, actor, authority: Authority::Machine, now, seen: None }
    }

    /// Makes a provider with Unified Login on.
    pub async fn provider(&self, code: &str, change: impl FnOnce(&mut Provider)) -> Provider {
        let (code, now) = (ProviderCode::parse(code).unwrap(), self.now());
        let mut provider = Provider {
            id: self.app.random.id(now),
            kind: ProviderKind::Agency,
            code: code.as_str().into(),
            name: format!("{} Homes", code.as_str()),
            active: true,
            unified_login: UnifiedLogin::On,
            time_zone: "America/Chicago".into(),
            contact: None,
            idle_minutes: None,
            absolute_hours: None,
            reset_by_mail: true,
            epoch: 1,
            revision: 1,
        };
        change(&mut provider);
        let made =
            in_tx!(self, [provider, code], |tx| store::providers::insert(tx, &provider, &code.folded(), now).await);
        assert!(made, "there is a provider {} already", code.as_str());
        provider
    }

    /// Trusts an issuer whose origin is its name, with every published test key of [`ISSUER`].
    pub async fn trust(&self, issuer: &str, change: impl FnOnce(&mut TrustedIssuer)) -> TrustedIssuer {
        let kids = ["es256", "ps256", "rs256", "eddsa"];
        let now = self.now();
        let mut trusted = TrustedIssuer {
            id: self.app.random.id(now),
            issuer: issuer.into(),
            display_name: "Therap Services".into(),
            origins: vec![issuer.into()],
            jwks: Some(public_jwks(&kids)),
            jwks_uri: None,
            last_good_jwks: None,
            client_id: None,
            acr: [("urn:therap:mfa".to_owned(), "urn:example:mfa".to_owned())].into(),
            enabled: true,
            epoch: 1,
            revision: 1,
        };
        change(&mut trusted);
        assert!(in_tx!(self, [trusted], |tx| store::issuers::insert(tx, &trusted, now).await));
        self.app.issuers.forget();
        trusted
    }

    /// A user of [`AGENCY`], about to be made.
    pub fn user(&self, login_name: &str) -> UserToBe {
        UserToBe {
            idp: self.clone(),
            login_name: login_name.into(),
            code: AGENCY.into(),
            user_type: UserType::Regular,
            active: true,
            admin_locked: false,
            failures: 0,
            temporary_until: None,
        }
    }

    /// The user's row as it stands.
    pub async fn account(&self, user: &User) -> Account {
        let mut conn = self.app.db.read().await.unwrap();
        store::users::by_id(&mut conn, &user.id).await.unwrap().unwrap()
    }

    pub async fn lock(&self, user: &User) {
        operations::users::lock(&self.act(), &user.provider_id, &user.id).await.unwrap();
    }

    pub async fn unlock(&self, user: &User) {
        let both = operations::users::Locks::Both;
        operations::users::unlock(&self.act(), &user.provider_id, &user.id, both).await.unwrap();
    }

    pub async fn set_active(&self, user: &User, active: bool) {
        operations::users::set_active(&self.act(), &user.provider_id, &user.id, active).await.unwrap();
    }

    pub async fn set_provider_active(&self, provider_id: &str, active: bool) {
        operations::providers::set_active(&self.act(), provider_id, active).await.unwrap();
    }

    pub async fn reset_password(&self, user: &User, password: &str) {
        let password = password_rules::check(password).unwrap();
        operations::users::reset_password(&self.act(), &user.provider_id, &user.id, &password, None).await.unwrap();
    }

    /// Every record, in the order of their commits.
    pub async fn activity(&self) -> Vec<Record> {
        let page = operations::activity::chain::page(&self.app, &Filter::default(), 0, 100_000).await.unwrap();
        assert_eq!(page.read_to, page.last, "there are more");
        page.records.into_iter().map(|placed| placed.record).collect()
    }

    /// What `activity verify` finds, without anchors.
    pub async fn verified(&self) -> Verified {
        verify(&self.app, &Terms::default(), |_, _| {}).await.unwrap()
    }

    /// Every record of these kinds as `kind outcome reason`, sorted: records of one millisecond have no order.
    pub async fn record(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.activity().await.iter().map(line).collect();
        lines.sort();
        lines
    }

    /// There are these records and no others, each once, as `kind outcome reason`.
    pub async fn assert_activity<const N: usize>(&self, wanted: [&str; N]) {
        let mut wanted: Vec<_> = wanted.into_iter().map(str::to_owned).collect();
        wanted.sort();
        assert_eq!(self.record().await, wanted);
    }

    /// How many usable sessions a user has.
    pub async fn sessions(&self, user: &User) -> usize {
        let mut conn = self.app.db.read().await.unwrap();
        store::sessions::of_user(&mut conn, &user.id, self.now()).await.unwrap().len()
    }

    /// What must hold of the rows, whatever happened.
    pub async fn assert_invariants(&self) {
        let mut conn = self.app.db.read().await.unwrap();
        let found = store::invariants::violations(&mut conn, self.now()).await.unwrap();
        let broken: Vec<_> = found.into_iter().filter(|(_, count)| *count > 0).collect();
        assert!(broken.is_empty(), "broken: {broken:?}");
        drop(conn);
        let fault = self.verified().await.fault;
        assert!(fault.is_none(), "{}", fault.unwrap().words());
    }

    /// A connection of somebody else's to the same database.
    pub async fn outsider(&self) -> Outsider {
        match self.engine {
            Engine::Sqlite => {
                Outsider::Sqlite(rusqlite::Connection::open(self.home.dir.path().join("connect.db")).unwrap())
            }
            Engine::Postgres => Outsider::Postgres(PgConnection::connect(&self.home.url).await.unwrap()),
        }
    }

    /// One number out of the database.
    pub async fn number(&self, sql: &str) -> i64 {
        self.outsider().await.number(sql).await
    }
}

/// A record as tests read it.
pub fn line(record: &Record) -> String {
    let reason = record.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{} {}{reason}", record.kind, record.outcome)
}

/// See [`Idp::outsider`].
pub enum Outsider {
    Sqlite(rusqlite::Connection),
    Postgres(PgConnection),
}

impl Outsider {
    pub async fn run(&mut self, sql: &str) {
        match self {
            Self::Sqlite(conn) => conn.execute_batch(sql).unwrap(),
            Self::Postgres(conn) => {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(conn).await.unwrap();
            }
        }
    }

    pub async fn number(&mut self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(conn) => conn.query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(conn) => {
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(conn).await.unwrap()
            }
        }
    }

    pub async fn text(&mut self, sql: &str) -> String {
        match self {
            Self::Sqlite(conn) => conn.query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(conn) => {
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(conn).await.unwrap()
            }
        }
    }
}

/// See [`Idp::user`].
#[derive(Clone)]
pub struct UserToBe {
    idp: Idp,
    login_name: String,
    code: String,
    user_type: UserType,
    active: bool,
    admin_locked: bool,
    failures: i64,
    temporary_until: Option<Timestamp>,
}

impl UserToBe {
    pub fn of(mut self, code: &str) -> Self {
        self.code = code.into();
        self
    }

    pub fn user_type(mut self, user_type: UserType) -> Self {
        self.user_type = user_type;
        self
    }

    pub fn inactive(mut self) -> Self {
        self.active = false;
        self
    }

    pub fn admin_locked(mut self) -> Self {
        self.admin_locked = true;
        self
    }

    pub fn failures(mut self, failures: i64) -> Self {
        self.failures = failures;
        self
    }

    /// With a temporary password, good for seven days.
    pub fn temporary(mut self) -> Self {
        self.temporary_until = Some(self.idp.now().after(Duration::from_hours(7 * 24)));
        self
    }

    pub async fn create(self) -> User {
        let (idp, now) = (&self.idp, self.idp.now());
        let mut conn = idp.app.db.read().await.unwrap();
        let provider = store::providers::by_code(&mut conn, &self.code).await.unwrap().unwrap();
        drop(conn);
        let name = format!("{} Diallo", self.login_name);
        let user = NewUser {
            id: idp.app.random.id(now),
            login_name: LoginName::parse(&self.login_name).unwrap(),
            name: name.clone(),
            user_type: self.user_type,
            active: self.active,
            admin_locked: self.admin_locked,
            failures: self.failures,
            password_hash: operations::users::hash(&idp.app, &password_rules::prepare(PASSWORD).unwrap())
                .await
                .unwrap(),
            temporary_until: self.temporary_until,
            claims: "{}".into(),
            external_id: None,
        };
        let id = user.id.clone();
        assert!(in_tx!(idp, [provider, user], |tx| store::users::insert(tx, &provider, &user, now).await));
        User {
            id,
            provider_id: provider.id,
            provider_code: provider.code,
            login_name: self.login_name,
            name,
            password: PASSWORD.into(),
        }
    }
}
