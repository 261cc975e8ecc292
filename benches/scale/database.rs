//! The database that is measured, beside the service: made, asked and removed.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::filling::run;

/// A database on a server.
pub struct Base {
    pub name: String,
    server: String,
}

impl Base {
    pub fn existing(server: &str, name: &str) -> Self {
        Self { name: name.into(), server: server.into() }
    }

    pub async fn create(server: &str) -> Self {
        let base = Self::existing(server, &format!("connect_idp_scale_{}", std::process::id()));
        base.on_server(&format!("CREATE DATABASE {}", base.name)).await;
        base
    }

    pub async fn remove(&self) {
        self.on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    pub fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.into()
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// One number out of it.
    pub async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.connect().await).await.unwrap()
    }

    /// One text out of it.
    pub async fn text(&self, sql: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.connect().await).await.unwrap()
    }

    /// Removes what an earlier run sealed: its key-encryption key is gone.
    pub async fn forget_sealed(&self) {
        run(&mut self.connect().await, "DELETE FROM settings; DELETE FROM signing_keys;").await;
    }

    async fn on_server(&self, sql: &str) {
        run(&mut PgConnection::connect(&self.server).await.unwrap(), sql).await;
    }
}
