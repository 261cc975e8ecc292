//! `/admin/users/import`: many users out of a CSV file. The first POST shows what would be done with every row and
//! writes nothing; the second sends the same text again and begins to make the users, if it is what was shown
//! (`import_job`).

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::import_job::{JobView, MOST_SHOWN, address, owner};
use super::upload::Upload;
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::crypto::secret::digest;
use crate::operations::admin_context::AdminContext;
use crate::operations::csv::text::{self, Encoding};
use crate::operations::users::import::{self, COLUMNS, People, Row, RowPlan};
use crate::operations::users::import_job::{self, Options, Started};
use crate::operations::users::import_report;
use crate::store;
use crate::web::download;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::ids::checked;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

/// A file in the browser has no more rows; the command line takes more.
const MOST_ROWS: usize = 5000;

#[derive(Template)]
#[template(path = "console/users/import.html")]
struct ImportPage {
    page: Page,
    faults: FieldErrors,
    text: String,
    encoding: Encoding,
    /// What the preview was made of, and its own id: sent twice, it begins one import.
    seen: String,
    attempt: String,
    notes: Vec<String>,
    rows: Vec<RowView>,
    create: usize,
    exist: usize,
    refused: usize,
    /// Rows of which the user may be invited by e-mail; none where e-mail is not configured.
    invitable: usize,
    /// Rows of the file that are not shown.
    not_shown: usize,
    most_rows: usize,
    columns: String,
    /// Imports that can be opened again.
    earlier: Vec<JobView>,
}

struct RowView {
    line: u64,
    login_name: String,
    name: String,
    plan: &'static str,
    why: Vec<String>,
}

/// `GET /admin/users/import`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, admin: ProviderAdmin) -> Result<Response, PageError> {
    Ok(respond(StatusCode::OK, Shape::Inside, &blank(&app, &arrival, &admin).await?))
}

/// `GET /admin/users/import/template`: a file to begin with.
pub async fn template(_: ProviderAdmin) -> Response {
    download::whole_csv("users-template.csv", import::template())
}

/// `POST /admin/users/import`: what would become of each row; or, when that was seen, the import.
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, admin: ProviderAdmin, mut upload: Upload) -> Result<Response, PageError> {
    let mut page = blank(&app, &arrival, &admin).await?;
    let typed = upload.fields.take("text");
    (page.text, page.encoding) = match upload.file.map(|bytes| text::decode(&bytes)) {
        Some(Ok(read)) => read,
        Some(Err(why)) => return Ok(refused(page, why)),
        None => {
            let said = upload.fields.take("encoding").parse();
            (text::with_line_feeds(&typed), said.unwrap_or(Encoding::Utf8))
        }
    };
    page.seen = digest(page.text.trim().as_bytes());
    let go = upload.fields.take("go") == "create" && upload.fields.take("seen") == page.seen;
    let (attempt, invite) = (checked(&upload.fields.take("attempt")), upload.fields.take("invite") == "yes");
    let people = match read(&app, &admin, &page).await? {
        Ok(people) => people,
        Err(why) => return Ok(refused(page, why)),
    };
    if !go {
        page.show(people, app.mailer.is_some());
        return Ok(respond(StatusCode::OK, Shape::Inside, &page));
    }
    let act = AdminContext { deadline: app.patient_deadline(), ..admin.act(&app, &arrival) };
    match import_job::start(&act, &owner(&admin), admin.scope.provider_id(), people, Options { attempt, invite })
        .await?
    {
        Started::Yes(running) => Ok(Redirect::to(&address(&running.id)).into_response()),
        Started::Before(id) => Ok(Redirect::to(&address(&id)).into_response()),
        Started::OneRuns => {
            Ok(refused(page, "Another import of yours is running. Open it below, and begin this one when it is done."))
        }
        Started::TooMany => Ok(refused(
            page,
            "You began too many imports in the last 24 hours. Begin this one when the first are gone.",
        )),
    }
}

fn refused(mut page: ImportPage, why: impl Into<String>) -> Response {
    page.faults.add("file", why);
    respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page)
}

/// The rows with what would be done with each as things stand.
async fn read(app: &App, admin: &ProviderAdmin, page: &ImportPage) -> Result<Result<People, String>, PageError> {
    let mut conn = app.db.read_much().await?;
    let provider = store::providers::by_id(&mut conn, admin.scope.provider_id()).await?.ok_or(PageError::NotFound)?;
    Ok(import::plan(&mut conn, &provider, &page.text, page.encoding, MOST_ROWS).await?)
}

impl ImportPage {
    fn show(&mut self, people: People, may_mail: bool) {
        self.notes = people.notes;
        let count = |test: fn(&RowPlan) -> bool| people.rows.iter().filter(|row| test(&row.plan)).count();
        self.create = count(|plan| matches!(plan, RowPlan::Create(_)));
        self.exist = count(|plan| matches!(plan, RowPlan::Exists));
        self.refused = count(|plan| matches!(plan, RowPlan::Refused(_)));
        self.invitable =
            if may_mail { count(|plan| matches!(plan, RowPlan::Create(person) if person.may_be_invited())) } else { 0 };
        let mut rows = people.rows;
        rows.sort_by_key(|row| match row.plan {
            RowPlan::Refused(_) => 0,
            RowPlan::Exists => 1,
            RowPlan::Create(_) => 2,
        });
        self.not_shown = rows.len().saturating_sub(MOST_SHOWN);
        self.rows = rows.into_iter().take(MOST_SHOWN).map(view).collect();
    }
}

fn view(row: Row) -> RowView {
    let (plan, why) = match row.plan {
        RowPlan::Create(_) => ("Will be created", Vec::new()),
        RowPlan::Exists => ("Exists already", vec!["Not changed.".to_owned()]),
        RowPlan::Refused(why) => ("Cannot be created", why),
    };
    RowView { line: row.line, login_name: row.login_name, name: row.name, plan, why }
}

async fn blank(app: &App, arrival: &Arrival, admin: &ProviderAdmin) -> Result<ImportPage, PageError> {
    let earlier = import_report::list(app, &owner(admin), admin.scope.provider_id(), arrival.now).await?;
    Ok(ImportPage {
        page: Page::of(app, "Import users", &admin.session),
        faults: FieldErrors::default(),
        text: String::new(),
        encoding: Encoding::Utf8,
        seen: String::new(),
        attempt: app.random.id(arrival.now),
        notes: Vec::new(),
        rows: Vec::new(),
        create: 0,
        exist: 0,
        refused: 0,
        invitable: 0,
        not_shown: 0,
        most_rows: MOST_ROWS,
        columns: COLUMNS.names.join(", "),
        earlier: earlier.iter().map(|import| JobView::of(import, arrival.now, &admin.session.time_zone)).collect(),
    })
}
