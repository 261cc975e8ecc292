//! Health and metrics, on the internal listener alone.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;

use super::scrape;
use crate::app::App;
use crate::operations::keys::in_use;
use crate::store::{self, in_transaction};
use crate::time::Deadline;

/// A replica further off the database's clock than this is not ready: its deadlines would lie.
const MAX_CLOCK_OFFSET_MS: i64 = 2000;
/// How long the database may take to answer who asks whether we are ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long is taken on top of it to learn why it did not.
const TO_LEARN_WHY: Duration = Duration::from_secs(1);

/// The internal routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape::get))
}

async fn ready(app: App) -> impl IntoResponse {
    match is_ready(&app).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

/// Whether this replica can do its work (G33): it is not about to stop, its clock is right, it signs with every
/// published algorithm, and the database takes its writes.
async fn is_ready(app: &App) -> Result<(), String> {
    if app.is_draining() {
        return Err("it stops".into());
    }
    clock_is_right(app).await?;
    let now = app.clock.now();
    in_time(app, in_use::prove(app, now)).await?;
    let id = app.random.id(now);
    let written = async {
        let deadline = Deadline::after(PATIENCE, now);
        let done = in_transaction!(app.db, deadline, [id], |tx| store::settings::prove_write(tx, &id).await);
        done.map_err(|error| format!("the database cannot be written to: {error}"))
    };
    in_time(app, written).await
}

/// Whether the database answers, and its clock is ours.
///
/// # Errors
/// What is wrong, in words.
pub async fn clock_is_right(app: &App) -> Result<(), String> {
    in_time(app, ask(app)).await
}

/// What is found, or why nothing is found in time.
async fn in_time(app: &App, asked: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    if let Ok(found) = tokio::time::timeout(PATIENCE, asked).await {
        return found;
    }
    let why = tokio::time::timeout(TO_LEARN_WHY, app.db.diagnose()).await;
    why.unwrap_or(Ok(())).and(Err("the database does not answer in time".into()))
}

async fn ask(app: &App) -> Result<(), String> {
    let asked_at = app.clock.now();
    let theirs = app.db.clock().await.map_err(|error| error.to_string())?;
    // The answer may have waited for a connection: theirs was read at some moment between these two.
    let answered_at = app.clock.now();
    app.metrics.clock_is_off(offset(asked_at.0, theirs.unwrap_or(asked_at.0), answered_at.0));
    match theirs {
        Some(theirs) if app.find_clock_wrong(is_off(asked_at.0, theirs, answered_at.0)) => {
            let (ahead, off) = (asked_at.0 > theirs, asked_at.0.abs_diff(theirs));
            Err(format!("our clock is {off} ms {} the database's", if ahead { "ahead of" } else { "behind" }))
        }
        Some(_) => Ok(()),
        None => app.db.ping().await.map_err(|error| error.to_string()),
    }
}

const fn is_off(asked_at: i64, theirs: i64, answered_at: i64) -> bool {
    offset(asked_at, theirs, answered_at).unsigned_abs() > MAX_CLOCK_OFFSET_MS.unsigned_abs()
}

/// How far our clock is ahead, or behind where that is negative, whenever between the two theirs was read.
const fn offset(asked_at: i64, theirs: i64, answered_at: i64) -> i64 {
    if theirs < asked_at {
        asked_at - theirs
    } else if theirs > answered_at {
        answered_at - theirs
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_the_answer_is_no_fault_of_the_clock() {
        assert!(!is_off(10_000, 10_000, 10_000) && !is_off(10_000, 8_000, 10_000) && !is_off(10_000, 12_000, 10_000));
        assert!(!is_off(10_000, 13_900, 12_000), "asked early, answered late");
        assert!(is_off(10_000, 7_999, 12_000) && is_off(10_000, 14_001, 12_000));
        assert_eq!([9_000, 10_000, 11_000, 12_500].map(|theirs| offset(10_000, theirs, 12_000)), [1000, 0, 0, -500]);
    }
}
