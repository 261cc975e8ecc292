//! `/api/v1/providers/{provider_code}/users/import`: many users at once, from the same CSV file that the page and the
//! command take.

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{InProvider, WriteUsers};
use super::providers::AtProvider;
use super::reading::{Asked, of_type};
use crate::app::App;
use crate::model::provider::Provider;
use crate::model::{words, words_in_json};
use crate::operations::act::Act;
use crate::operations::user_import::{self, Fate, Ready, Row};
use crate::store;
use crate::web::problem::{Kind, Problem};

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

/// What becomes of a row.
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

/// A row and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedRow {
    /// Its line in the file.
    line: u64,
    /// Login Name as written.
    login_name: String,
    /// What became of it.
    outcome: Outcome,
    /// Why it cannot be created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    /// Of a row that was created, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_password: Option<String>,
}

impl ImportedRow {
    fn of(row: Row, outcome: Outcome) -> Self {
        let (outcome, errors) = match row.fate {
            Fate::Create(_) => (outcome, Vec::new()),
            Fate::Exists => (Outcome::Exists, Vec::new()),
            Fate::Refused(errors) => (Outcome::Refused, errors),
        };
        Self { line: row.line, login_name: row.login_name, outcome, errors, temporary_password: None }
    }
}

/// Every row of the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    /// In the order of the file.
    rows: Vec<ImportedRow>,
}

/// Create many users from a CSV file of at most 200 rows, each row all or nothing
///
/// The first line names the columns: `login_name`, `name`, and any of `user_type`, `email`, `password`, `handoff_sub`,
/// `handoff_issuer`. The same file may be sent again: who is there already is left alone.
#[utoipa::path(post, path = "/api/v1/providers/{provider_code}/users/import", tag = "Users", params(AtProvider, How),
    request_body(content = String, content_type = "text/csv", description = "The file, UTF-8"),
    security(("oauth2" = ["users.write"])), responses((status = 200, description = "What became of each row", body = Imported)))]
pub async fn import(
    app: App,
    program: InProvider<WriteUsers>,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Json<Imported>, Problem> {
    let bytes = of_type(request, &app, &["text/csv"]).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::new(Kind::Malformed, "The file is not UTF-8 text."))?;
    let rows = read(&app, &program.provider, text).await?;
    if how.dry_run {
        let tried = rows.into_iter().map(|row| ImportedRow::of(row, Outcome::WouldCreate));
        return Ok(Json(Imported { rows: tried.collect() }));
    }
    // Hashed before anything is written: where there is no room for that, nothing happened.
    let mut ready = Vec::with_capacity(rows.len());
    for row in rows {
        if matches!(row.fate, Fate::Create(_)) {
            // A row costs what a request that creates one user costs.
            program.caller.take_one(&app).await?;
        }
        ready.push(Ready::of(&app, row).await.map_err(|_| Problem::unavailable("no room to hash"))?);
    }
    let act = || Act { deadline: app.patient_deadline(), ..program.caller.act(&app) };
    let done = user_import::create_all(act, &program.provider.id, ready).await;
    let rows = done.into_iter().map(|(row, password)| ImportedRow {
        temporary_password: password.map(|password| password.to_string()),
        ..ImportedRow::of(row, Outcome::Created)
    });
    Ok(Json(Imported { rows: rows.collect() }))
}

/// The rows with their fates as things stand.
async fn read(app: &App, provider: &Provider, text: &str) -> Result<Vec<Row>, Problem> {
    let mut conn = app.db.read().await?;
    let trusted = store::issuers::list(&mut conn).await?;
    let rows = user_import::read(text, provider, &trusted, MOST_ROWS);
    let mut rows = rows.map_err(|why| Problem::new(Kind::Invalid, why))?;
    user_import::compare(&mut conn, provider, &mut rows).await?;
    Ok(rows)
}
