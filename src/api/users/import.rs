//! `/api/v1/providers/{provider_code}/users/import`: many users at once, from the same CSV file that the page and the
//! command take. It is a stored job, as the page's is: a program that lost the answer asks for it again.

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::caller::{InProvider, WriteUsers};
use crate::api::extract::{Query, of_type};
use crate::api::problem::{Kind, Problem};
use crate::api::providers::AtProvider;
use crate::app::App;
use crate::model::provider::Provider;
use crate::model::{words, words_in_json};
use crate::operations::admin_context::AdminContext;
use crate::operations::csv::text;
use crate::operations::users::import::{self, People, Row, RowPlan};
use crate::operations::users::import_job::{self, HandedOut, Options, Owner, Started};
use crate::operations::users::import_report::{self, Medium, Report, ReportedRow};

/// Each row is hashed before the answer.
const MOST_ROWS: usize = 200;

/// How.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct How {
    /// Say what would become of each row, and create nothing.
    dry_run: bool,
}

/// What is done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It would be created.
    WouldCreate,
    /// It was created.
    Created,
    /// The provider has the Login Name already; nothing is changed.
    Exists,
    /// It cannot be created.
    Refused,
}
words!(Outcome { WouldCreate = "would_create", Created = "created", Exists = "exists", Refused = "refused" });
words_in_json!(Outcome as "ImportOutcome");

/// A row and its result.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedRow {
    /// Its line in the file.
    line: u64,
    /// Login Name as written.
    login_name: String,
    /// The result.
    outcome: Outcome,
    /// Why it cannot be created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    /// Of a row that was created, as long as it is the user's: not once the user replaced it, it expired or was reset, or
    /// the user was deactivated.
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_password: Option<String>,
}

impl ImportedRow {
    /// As it would be.
    fn tried(row: Row) -> Self {
        let (outcome, errors) = match row.plan {
            RowPlan::Create(_) => (Outcome::WouldCreate, Vec::new()),
            RowPlan::Exists => (Outcome::Exists, Vec::new()),
            RowPlan::Refused(errors) => (Outcome::Refused, errors),
        };
        Self { line: row.line, login_name: row.login_name, outcome, errors, temporary_password: None }
    }

    fn of(row: ReportedRow) -> Self {
        let (outcome, errors) = match row.result {
            import_report::Outcome::Created(_) => (Outcome::Created, Vec::new()),
            import_report::Outcome::Exists => (Outcome::Exists, Vec::new()),
            import_report::Outcome::Refused(errors) => (Outcome::Refused, errors),
        };
        let temporary_password = row.password.as_ref().map(HandedOut::as_str).map(str::to_owned);
        Self { line: row.line, login_name: row.login_name, outcome, errors, temporary_password }
    }
}

/// Every row of the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    /// The import, unless it was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    id: Option<String>,
    /// `running`, `done`; or why it stopped before its end: `no_authority`, `no_room`, `fault`, `stopped`,
    /// `interrupted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// What was passed over in the file.
    notes: Vec<String>,
    /// In the order of the file.
    rows: Vec<ImportedRow>,
}

impl Imported {
    fn of(report: Report) -> Self {
        Self {
            id: Some(report.import.id),
            state: Some(report.state.as_str()),
            notes: report.notes,
            rows: report.rows.into_iter().map(ImportedRow::of).collect(),
        }
    }
}

/// Imports, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imports {
    /// Each with all its rows.
    imports: Vec<Imported>,
}

/// Create many users from a CSV file of at most 200 rows, each row all or nothing
///
/// The first line names the columns: `login_name`, `name`, and any of `user_type`, `email`, `password`, `handoff_sub`,
/// `handoff_issuer`. The same file may be sent again: existing users are not changed. An import continues when the
/// connection is lost; one runs at a time for each program and provider.
#[utoipa::path(post, operation_id = "importUsers", path = "/api/v1/providers/{provider_code}/users/import", tag = "Users", params(AtProvider, How),
    request_body(content = String, content_type = "text/csv", description = "The file; UTF-8 is best"),
    security(("oauth2" = ["users.write"])), responses((status = 200, description = "The result of each row", body = Imported)))]
pub async fn import(
    app: App,
    program: InProvider<WriteUsers>,
    Query(how): Query<How>,
    request: Request,
) -> Result<Json<Imported>, Problem> {
    let bytes = of_type(request, &app, &["text/csv"]).await?;
    let people = read(&app, &program.provider, &bytes).await?;
    if how.dry_run {
        let rows = people.rows.into_iter().map(ImportedRow::tried).collect();
        return Ok(Json(Imported { id: None, state: None, notes: people.notes, rows }));
    }
    for _ in people.rows.iter().filter(|row| matches!(row.plan, RowPlan::Create(_))) {
        // A row costs what a request that creates one user costs.
        program.caller.take_one(&app).await?;
    }
    let owner = Owner::client(&program.caller.client);
    let act = AdminContext { deadline: app.patient_deadline(), ..program.caller.act(&app) };
    let id = match import_job::start(&act, &owner, &program.provider.id, people, Options::default()).await? {
        Started::Yes(running) => running.ended().await,
        Started::Before(id) => id,
        Started::OneRuns => {
            return Err(Problem::new(Kind::Conflict, "Another import of this program runs here. Nothing was created."));
        }
        Started::TooMany => {
            let detail = "This program began too many imports here in the last 24 hours. Nothing was created.";
            return Err(Problem::new(Kind::Conflict, detail));
        }
    };
    let report = open(&app, &program, &owner, &id).await?;
    Ok(Json(Imported::of(report.ok_or_else(Problem::not_found)?)))
}

/// List what this program imported here in the last 24 hours
///
/// With the temporary passwords that are still their users', for a program that lost the answer to its import. User
/// Activity records for each import that they were told.
#[utoipa::path(get, operation_id = "listImports", path = "/api/v1/providers/{provider_code}/users/import", tag = "Users", params(AtProvider),
    security(("oauth2" = ["users.write"])), responses((status = 200, description = "The imports", body = Imports)))]
pub async fn list(app: App, program: InProvider<WriteUsers>) -> Result<Json<Imports>, Problem> {
    let (owner, provider_id, now) = (Owner::client(&program.caller.client), &program.provider.id, app.clock.now());
    let mut imports = Vec::new();
    for import in import_report::list(&app, &owner, provider_id, now).await? {
        imports.extend(open(&app, &program, &owner, &import.id).await?.map(Imported::of));
    }
    Ok(Json(Imports { imports }))
}

/// An import with its temporary passwords, which is recorded at a moment of its own.
async fn open(app: &App, program: &InProvider<WriteUsers>, owner: &Owner, id: &str) -> Result<Option<Report>, Problem> {
    let act = AdminContext { now: app.clock.now(), deadline: app.patient_deadline(), ..program.caller.act(app) };
    Ok(import_report::open(&act, owner, &program.provider.id, id, Medium::Api).await?)
}

/// The rows with what would be done with each as things stand.
async fn read(app: &App, provider: &Provider, bytes: &[u8]) -> Result<People, Problem> {
    let (text, encoding) = text::decode(bytes).map_err(|why| Problem::new(Kind::Malformed, why))?;
    let mut conn = app.db.read_much().await?;
    let people = import::plan(&mut conn, provider, &text, encoding, MOST_ROWS).await?;
    people.map_err(|why| Problem::invalid("body", &why))
}
