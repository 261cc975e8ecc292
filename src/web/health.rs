//! Health and metrics, on the internal listener alone.

use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::app::App;

/// A replica further off the database's clock than this is not ready: its deadlines would lie.
const MAX_CLOCK_OFFSET_MS: i64 = 2000;

/// The internal routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(app: App) -> impl IntoResponse {
    match clock_is_right(&app).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

/// Whether the database answers, and its clock is ours.
///
/// # Errors
/// What is wrong, in words.
pub async fn clock_is_right(app: &App) -> Result<(), String> {
    let asked = tokio::time::timeout(Duration::from_secs(2), ask(app)).await;
    asked.unwrap_or_else(|_| Err("the database does not answer".into()))
}

async fn ask(app: &App) -> Result<(), String> {
    let asked_at = app.clock.now();
    let theirs = app.db.clock().await.map_err(|error| error.to_string())?;
    match theirs {
        Some(theirs) if (theirs - asked_at.0).abs() > MAX_CLOCK_OFFSET_MS => {
            Err(format!("our clock is {} ms off the database's", theirs - asked_at.0))
        }
        Some(_) => Ok(()),
        None => app.db.ping().await.map_err(|error| error.to_string()),
    }
}

async fn metrics(app: App) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics.text())
}
