//! `/admin/activity`: the record of the provider, filtered, newest first; and the same as a file (A2).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::operations::activity_file::{Line, MEMBERS};
use crate::operations::csv_file;
use crate::store::activity::{self, Found, Record, Wanted};
use crate::web::admin::{ProviderAdmin, checked};
use crate::web::download;
use crate::web::error::PageError;
use crate::web::form::{Choice, Faults};
use crate::web::page::{Page, Shape, respond};
use crate::web::records::{Asked, RecordView, actor_for_provider};

const PATH: &str = "/admin/activity";
const ROWS: usize = 50;
/// How many records of a file are in memory at once.
const FILE_ROWS: i64 = 500;

#[derive(Template)]
#[template(path = "admin/activity.html")]
struct ActivityPage {
    page: Page,
    faults: Faults,
    asked: Asked,
    kinds: Vec<Choice>,
    outcomes: Vec<Choice>,
    login_types: Vec<Choice>,
    rows: Vec<RecordView>,
    zone: String,
    export: String,
    older: Option<String>,
    stopped: Option<String>,
    newest: Option<String>,
}

/// `GET /admin/activity`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, admin: ProviderAdmin, asked: Asked) -> Result<Response, PageError> {
    let (zone, mut faults) = (&admin.session.time_zone, Faults::default());
    let mut conn = app.db.read().await?;
    let wanted = asked.wanted(&mut conn, Some(admin.scope.provider_id()), zone, &mut faults).await?;
    let before = checked(&asked.before);
    // One more than is shown tells whether there is more.
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut found = if faults.is_empty() {
        activity::of_provider(&mut conn, &admin.scope, &wanted, before.as_deref(), limit).await?
    } else {
        Found::default()
    };
    drop(conn);
    let older = found.cut(ROWS);
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let template = ActivityPage {
        page: Page::of(&app, "User Activity", &admin.session),
        faults,
        kinds: asked.kinds(false),
        outcomes: asked.outcomes(),
        login_types: asked.login_types(),
        older: older.map(|place| asked.address(PATH, Some(&place))),
        stopped: found.stopped.map(|(_, at)| at.in_zone(zone)),
        newest: before.is_some().then(|| asked.address(PATH, None)),
        rows: found.records.into_iter().map(|record| RecordView::of(for_provider(record), zone)).collect(),
        zone: zone.clone(),
        export: asked.address("/admin/activity/export", None),
        asked,
    };
    Ok(respond(status, Shape::Inside, &template))
}

fn for_provider(mut record: Record) -> Record {
    record.actor = actor_for_provider(&record.actor).to_owned();
    record
}

/// `GET /admin/activity/export`: exactly what the filter of the page shows, all of it.
///
/// # Errors
/// When the filter makes no sense, or the database cannot be asked.
pub async fn export(app: App, admin: ProviderAdmin, asked: Asked) -> Result<Response, PageError> {
    let mut faults = Faults::default();
    let zone = &admin.session.time_zone;
    let wanted = asked.wanted(&mut app.db.read().await?, Some(admin.scope.provider_id()), zone, &mut faults).await?;
    if !faults.is_empty() {
        return Err(PageError::BadForm("The filter of the file makes no sense. Set it on the page of User Activity."));
    }
    let name = format!("activity-{}.csv", admin.session.provider_code);
    let scope = admin.scope;
    Ok(download::csv(&name, csv_file::line(MEMBERS), None, move |before: Option<String>| {
        let (app, scope, wanted): (App, _, Wanted) = (app.clone(), scope.clone(), wanted.clone());
        async move {
            let mut conn = app.db.read().await?;
            let found = activity::of_provider(&mut conn, &scope, &wanted, before.as_deref(), FILE_ROWS).await?;
            let place = found.place();
            let lines = found.records.into_iter().flat_map(|record| Line::of(&for_provider(record)).csv()).collect();
            Ok(place.map(|place| (lines, Some(place))))
        }
    }))
}
