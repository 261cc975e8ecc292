//! User Activity as both kinds of admin see it: a picture, a filter, a page of records, and the same as a file (A2).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::chart::Chart;
use super::records::{ActivityFilter, RecordView};
use crate::app::App;
use crate::model::session::Session;
use crate::operations::activity::browse::{Listed, Reach, USUAL_DAYS};
use crate::operations::activity::export::{Line, MEMBERS};
use crate::operations::csv::file;
use crate::operations::refused_handoffs;
use crate::store::activity::Search;
use crate::store::{self, Conn};
use crate::time::{Timestamp, days};
use crate::web::download;
use crate::web::error::PageError;
use crate::web::form::{Choice, FieldErrors};
use crate::web::ids::checked;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

const ROWS: usize = 50;
/// How many records of a file are in memory at once.
const FILE_ROWS: i64 = 500;
/// As many days are in the picture at most, whatever the filter says.
const MOST_DAYS: usize = 92;

/// Where the record is read, and by whom.
#[derive(Clone, Debug)]
pub struct Place {
    /// The page's title.
    pub title: &'static str,
    /// The page's path; the file's is one step further.
    pub path: &'static str,
    /// How far the look goes.
    pub reach: Reach,
    /// The time zone of days and times.
    pub zone: String,
}

impl Place {
    const fn own(&self) -> bool {
        matches!(self.reach, Reach::Own(_))
    }

    async fn chart(&self, app: &App, conn: &mut Conn, search: &Search, now: Timestamp) -> Result<Chart, store::Error> {
        let last = search.until.map_or(now, |until| Timestamp(until.0 - 1).min(now));
        let most = if search.since.is_some() { MOST_DAYS } else { USUAL_DAYS };
        let days = days(search.since, last, &self.zone, most);
        let counts = self.reach.sign_ins(app, conn, &days, now).await?;
        let cut = days.first().zip(search.since).is_some_and(|(first, since)| since < first.begins);
        Ok(Chart::of(&days, &counts, cut))
    }
}

#[derive(Template)]
#[template(path = "console/activity/page.html")]
struct ActivityPage {
    page: Page,
    faults: FieldErrors,
    query: ActivityFilter,
    kinds: Vec<Choice>,
    outcomes: Vec<Choice>,
    login_types: Vec<Choice>,
    chart: Option<Chart>,
    rows: Vec<RecordView>,
    by_reference: bool,
    place: Place,
    export: String,
    older: Option<String>,
    stopped: Option<String>,
    newest: Option<String>,
}

/// A page of the record. What is wrong with the place is among the faults already.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(
    app: &App,
    arrival: &Arrival,
    session: &Session,
    place: Place,
    query: ActivityFilter,
    mut faults: FieldErrors,
) -> Result<Response, PageError> {
    let by_reference = !query.reference.is_empty() && faults.is_empty();
    let mut conn = refused_handoffs::reader(app, by_reference).await?;
    let search = query.search(&mut conn, place.reach.provider_id(), &place.zone, &mut faults).await?;
    let before = checked(&query.before);
    let (mut listed, mut chart) = (Listed::default(), None);
    if faults.is_empty() {
        listed = place.reach.list(&mut conn, &search, before.as_deref(), ROWS).await?;
        if before.is_none() && !by_reference {
            chart = Some(place.chart(app, &mut conn, &search, arrival.now).await?);
        }
    }
    drop(conn);
    let view = if by_reference { RecordView::with_cure } else { RecordView::of };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let template = ActivityPage {
        page: Page::of(app, place.title, session),
        faults,
        kinds: query.kinds(!place.own()),
        outcomes: query.outcomes(),
        login_types: query.login_types(),
        chart,
        older: listed.next.map(|older| query.address(place.path, Some(&older))),
        stopped: listed.stopped.map(|at| at.in_zone(&place.zone)),
        newest: before.is_some().then(|| query.address(place.path, None)),
        rows: listed.records.into_iter().map(|record| view(record, &place.zone)).collect(),
        by_reference,
        export: query.address(&format!("{}/export", place.path), None),
        place,
        query,
    };
    Ok(respond(status, Shape::Inside, &template))
}

/// A file of exactly what the filter of the page shows, all of it.
///
/// # Errors
/// When the filter makes no sense, or the database cannot be asked.
pub async fn file(
    app: &App,
    name: &str,
    place: Place,
    query: &ActivityFilter,
    mut faults: FieldErrors,
) -> Result<Response, PageError> {
    let mut conn = refused_handoffs::reader(app, !query.reference.is_empty()).await?;
    let search = query.search(&mut conn, place.reach.provider_id(), &place.zone, &mut faults).await?;
    drop(conn);
    if !faults.is_empty() {
        return Err(PageError::BadForm("The filter of the file makes no sense. Set it on the page of the activity."));
    }
    let app = app.clone();
    Ok(download::csv(name, file::Head::of(MEMBERS), None, move |before: Option<String>| {
        let (app, place, search) = (app.clone(), place.clone(), search.clone());
        async move {
            let mut conn = app.db.read_much().await?;
            let found = place.reach.page(&mut conn, &search, before.as_deref(), FILE_ROWS).await?;
            let lines = found.records.iter().flat_map(|record| Line::of(record).csv()).collect();
            Ok(found.cursor().map(|next| (lines, Some(next))))
        }
    }))
}
