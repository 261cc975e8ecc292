//! The machines: three replicas behind HAProxy, a PostgreSQL with a standby behind another HAProxy, a Redis.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::databases::run_on;
use crate::haproxy::{self, ALL, RETRY};
use crate::needs::named;
use crate::proxy::Proxy;
use crate::redis_server::RedisServer;
use crate::relying_parties::client;
use crate::servers::{Postgres, Server, folder};
use crate::setup::{Service, Setup};
use crate::support::{CHEAP, Engine, eventually, hash, user};
use crate::visitors::Visitors;

pub const USERS: usize = 60;
/// The number that are guessed at, three times each; a check unlocks those who have been locked the longest.
const GUESSED: usize = 300;
const REPLICAS: usize = 3;
/// How soon everything is there again that was taken away.
const BACK: Duration = Duration::from_secs(30);

/// An app without a secret, whose refresh tokens change with each use.
const PHONE: &str = "[[client]]\nclient_id = \"phone\"\nredirect_uris = [\"http://127.0.0.1:9/callback\"]\nfirst_party = true\n\
                     token_endpoint_auth_method = \"none\"\ngrant_types = [\"authorization_code\", \"refresh_token\"]\n\
                     scope = \"openid profile offline_access\"\n";

/// For the crowd: short enough for its checks, long enough for a day of faults.
pub const SETTINGS: &str = "[handoff]\ntimeout_seconds = 5\n[tokens]\naccess_minutes = 1\nid_token_minutes = 1\n\
                            [session]\nabsolute_hours = 168\n";

/// The login names of those who are guessed at.
pub fn guessed() -> impl Iterator<Item = String> {
    (0..GUESSED).map(|number| format!("guessed{number}"))
}

/// Whom the crowd needs, beside the other users.
pub async fn seed() -> String {
    let hash = hash(CHEAP).await;
    let guessed = guessed().map(|name| user(&name, &hash));
    guessed.collect::<String>() + PHONE + &client("")
}

/// Programs that the stand is made of, and that not every machine has.
pub struct Programs {
    postgres: PathBuf,
    haproxy: PathBuf,
    pub faketime: PathBuf,
}

impl Programs {
    pub fn find() -> Option<Self> {
        named("CONNECT_IDP_TEST_REDIS_SERVER")?;
        Some(Self {
            postgres: named("CONNECT_IDP_TEST_POSTGRES_PROGRAMS")?,
            haproxy: named("CONNECT_IDP_TEST_HAPROXY")?,
            faketime: named("CONNECT_IDP_TEST_FAKETIME")?,
        })
    }
}

/// See the head of this file.
pub struct Stand {
    pub replicas: Vec<Service>,
    pub setup: Arc<Setup>,
    /// The replicas' way to the database.
    pub way: Proxy,
    pub redis: RedisServer,
    pub primary: Postgres,
    standby: Postgres,
    pub programs: Programs,
    front: Server,
    _database: Server,
    folders: usize,
    folder: TempDir,
}

impl Stand {
    pub async fn start(programs: Programs) -> Self {
        let folder = folder();
        let primary = Postgres::first(&programs.postgres, folder.path()).await;
        let standby = primary.standby(folder.path()).await;
        // What is acknowledged is on both from here on: else a fail-over may lose the last commits.
        primary.wait_for_standby().await;
        let ports = [primary.server.port, standby.server.port];
        let database = haproxy::before_databases(&programs.haproxy, folder.path(), ports).await;
        let cluster = format!("postgres://postgres@127.0.0.1:{}/postgres", database.port);
        writes(&cluster).await;
        let redis = RedisServer::start().unwrap();

        let setup = Setup::new(Engine::Postgres(cluster), USERS, CHEAP, SETTINGS).await;
        setup.apply(&seed().await);
        let way = Proxy::start(&setup.database).await;
        let settings = settings_of(&way, &redis);
        let settings = borrowed(&settings);
        let mut replicas = vec![setup.serve_with(&settings).await];
        for _ in 1..REPLICAS {
            replicas.push(setup.serve_too_with(&settings).await);
        }
        let all: Vec<_> = replicas.iter().collect();
        let front = haproxy::before_replicas(&programs.haproxy, folder.path(), &all, RETRY).await;
        let setup = Arc::new(setup);
        let stand = Self {
            replicas,
            setup,
            way,
            redis,
            primary,
            standby,
            programs,
            front,
            _database: database,
            folders: 0,
            folder,
        };
        stand.all_there().await;
        stand
    }

    /// People who come through HAProxy.
    pub fn visitors(&self) -> Visitors {
        Visitors::new(&format!("http://127.0.0.1:{}", self.front.port), &self.setup.issuer)
    }

    /// HAProxy sends requests to all replicas.
    pub async fn all_there(&self) {
        let (visitors, all) = (self.visitors(), format!("http://127.0.0.1:{}{ALL}", self.front.port));
        eventually("all replicas are there", BACK, async || visitors.status(&all).await == Some(200)).await;
    }

    /// Starts a replica in the place of one that ended, with further variables.
    pub fn start_again(&mut self, replica: usize, further: &[(&str, &str)]) {
        let settings = settings_of(&self.way, &self.redis);
        let settings = [borrowed(&settings).as_slice(), further].concat();
        let (setup, replicas) = (Arc::clone(&self.setup), &mut self.replicas);
        setup.start_again(&mut replicas[replica], &settings);
    }

    /// Ends a replica as who replaces it does, when what it has in hand is answered.
    pub async fn end(&mut self, replica: usize) {
        self.replicas[replica].terminate();
        assert_eq!(self.replicas[replica].ended(BACK).await.code(), Some(0));
    }

    /// The primary dies, its standby takes its place and gets a standby of its own.
    pub async fn fail_over(&mut self) {
        self.primary.server.kill();
        self.standby.run_sql("SELECT pg_promote(true)").await;
        std::mem::swap(&mut self.primary, &mut self.standby);
        self.standby.remove();
        self.folders += 1;
        let data = format!("data{}", self.folders);
        self.standby = self.primary.standby_at(self.folder.path(), &data, self.standby.server.port).await;
        self.primary.wait_for_standby().await;
    }
}

/// It takes a server for good until it has asked, and goes round.
async fn writes(cluster: &str) {
    let writes = async |_| run_on(cluster, "CREATE TEMPORARY TABLE t (a int)".into()).await.is_ok();
    let all_write = async || join_all((0..8).map(writes)).await.into_iter().all(|writes| writes);
    eventually("HAProxy has found the one that writes", BACK, all_write).await;
}

fn settings_of(way: &Proxy, redis: &RedisServer) -> Vec<(&'static str, String)> {
    vec![
        ("CONNECT_IDP__DATABASE__URL", way.url.clone()),
        ("CONNECT_IDP__REDIS__URL", redis.url()),
        // Redis holds the throttles' counts: on, and wide enough for us all.
        ("CONNECT_IDP__THROTTLE__ENABLED", "true".into()),
        ("CONNECT_IDP__THROTTLE__ADDRESS_PER_MINUTE", "1000000".into()),
        ("CONNECT_IDP__DRAIN_SECONDS", "2".into()),
    ]
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
