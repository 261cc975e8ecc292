//! What every fault test needs: the engines, patience with bounds, users.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use connect_idp::crypto::password::{Cost, HashPool, PoolLimits};
use connect_idp::time::Random;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::databases;

pub const PROVIDER: &str = "SUNRISE-IL";
pub const PASSWORD: &str = "Correct-Horse-9";
/// So cheap that a storm of logins strains the database and not the hash pool.
pub const CHEAP: Cost = Cost { memory_kib: 8, iterations: 1, parallelism: 1 };
/// What `serve` does by default.
pub const DEFAULT: Cost = Cost { memory_kib: 19_456, iterations: 2, parallelism: 1 };

/// One claim as a test on each engine: `claim::sqlite`, `claim::postgres`.
macro_rules! on_engines {
    ($claim:ident: $($engine:ident),+) => {
        mod $claim {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $engine() {
                if let Some(engine) = $crate::support::Engine::$engine() {
                    super::$claim(engine).await;
                }
            })+
        }
    };
}

/// Where the truth is kept.
#[derive(Clone, Debug)]
pub enum Engine {
    Sqlite,
    /// The address of a superuser of a private cluster.
    Postgres(String),
}

impl Engine {
    #[expect(clippy::unnecessary_wraps, reason = "as its sister, which may not be there")]
    pub fn sqlite() -> Option<Self> {
        Some(Self::Sqlite)
    }

    pub fn postgres() -> Option<Self> {
        databases::server().map(Self::Postgres)
    }
}

/// Asks until the answer is yes, and fails when it is not by then.
pub async fn eventually(what: &str, within: Duration, mut asked: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + within;
    while !asked().await {
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        sleep(Duration::from_millis(25)).await;
    }
}

/// The PHC string of [`PASSWORD`].
pub async fn hash(cost: Cost) -> String {
    let limits = PoolLimits { threads: 1, queue: 1, patience: Duration::from_mins(1) };
    let pool = HashPool::start(cost, limits, Random::System).unwrap();
    pool.hash(Zeroizing::new(PASSWORD.to_owned())).await.unwrap()
}

/// A program that nothing configures.
pub fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("CONNECT_IDP_"));
    for name in ours {
        command.env_remove(name);
    }
    command
}

pub fn user(login_name: &str, hash: &str) -> String {
    format!(
        "[[user]]\nprovider = \"{PROVIDER}\"\nlogin_name = \"{login_name}\"\nname = \"A User\"\npassword_hash = '{hash}'\ntemporary = false\n"
    )
}
