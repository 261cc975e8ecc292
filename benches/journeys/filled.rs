//! Databases that hold much before anything is measured: `--full`. PostgreSQL makes the rows; each database that is
//! measured begins as a copy of them.

use std::path::Path;

use connect_idp::app::{App, Opening};
use connect_idp::config::Config;
use connect_idp::operations::activity::chain::{From, seal};
use connect_idp::time::Clock;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::database::{Database, Engine, psql};
use crate::filling::{Size, fill};
use crate::options::Options;
use crate::service::Service;

/// The number of rows that go over at once.
const BATCH: usize = 2_000;
/// What the program sealed under a key that is the source's alone, and makes itself.
const ITS_OWN: &str = "'_sqlx_migrations', 'settings', 'signing_keys'";

/// What only lists show, and jobs and handoffs would trip over; and what the program sealed.
const NOT_MEASURED: &str = "DROP SCHEMA bench CASCADE; DELETE FROM logout_deliveries WHERE state = 'waiting'; \
                            DELETE FROM issuers; DELETE FROM settings; DELETE FROM signing_keys;";

/// The rows.
pub struct Filled {
    source: Database,
    size: Size,
    sessions: i64,
}

impl Filled {
    pub fn make(server: &str, options: &Options, password_hash: &str) -> Self {
        let Options { size, sessions, .. } = options;
        let source = Engine::Postgres(server.to_owned()).create(Path::new(""), None);
        let service = Service::new(&options.program, |_| source.url());
        service.prepare();
        block_on(async {
            let mut connection = PgConnection::connect(&source.url()).await.unwrap();
            fill(&mut connection, size, *sessions, password_hash, Clock::System.now()).await;
        });
        psql(&source.url(), NOT_MEASURED).unwrap();
        Self { source, size: size.clone(), sessions: *sessions }
    }

    /// Puts them into a service's own database, unless that is a copy of the source already.
    pub fn copy(&self, engine: &Engine, service: &Service) {
        if let Engine::Sqlite = engine {
            block_on(self.to_sqlite(&service.database));
        }
        // Records of the past, which the service would seal meanwhile.
        let mut config = Config { issuer: format!("http://localhost:{}", service.port), ..Config::default() };
        config.database.url.clone_from(&service.database);
        config.keys.dir = service.folder().join("keys");
        block_on(async {
            let app = App::open(config, Opening::Migrate).await.unwrap();
            let sealed = seal(&app, From::TheBeginning, usize::MAX).await.unwrap();
            eprintln!("{}: {} records are sealed", engine.name(), sealed.count);
        });
    }

    /// Providers, users, records, sessions.
    pub fn numbers(&self) -> [i64; 4] {
        [self.size.providers, self.size.users, self.size.records, self.sessions]
    }

    /// What PostgreSQL copies a database from.
    pub fn template(&self) -> Option<&str> {
        self.source.name()
    }

    async fn to_sqlite(&self, url: &str) {
        let mut from = PgConnection::connect(&self.source.url()).await.unwrap();
        let to = rusqlite::Connection::open(connect_idp::store::Database::sqlite_file(url).unwrap()).unwrap();
        to.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;").unwrap();
        let tables = format!(
            "SELECT table_name::TEXT, string_agg('\"' || column_name || '\"', ', ' ORDER BY ordinal_position), COUNT(*) \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT IN ({ITS_OWN}) GROUP BY table_name"
        );
        let tables: Vec<(String, String, i64)> =
            sqlx::query_as(AssertSqlSafe(tables)).fetch_all(&mut from).await.unwrap();
        for (table, columns, count) in tables {
            copy_table(&mut from, &to, &table, &columns, count).await;
        }
        to.execute_batch("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    }
}

/// As JSON arrays, which both engines know.
async fn copy_table(from: &mut PgConnection, to: &rusqlite::Connection, table: &str, columns: &str, count: i64) {
    let values = (0..count).map(|at| format!("value ->> {at}")).collect::<Vec<_>>().join(", ");
    let insert = format!("INSERT INTO {table} ({columns}) SELECT {values} FROM json_each($1)");
    let select = format!("SELECT json_build_array({columns})::TEXT FROM {table}");
    to.execute_batch(&format!("BEGIN; DELETE FROM {table};")).unwrap();
    let (mut rows, mut done) =
        (sqlx::query_scalar::<_, String>(AssertSqlSafe(select)).fetch(from).try_chunks(BATCH), 0);
    while let Some(batch) = rows.try_next().await.unwrap() {
        done += batch.len();
        let batch = format!("[{}]", batch.join(","));
        to.execute(&insert, [batch]).unwrap();
    }
    to.execute_batch("COMMIT").unwrap();
    if done > 0 {
        eprintln!("SQLite: {done} rows of {table}");
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}
