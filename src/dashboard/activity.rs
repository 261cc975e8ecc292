//! `GET /activity`: my own activity, newest first (A2).

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::view::ActivityView;
use crate::app::App;
use crate::store;
use crate::web::error::PageError;
use crate::web::page::{Page, Shape, respond};
use crate::web::session::SignedIn;

const ROWS: usize = 25;

#[derive(Template)]
#[template(path = "dashboard/activity.html")]
struct ActivityPage {
    page: Page,
    rows: Vec<ActivityView>,
    zone: String,
    older: Option<String>,
    newest: Option<&'static str>,
}

/// The query: only what is older than this record.
#[derive(Debug, Default, Deserialize)]
pub struct MyActivityQuery {
    before: Option<String>,
}

/// `GET /activity`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, signed_in: SignedIn, Query(query): Query<MyActivityQuery>) -> Result<Response, PageError> {
    let session = &signed_in.session;
    let before = query.before.filter(|id| uuid::Uuid::parse_str(id).is_ok());
    // One more than is shown tells whether there is more.
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut records =
        store::activity::of_user(&mut app.db.read_much().await?, &session.user_id, before.as_deref(), limit).await?;
    let more = records.len() > ROWS;
    records.truncate(ROWS);
    let template = ActivityPage {
        page: Page::of(&app, "My activity", session),
        older: records.last().filter(|_| more).map(|last| format!("/activity?before={}", last.id)),
        newest: before.is_some().then_some("/activity"),
        rows: records.into_iter().map(|record| ActivityView::of(record, &session.time_zone)).collect(),
        zone: session.time_zone.clone(),
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}
