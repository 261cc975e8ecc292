//! Fills the database: fill.sql in batches, with a progress bar on a terminal and plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Instant;

use connect_idp::app::App;
use connect_idp::model::password_rules;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgConnection;

use crate::Options;
use crate::database::{Base, run};
use crate::visitor::PASSWORD;

/// So many rows are one statement.
const BATCH: i64 = 50_000;

/// Fills a fresh database. Its indices are made when the rows are there, which is much quicker.
pub async fn fill(app: &App, base: &Base, options: &Options) {
    let started = Instant::now();
    let hash = connect_idp::operations::users::hash(app, &password_rules::prepare(PASSWORD).unwrap()).await.unwrap();
    let mut connection = base.connect().await;
    let c = &mut connection;
    run(c, include_str!("fill.sql")).await;
    // References and constraints hold by how the rows are made; what a crash would lose is made again.
    run(c, "SET session_replication_role = replica; SET jit = off; SET synchronous_commit = off;").await;
    run(c, "SET maintenance_work_mem = '512MB';").await;
    sqlx::query("INSERT INTO bench.size VALUES ($1, $2, $3, $4, $5)")
        .bind(options.providers)
        .bind(options.users)
        .bind(options.records)
        .bind(app.clock.now().0)
        .bind(hash)
        .execute(&mut *c)
        .await
        .unwrap();
    let indices = drop_indices(c).await;
    rows(c, "providers", options.providers).await;
    rows(c, "users", options.users).await;
    rows(c, "activity", options.records).await;
    rows(c, "clients", 100).await;
    rows(c, "issuers", 5).await;
    rows(c, "operators", 3).await;
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
                        WHERE i.indrelid IN ('activity'::REGCLASS, 'users'::REGCLASS, 'strikes'::REGCLASS) \
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
