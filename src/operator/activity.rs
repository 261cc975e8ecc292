//! `/operator/activity`: the record across providers, filtered, newest first; and the same as a file.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::operations::activity_file::{Line, MEMBERS};
use crate::operations::csv_file;
use crate::store::activity::{self, Found as Matches, Wanted};
use crate::store::{self, Conn};
use crate::web::admin::{TherapAdmin, checked};
use crate::web::download;
use crate::web::error::PageError;
use crate::web::form::{Choice, Faults};
use crate::web::page::{Page, Shape, respond};
use crate::web::records::{Asked, RecordView};

const PATH: &str = "/operator/activity";
const ROWS: usize = 50;
/// How many records of a file are in memory at once.
const FILE_ROWS: i64 = 500;

#[derive(Template)]
#[template(path = "operator/activity.html")]
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

/// What is looked for: in one provider and its time zone, or in all and the operator's.
struct Found {
    provider_id: Option<String>,
    zone: String,
    wanted: Wanted,
}

async fn find(conn: &mut Conn, admin: &TherapAdmin, asked: &Asked, faults: &mut Faults) -> Result<Found, PageError> {
    let provider = match asked.provider.as_str() {
        "" => None,
        code => {
            let code: String = code.chars().filter(|c| !c.is_control()).collect();
            let found = store::providers::by_code(conn, &code).await?;
            if found.is_none() {
                faults.add("provider", "There is no provider of this code. Capital and small letters matter.");
            }
            found
        }
    };
    let (provider_id, zone) = match provider {
        Some(provider) => (Some(provider.id), provider.time_zone),
        None => (None, admin.session.time_zone.clone()),
    };
    let wanted = asked.wanted(conn, provider_id.as_deref(), &zone, faults).await?;
    if !asked.user.is_empty() && asked.provider.is_empty() {
        faults.add("user", "A Login Name is one of a provider: please give the Provider Code too.");
    }
    Ok(Found { provider_id, zone, wanted })
}

/// `GET /operator/activity`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, admin: TherapAdmin, asked: Asked) -> Result<Response, PageError> {
    let mut faults = Faults::default();
    let mut conn = app.db.read().await?;
    let found = find(&mut conn, &admin, &asked, &mut faults).await?;
    let before = checked(&asked.before);
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut matches = if faults.is_empty() {
        activity::of_all(&mut conn, found.provider_id.as_deref(), &found.wanted, before.as_deref(), limit).await?
    } else {
        Matches::default()
    };
    drop(conn);
    let older = matches.cut(ROWS);
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let template = ActivityPage {
        page: Page::of(&app, "Activity", &admin.session),
        faults,
        kinds: asked.kinds(true),
        outcomes: asked.outcomes(),
        login_types: asked.login_types(),
        older: older.map(|place| asked.address(PATH, Some(&place))),
        stopped: matches.stopped.map(|(_, at)| at.in_zone(&found.zone)),
        newest: before.is_some().then(|| asked.address(PATH, None)),
        rows: matches.records.into_iter().map(|record| RecordView::of(record, &found.zone)).collect(),
        zone: found.zone,
        export: asked.address("/operator/activity/export", None),
        asked,
    };
    Ok(respond(status, Shape::Inside, &template))
}

/// `GET /operator/activity/export`: exactly what the filter of the page shows, all of it.
///
/// # Errors
/// When the filter makes no sense, or the database cannot be asked.
pub async fn export(app: App, admin: TherapAdmin, asked: Asked) -> Result<Response, PageError> {
    let mut faults = Faults::default();
    let found = find(&mut app.db.read().await?, &admin, &asked, &mut faults).await?;
    if !faults.is_empty() {
        return Err(PageError::BadForm("The filter of the file makes no sense. Set it on the page of the activity."));
    }
    Ok(download::csv("activity.csv", csv_file::line(MEMBERS), None, move |before: Option<String>| {
        let (app, provider_id, wanted): (App, _, Wanted) =
            (app.clone(), found.provider_id.clone(), found.wanted.clone());
        async move {
            let mut conn = app.db.read().await?;
            let matches =
                activity::of_all(&mut conn, provider_id.as_deref(), &wanted, before.as_deref(), FILE_ROWS).await?;
            let place = matches.place();
            let lines = matches.records.iter().flat_map(|record| Line::of(record).csv()).collect();
            Ok(place.map(|place| (lines, Some(place))))
        }
    }))
}
