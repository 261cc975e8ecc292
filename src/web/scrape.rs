//! `GET /metrics`. What the database has to be asked for is asked at most every few seconds and waited for a moment
//! only: a scrape never hangs, and never fails because the database does.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::metrics::Found;
use crate::metrics::text::Format;
use crate::model::header_text;
use crate::operations::keys::rotation;
use crate::store::{self, statistics};
use crate::time::Timestamp;

/// What the database said stands so long.
const FRESH: Duration = Duration::from_secs(5);
/// How long it is waited for, and whoever else is waiting for it: less than Prometheus waits for us.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(3);

/// `GET /metrics`
pub async fn get(app: App, headers: HeaderMap) -> impl IntoResponse {
    // Who came first may be waiting for the database: what it said before is good enough then.
    let _ = timeout(PATIENCE_WITH_OTHERS, gather(&app)).await;
    let redis_is_used = app.redis.as_ref().is_some_and(|redis| redis.is_used());
    app.metrics.sample(app.hashes.pool().load(), app.db.connections(), redis_is_used);
    let accepted: Vec<_> = headers.get_all(header::ACCEPT).iter().map(header_text::lossy).collect();
    let format = Format::accepted(&accepted.join(","));
    ([(header::CONTENT_TYPE, format.content_type())], app.metrics.text(format))
}

async fn gather(app: &App) {
    let site = &app.metrics.site;
    let mut asked_at = site.asked_at.lock().await;
    if asked_at.is_some_and(|at| at.elapsed() < FRESH) {
        return;
    }
    let now = app.clock.now();
    let found = match timeout(PATIENCE, ask(app, now)).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!("a scrape tells what was known before: {error}");
            None
        }
        Err(_) => {
            tracing::warn!("a scrape tells what was known before: the database does not answer in time");
            None
        }
    };
    site.found(found, now);
    *asked_at = Some(Instant::now());
}

async fn ask(app: &App, now: Timestamp) -> Result<Found, store::Error> {
    let schema = app.db.schema_steps().await?.last().copied().unwrap_or(0);
    let mut conn = app.db.read().await?;
    let logouts = statistics::logouts_waiting(&mut conn, now).await?;
    let mails = statistics::mails_waiting(&mut conn).await?;
    let keys_expire = rotation::first_expiry(app, &mut conn, now).await?;
    Ok(Found { logouts, mails, keys_expire, schema })
}
