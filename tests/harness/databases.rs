//! Databases of PostgreSQL, one for each test, on the server that `CONNECT_IDP_TEST_POSTGRES` names.

use connect_idp::time::{Clock, Random};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

use crate::needs::left_out;

/// The address of a superuser of that server; without it, what needs it is left out.
pub fn server() -> Option<String> {
    let server = std::env::var("CONNECT_IDP_TEST_POSTGRES").ok();
    if server.is_none() {
        left_out("a test on PostgreSQL");
    }
    server
}

/// Runs statements on a server.
///
/// # Errors
/// What the server says.
pub async fn run_on(server: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

/// An empty database, which goes with this.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    pub async fn create(server: &str) -> Self {
        let name = format!("connect_idp_test_{}", Random::System.id(Clock::System.now()).replace('-', "_"));
        run_on(server, format!("CREATE DATABASE {name}")).await.unwrap();
        Self { server: server.to_owned(), name }
    }

    pub fn url(&self) -> String {
        let mut url = Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.into()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(run_on(&server, sql)).ok()
        });
        // A database that stays is a nuisance, not a failure: its server may be gone already.
        let _ = dropped.join();
    }
}
