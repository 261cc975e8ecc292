//! `/admin/users/import/{id}`: an import that was begun, for who began it: how far it is, and then what it came to. Its
//! temporary passwords are on slips and in a file, which can be opened again for a day and are asked for by a form:
//! each opening is recorded.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::operations::users::import_job::{HandedOut, Owner};
use crate::operations::users::import_report::{self, Medium, Outcome, Report, ReportedRow, Standing};
use crate::store::users::imports::{Import, ImportState};
use crate::time::Timestamp;
use crate::web::download;
use crate::web::error::PageError;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

/// So many rows stand on a page, those with faults first.
pub(super) const MOST_SHOWN: usize = 1000;

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
    /// Temporary passwords that can be handed out.
    slips: usize,
    /// Users who were mailed an invitation, and have not followed it yet.
    invited: usize,
    /// Rows of the file that are not shown.
    not_shown: usize,
}

struct RowView {
    row: ReportedRow,
    result: &'static str,
}

#[derive(Template)]
#[template(path = "console/users/import_slips.html")]
struct SlipsPage {
    page: Page,
    job: JobView,
    slips: Vec<Slip>,
    /// Users who were made and need no slip any more.
    without: usize,
    site: String,
    provider_code: String,
}

/// What one person is given.
struct Slip {
    name: String,
    login_name: String,
    password: HandedOut,
    until: String,
}

/// `GET /admin/users/import/{id}`
///
/// # Errors
/// When it is not this admin's, or the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let (owner, provider_id, now) = (owner(&admin), admin.scope.provider_id(), arrival.now);
    let found = import_report::find(&app, &owner, provider_id, &id, now).await?.ok_or(PageError::NotFound)?;
    let job = JobView::of(&found, now, &admin.session.time_zone);
    if found.state_at(now) == ImportState::Running {
        let page = Page::of(&app, "Importing users", &admin.session);
        return Ok(respond(StatusCode::OK, Shape::Inside, &RunningPage { page, job }));
    }
    let report = import_report::report(&app, &owner, provider_id, &id, now).await?.ok_or(PageError::NotFound)?;
    let count = |test: fn(&Outcome) -> bool| report.rows.iter().filter(|row| test(&row.result)).count();
    let template = ReportPage {
        page: Page::of(&app, "Imported users", &admin.session),
        job,
        stopped: why_stopped(report.state),
        created: count(|result| matches!(result, Outcome::Created(_))),
        existed: count(|result| matches!(result, Outcome::Exists)),
        refused: count(|result| matches!(result, Outcome::Refused(_))),
        slips: count(|result| matches!(result, Outcome::Created(Standing::Temporary(_)))),
        invited: count(|result| matches!(result, Outcome::Created(Standing::Invited))),
        not_shown: report.rows.len().saturating_sub(MOST_SHOWN),
        notes: report.notes,
        rows: views(report.rows),
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

/// `GET` of what a form opens: back to the page with the form.
///
/// # Errors
/// When it is not this admin's, or the database cannot be asked.
pub async fn way_back(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Redirect, PageError> {
    let found = import_report::find(&app, &owner(&admin), admin.scope.provider_id(), &id, arrival.now).await?;
    found.map(|import| Redirect::to(&address(&import.id))).ok_or(PageError::NotFound)
}

/// `POST /admin/users/import/{id}/slips`: a slip for each temporary password that still works, to print.
///
/// # Errors
/// When it is not this admin's, or the database fails.
pub async fn slips(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let Some(report) = open(&app, &arrival, &admin, &id, Medium::Slips).await? else {
        return Ok(Redirect::to(&address(&id)).into_response());
    };
    let zone = &admin.session.time_zone;
    let job = JobView::of(&report.import, arrival.now, zone);
    let created = report.rows.iter().filter(|row| matches!(row.result, Outcome::Created(_))).count();
    let slip = |row: ReportedRow| {
        let Outcome::Created(Standing::Temporary(until)) = row.result else { return None };
        let until = until.map(|until| Timestamp(until).in_zone(zone)).unwrap_or_default();
        row.password.map(|password| Slip { name: row.name, login_name: row.login_name, password, until })
    };
    let slips: Vec<Slip> = report.rows.into_iter().filter_map(slip).collect();
    let template = SlipsPage {
        page: Page::of(&app, "Slips to print", &admin.session),
        job,
        without: created - slips.len(),
        slips,
        site: app.config.issuer.clone(),
        provider_code: admin.session.provider_code.clone(),
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

/// `POST /admin/users/import/{id}/report`: the report as a file, with the temporary passwords that still work.
///
/// # Errors
/// When it is not this admin's, or the database fails.
pub async fn file(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let Some(report) = open(&app, &arrival, &admin, &id, Medium::File).await? else {
        return Ok(Redirect::to(&address(&id)).into_response());
    };
    Ok(download::whole_csv(&format!("import-{}.csv", admin.session.provider_code), report.csv()))
}

/// The report with its temporary passwords, which is recorded; `None` while the import runs.
async fn open(
    app: &App,
    arrival: &Arrival,
    admin: &ProviderAdmin,
    id: &str,
    medium: Medium,
) -> Result<Option<Report>, PageError> {
    let (owner, provider_id) = (owner(admin), admin.scope.provider_id());
    let found = import_report::find(app, &owner, provider_id, id, arrival.now).await?.ok_or(PageError::NotFound)?;
    if found.state_at(arrival.now) == ImportState::Running {
        return Ok(None);
    }
    let report = import_report::open(&admin.act(app, arrival), &owner, provider_id, id, medium).await?;
    report.map(Some).ok_or(PageError::NotFound)
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

/// The rows of the page, those with faults first.
fn views(mut rows: Vec<ReportedRow>) -> Vec<RowView> {
    rows.sort_by_key(|row| match row.result {
        Outcome::Refused(_) => 0,
        Outcome::Exists => 1,
        Outcome::Created(_) => 2,
    });
    rows.into_iter().take(MOST_SHOWN).map(view).collect()
}

fn view(row: ReportedRow) -> RowView {
    let result = match &row.result {
        Outcome::Created(_) => "Created",
        Outcome::Exists => "Exists already",
        Outcome::Refused(_) => "Cannot be created",
    };
    RowView { row, result }
}
