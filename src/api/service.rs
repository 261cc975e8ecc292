//! What an operator's programs watch: sign-ins by hour, refusals, logouts that apps have not taken.

use std::time::Duration;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Everywhere, ReadActivity, ReadClients};
use super::extract::Page;
use super::problem::Problem;
use crate::app::App;
use crate::store::statistics::{self, Failing, Hour, Refused};
use crate::store::unified_login;
use crate::time::Timestamp;

/// How far back the numbers go.
const SPAN: Duration = Duration::from_hours(24);

/// The last 24 hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statistics {
    /// Sign-in attempts by hour, sign-in method and outcome; what did not occur is left out.
    hours: Vec<HourView>,
    /// Refusals by sign-in method and reason.
    refusals: Vec<RefusalView>,
    /// Requests for Unified Login that wait.
    #[schema(minimum = 0)]
    waiting_requests: i64,
    /// Undelivered logouts yet.
    #[schema(minimum = 0)]
    failing_logouts: i64,
    /// Undelivered logouts, and that are not tried any more.
    #[schema(minimum = 0)]
    abandoned_logouts: i64,
}

/// A count of one hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HourCount)]
pub struct HourView {
    /// When the hour began.
    #[schema(format = DateTime)]
    hour: String,
    /// `Direct Login` or `Unified Login`.
    login_type: String,
    /// `success`, `refused` or `unfinished`.
    outcome: String,
    /// How many.
    #[schema(minimum = 0)]
    count: i64,
}

/// A count of one reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusalCount)]
pub struct RefusalView {
    /// `Direct Login` or `Unified Login`.
    login_type: String,
    /// The true reason.
    reason: String,
    /// How many.
    #[schema(minimum = 0)]
    count: i64,
}

fn hour_view(hour: Hour) -> HourView {
    const HOUR_MS: i64 = 3_600_000;
    HourView {
        hour: Timestamp(hour.hour * HOUR_MS).rfc3339(),
        login_type: hour.login_type,
        outcome: hour.outcome,
        count: hour.count,
    }
}

fn refusal_view(row: Refused) -> RefusalView {
    RefusalView { login_type: row.login_type, reason: row.reason, count: row.count }
}

/// Show the numbers of the last 24 hours
#[utoipa::path(get, operation_id = "getStatistics", path = "/api/v1/statistics", tag = "Service", security(("oauth2" = ["activity.read"])),
    responses((status = 200, description = "The numbers", body = Statistics)))]
pub async fn statistics(app: App, program: Everywhere<ReadActivity>) -> Result<Json<Statistics>, Problem> {
    let since = program.caller.now().before(SPAN);
    let mut conn = app.db.read().await?;
    let (failing_logouts, abandoned_logouts) = statistics::failing_deliveries(&mut conn, since).await?;
    Ok(Json(Statistics {
        hours: statistics::hours(&mut conn, since).await?.into_iter().map(hour_view).collect(),
        refusals: statistics::refusals(&mut conn, since).await?.into_iter().map(refusal_view).collect(),
        waiting_requests: unified_login::count_waiting(&mut conn).await?,
        failing_logouts,
        abandoned_logouts,
    }))
}

/// The undelivered logouts of one client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailingLogouts)]
pub struct FailingView {
    /// The client.
    client_id: String,
    /// Tried, and to be tried again.
    #[schema(minimum = 0)]
    waiting: i64,
    /// Not tried any more.
    #[schema(minimum = 0)]
    abandoned: i64,
    /// What went wrong last.
    last_error: String,
}

fn failing_view(row: Failing) -> FailingView {
    FailingView { client_id: row.client_id, waiting: row.waiting, abandoned: row.given_up, last_error: row.last_error }
}

/// List the clients with undelivered logouts, those with the most first; at most 100
#[utoipa::path(get, operation_id = "listFailingLogouts", path = "/api/v1/deliveries", tag = "Service", security(("oauth2" = ["clients.read"])),
    responses((status = 200, description = "Clients and numbers", body = Page<FailingView>)))]
pub async fn deliveries(app: App, _program: Everywhere<ReadClients>) -> Result<Json<Page<FailingView>>, Problem> {
    let rows = statistics::failing_by_client(&mut app.db.read().await?, None).await?;
    Ok(Json(Page { items: rows.into_iter().map(failing_view).collect(), next: None }))
}
