//! How the lists do with 10,000 providers, a million users and ten million records: `cargo bench --bench scale`. The
//! method is in benches/README.md.
//!
//! The service runs inside this process, without a network between: what is measured is its own time and PostgreSQL's.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "figures are printed, and a bench that fails may panic"
)]

mod database;
#[path = "../filling/mod.rs"]
mod filling;
mod lists;
mod record;
mod visitor;
mod year;

use std::time::Instant;

use clap::Parser;
use connect_idp::app::{App, Opening};
use connect_idp::config::Config;
use connect_idp::crypto::key_ring::KeyRing;
use connect_idp::model::password_rules;
use connect_idp::operations::activity::browse;
use connect_idp::time::{Clock, Random, Timestamp};

use database::Base;
use filling::{Size, fill};
use visitor::{PASSWORD, Visitor};

/// What is filled in, and how much.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    size: Size,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 30)]
    runs: usize,
    /// Leaves the database behind, and says its name.
    #[arg(long)]
    keep: bool,
    /// Measures on a database that an earlier run left behind, and leaves it behind.
    #[arg(long, value_name = "NAME")]
    reuse: Option<String>,
    /// What cargo adds automatically.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let options = Options::parse();
    let Ok(server) = std::env::var("CONNECT_IDP_TEST_POSTGRES") else {
        println!("nothing is measured: set CONNECT_IDP_TEST_POSTGRES to a superuser's address of a PostgreSQL server");
        return;
    };
    let base = match &options.reuse {
        Some(name) => Base::existing(&server, name),
        None => Base::create(&server).await,
    };
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { issuer: "https://connect.example.org".into(), ..Config::default() };
    config.database.url = base.url();
    config.keys.dir = folder.path().join("keys");
    config.password.memory_kib = 8;
    config.password.iterations = 1;
    config.throttle.enabled = false;
    KeyRing::load_or_create(&config.keys.dir, &Random::System).unwrap();
    if options.reuse.is_none() {
        let app = App::open(config.clone(), Opening::Migrate).await.unwrap();
        let password = password_rules::prepare(PASSWORD).unwrap();
        let hash = connect_idp::operations::users::hash(&app, &password).await.unwrap();
        fill(&mut base.connect().await, &options.size, 0, &hash, app.clock.now()).await;
    }
    base.forget_sealed().await;
    // The present of the data, however old they are.
    let clock = Clock::fixed(Timestamp(base.number("SELECT ends_at FROM bench.size").await));
    let app = App::open_with(config, Opening::Migrate, clock, Random::System).await.unwrap();
    println!("\n{}", base.text("SELECT version()").await);
    println!("{}", base.text(SIZE).await);
    print_load();
    let admin = Visitor::sign_in(&app, &base.text("SELECT bench.login_name(1)").await, &base.text(LARGEST).await).await;
    let operator = Visitor::sign_in(&app, "operator1", &app.config.operator_code).await;
    let started = Instant::now();
    browse::count_ahead(&app).await.unwrap();
    println!("counting 30 days of sign-ins, as the service does when it starts: {:.0?}", started.elapsed());
    lists::measure(&base, &admin, &operator, options.runs).await;
    year::measure(&base, &admin).await;
    record::measure(&app).await;
    print_load();
    drop(app);
    if options.reuse.is_none() && !options.keep {
        base.remove().await;
    } else {
        println!("\nleft behind: {0} (measure it again with --reuse {0})", base.name);
    }
}

/// Whatever else the machine does makes every figure worse.
fn print_load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("load of the machine: {}", load.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
}

/// The code of the provider with the most users.
const LARGEST: &str = "SELECT bench.code(1)";
const SIZE: &str = "SELECT providers || ' providers, ' || users || ' users, ' || records || ' records, ' || \
                    pg_size_pretty(pg_database_size(current_database())) FROM bench.size";
