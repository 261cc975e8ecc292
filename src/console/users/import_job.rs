//! `/admin/users/import/{id}`: an import that was begun, for who began it: how far it is, and then its report with the
//! temporary passwords, which can be opened again for a day.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::operations::users::import_job::{self, Owner, Report, ReportedRow, RowResult};
use crate::store::users::imports::{Import, ImportState};
use crate::time::Timestamp;
use crate::web::download;
use crate::web::error::PageError;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

/// Who may open what this admin begins.
pub(super) fn owner(admin: &ProviderAdmin) -> Owner {
    Owner::user(&admin.session.user_id)
}

/// Where an import is shown.
pub(super) fn address(id: &str) -> String {
    format!("/admin/users/import/{id}")
}

/// An import in a line.
pub(super) struct JobView {
    /// Where it is shown.
    pub address: String,
    /// When it was begun.
    pub at: String,
    /// How it stands.
    pub state: &'static str,
    /// Rows that have their result.
    pub done: i64,
    /// Rows of the file.
    pub total: i64,
    /// Until when it can be opened.
    pub until: String,
}

impl JobView {
    /// As it stands at a moment.
    pub fn of(import: &Import, now: Timestamp, zone: &str) -> Self {
        Self {
            address: address(&import.id),
            at: Timestamp(import.created_at).in_zone(zone),
            state: match import.state_at(now) {
                ImportState::Running => "Running",
                ImportState::Done => "Done",
                ImportState::NoAuthority
                | ImportState::Fault
                | ImportState::NoRoom
                | ImportState::Stopped
                | ImportState::Interrupted => "Stopped early",
            },
            done: import.rows_done,
            total: import.rows_total,
            until: Timestamp(import.expires_at).in_zone(zone),
        }
    }
}

#[derive(Template)]
#[template(path = "console/users/import_running.html")]
struct RunningPage {
    page: Page,
    job: JobView,
}

#[derive(Template)]
#[template(path = "console/users/import_report.html")]
struct ReportPage {
    page: Page,
    job: JobView,
    stopped: Option<&'static str>,
    notes: Vec<String>,
    rows: Vec<RowView>,
    created: usize,
    existed: usize,
    refused: usize,
    provider_code: String,
    until: String,
}

struct RowView {
    row: ReportedRow,
    result: &'static str,
}

/// `GET /admin/users/import/{id}`
///
/// # Errors
/// When it is not this admin's, or the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let (owner, provider_id, zone) = (owner(&admin), admin.scope.provider_id(), &admin.session.time_zone);
    let found = import_job::find(&app, &owner, provider_id, &id, arrival.now).await?.ok_or(PageError::NotFound)?;
    let job = JobView::of(&found, arrival.now, zone);
    if found.state_at(arrival.now) == ImportState::Running {
        let page = Page::of(&app, "Importing users", &admin.session);
        return Ok(respond(StatusCode::OK, Shape::Inside, &RunningPage { page, job }));
    }
    let report = import_job::report(&app, &owner, provider_id, &id, arrival.now).await?;
    let report = report.ok_or(PageError::NotFound)?;
    let count = |test: fn(&RowResult) -> bool| report.rows.iter().filter(|row| test(&row.result)).count();
    let template = ReportPage {
        page: Page::of(&app, "Imported users", &admin.session),
        job,
        stopped: why_stopped(report.state),
        created: count(|result| matches!(result, RowResult::Created(_))),
        existed: count(|result| matches!(result, RowResult::Exists)),
        refused: count(|result| matches!(result, RowResult::Refused(_))),
        until: report.until.in_zone(zone),
        notes: report.notes,
        rows: report.rows.into_iter().map(view).collect(),
        provider_code: admin.session.provider_code.clone(),
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

/// `GET /admin/users/import/{id}/report`: the same as a file.
///
/// # Errors
/// When it is not this admin's, or the database cannot be asked.
pub async fn file(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let report = import_job::report(&app, &owner(&admin), admin.scope.provider_id(), &id, arrival.now).await?;
    let report: Report = report.ok_or(PageError::NotFound)?;
    if report.state == ImportState::Running {
        return Ok(Redirect::to(&address(&id)).into_response());
    }
    Ok(download::whole_csv(&format!("import-{}.csv", admin.session.provider_code), report.csv()))
}

/// Why an import ended before its last row.
const fn why_stopped(state: ImportState) -> Option<&'static str> {
    match state {
        ImportState::Running | ImportState::Done => None,
        ImportState::NoAuthority => Some("You were signed out, or may do this no longer."),
        ImportState::Fault => Some("There was a fault of ours."),
        ImportState::NoRoom => Some("The service was too busy."),
        ImportState::Stopped => Some("The service was stopped."),
        ImportState::Interrupted => Some("The service was interrupted."),
    }
}

fn view(row: ReportedRow) -> RowView {
    let result = match &row.result {
        RowResult::Created(_) => "Created",
        RowResult::Exists => "Exists already",
        RowResult::Refused(_) => "Cannot be created",
    };
    RowView { row, result }
}
