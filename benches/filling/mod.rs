//! Fills a database of PostgreSQL: fill.sql in batches, with a progress bar on a terminal and plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Instant;

use clap::Args;
use connect_idp::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

/// The number of rows of one statement.
const BATCH: i64 = 50_000;

/// How much there is to be.
#[derive(Args, Clone)]
pub struct Size {
    /// Agencies; at least 20.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i64).range(20..))]
    pub providers: i64,
    /// Users of all of them; at least 20 for each, and a twentieth of them in one.
    #[arg(long, default_value_t = 1_000_000)]
    pub users: i64,
    /// Activity records of one year.
    #[arg(long, default_value_t = 10_000_000)]
    pub records: i64,
}

/// Fills a fresh database; everybody has the same password, and `sessions` are live, each with an app's tokens. Its
/// indices are made when the rows are there, which is much quicker.
pub async fn fill(c: &mut PgConnection, size: &Size, sessions: i64, password_hash: &str, now: Timestamp) {
    let started = Instant::now();
    run(c, include_str!("fill.sql")).await;
    // References and constraints hold by how the rows are made; what a crash would lose is made again.
    run(c, "SET session_replication_role = replica; SET jit = off; SET synchronous_commit = off;").await;
    run(c, "SET maintenance_work_mem = '512MB';").await;
    sqlx::query("INSERT INTO bench.size VALUES ($1, $2, $3, $4, $5)")
        .bind(size.providers)
        .bind(size.users)
        .bind(size.records)
        .bind(now.0)
        .bind(password_hash)
        .execute(&mut *c)
        .await
        .unwrap();
    let indices = drop_indices(c).await;
    rows(c, "providers", size.providers).await;
    rows(c, "users", size.users).await;
    rows(c, "activity", size.records).await;
    rows(c, "clients", 100).await;
    rows(c, "issuers", 5).await;
    rows(c, "operators", 3).await;
    rows(c, "sessions", sessions).await;
    let progress = Progress::new("indices", i64::try_from(indices.len()).unwrap());
    for (done, definition) in (1..).zip(indices) {
        run(c, &definition).await;
        progress.reached(done);
    }
    progress.over();
    // What autovacuum does for a database that grows over a year.
    run(c, "VACUUM (ANALYZE)").await;
    println!("filled in {:.0} s", started.elapsed().as_secs_f64());
}

/// Drops the indices of the large tables that no constraint needs; their definitions.
async fn drop_indices(c: &mut PgConnection) -> Vec<String> {
    const FIND: &str = "SELECT i.indexrelid::REGCLASS::TEXT, pg_get_indexdef(i.indexrelid) FROM pg_index i \
                        WHERE i.indrelid IN ('activity'::REGCLASS, 'users'::REGCLASS, 'strikes'::REGCLASS, \
                        'sessions'::REGCLASS, 'families'::REGCLASS, 'access_tokens'::REGCLASS) \
                        AND NOT EXISTS (SELECT 1 FROM pg_constraint x WHERE x.conindid = i.indexrelid)";
    let found: Vec<(String, String)> = sqlx::query_as(FIND).fetch_all(&mut *c).await.unwrap();
    let mut definitions = Vec::new();
    for (name, definition) in found {
        run(c, &format!("DROP INDEX {name}")).await;
        definitions.push(definition);
    }
    definitions
}

async fn rows(c: &mut PgConnection, what: &'static str, count: i64) {
    let progress = Progress::new(what, count);
    let mut done = 0;
    while done < count {
        let last = count.min(done + BATCH);
        run(c, &format!("SELECT bench.fill_{what}({}, {last})", done + 1)).await;
        done = last;
        progress.reached(done);
    }
    progress.over();
}

/// How far a long work has come: a bar on a terminal, a line at every tenth elsewhere.
struct Progress {
    what: &'static str,
    count: i64,
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Progress {
    fn new(what: &'static str, count: i64) -> Self {
        const TEMPLATE: &str = "{prefix:>12} [{bar:40}] {human_pos}/{human_len} {per_sec}, {eta} left";
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE).unwrap();
            ProgressBar::new(count.unsigned_abs()).with_style(style).with_prefix(what)
        });
        Self { what, count, bar, started: Instant::now() }
    }

    fn reached(&self, done: i64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done.unsigned_abs());
        } else if done / (self.count / 10).max(BATCH) > (done - BATCH.min(done)) / (self.count / 10).max(BATCH) {
            println!("{:>12}  {done} of {}, {:.0} s", self.what, self.count, self.started.elapsed().as_secs_f64());
        }
    }

    fn over(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        } else {
            println!("{:>12}  {} in {:.0} s", self.what, self.count, self.started.elapsed().as_secs_f64());
        }
    }
}

/// Runs statements whose answer says nothing.
pub async fn run(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}
