//! User Activity as both kinds of admin see it: a picture, a filter, a page of records, and the same as a file (A2).

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::chart::Chart;
use super::records::{ActivityFilter, Preset, RecordView};
use crate::app::App;
use crate::model::activity::{Kind, Outcome};
use crate::model::session::Session;
use crate::operations::activity::browse::{Listed, Reach, USUAL_DAYS};
use crate::operations::activity::export::{Line, MEMBERS};
use crate::operations::csv::file;
use crate::operations::refused_handoffs;
use crate::store::activity::{Record, Search};
use crate::store::users::NAMES;
use crate::store::{self, Conn};
use crate::time::{Timestamp, days};
use crate::web::download;
use crate::web::error::PageError;
use crate::web::form::{Choice, FieldErrors};
use crate::web::ids::checked;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

const ROWS: usize = NAMES;
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

    /// The picture of what a filter finds, where that can be sign-ins.
    async fn chart(
        &self,
        app: &App,
        conn: &mut Conn,
        search: &Search,
        now: Timestamp,
    ) -> Result<Option<Chart>, store::Error> {
        if search.kind.is_some_and(|kind| kind != Kind::SignIn) || search.outcome == Some(Outcome::Unfinished) {
            return Ok(None);
        }
        let today = days(None, now, &self.zone, 1).pop().map(|day| day.date).unwrap_or_default();
        let last = search.until.map_or(now, |until| Timestamp(until.0 - 1).min(now));
        let most = if search.since.is_some() { MOST_DAYS } else { USUAL_DAYS };
        let days = days(search.since, last, &self.zone, most);
        let counts = self.reach.sign_ins(app, conn, search, &days, now).await?;
        let cut = days.first().zip(search.since).is_some_and(|(first, since)| since < first.begins);
        Ok(Some(Chart::of(&days, &counts, cut, &today)))
    }

    /// Records as rows, with the names of the people as they are now, and links to what there is.
    async fn rows(&self, conn: &mut Conn, records: Vec<Record>) -> Result<Vec<RecordView>, store::Error> {
        let mut ids: Vec<_> = records.iter().filter_map(|record| record.user_id.as_deref()).collect();
        ids.sort_unstable();
        ids.dedup();
        let names: HashMap<_, _> =
            store::users::names(conn, self.reach.provider_id(), &ids).await?.into_iter().collect();
        let mut clients = HashMap::new();
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let person = record.user_id.as_ref().and_then(|id| names.get_key_value(id));
            let client = if self.own() { None } else { client_of(&record) };
            let client_address = match client {
                Some(client_id) if !clients.contains_key(&client_id) => {
                    let found = store::clients::by_client_id(conn, &client_id).await?;
                    let address = found.map(|client| format!("/operator/clients/{}", client.id));
                    clients.entry(client_id).or_insert(address).clone()
                }
                Some(client_id) => clients.get(&client_id).cloned().flatten(),
                None => None,
            };
            rows.push(RecordView {
                name: person.map(|(_, name)| name.clone()),
                who_address: person.and_then(|(id, _)| self.address_of(id, &record)),
                client_address,
                ..RecordView::of(record, &self.zone)
            });
        }
        Ok(rows)
    }

    /// Where more of a user stands: the user's page, or to the operator what the user did.
    fn address_of(&self, id: &str, record: &Record) -> Option<String> {
        if self.own() {
            return Some(format!("/admin/users/{id}"));
        }
        let (provider, user) = (record.provider_code.clone()?, record.login_name.clone()?);
        Some(ActivityFilter { provider, user, ..ActivityFilter::default() }.address(self.path, None))
    }
}

/// The client that a record is about, by the begin of its note.
fn client_of(record: &Record) -> Option<String> {
    let of_client = record.kind.as_str().starts_with("client_") && record.kind != Kind::ClientDeleted;
    let note = record.note.as_deref().filter(|_| of_client)?;
    let (client_id, _) = note.rsplit_once(": ").unwrap_or((note, ""));
    Some(client_id.to_owned())
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
    presets: Vec<Preset>,
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
            chart = place.chart(app, &mut conn, &search, arrival.now).await?;
        }
    }
    let rows = place.rows(&mut conn, listed.records).await?;
    drop(conn);
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
        rows,
        by_reference,
        presets: query.presets(place.path, &place.zone, arrival.now),
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
