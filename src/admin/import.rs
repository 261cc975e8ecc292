//! `/admin/users/import`: many users out of a CSV file. The first POST shows every row's fate and writes nothing; the
//! second sends the same text again and makes the users, if it is what was shown.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use crate::app::App;
use crate::crypto::secret::digest;
use crate::operations::act::Act;
use crate::operations::user_import::{self, Fate, Ready, Row};
use crate::operations::users;
use crate::store;
use crate::web::admin::ProviderAdmin;
use crate::web::error::PageError;
use crate::web::form::Faults;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::upload::Upload;

/// A file in the browser has no more rows; the command line takes more.
const MOST_ROWS: usize = 500;

#[derive(Template)]
#[template(path = "admin/import.html")]
struct ImportPage {
    page: Page,
    faults: Faults,
    text: String,
    /// What the preview was made of.
    seen: String,
    rows: Vec<RowView>,
    create: usize,
    exist: usize,
    refused: usize,
    most_rows: usize,
    columns: String,
    done: bool,
    provider_code: String,
    until: String,
}

struct RowView {
    line: u64,
    login_name: String,
    name: String,
    fate: &'static str,
    why: Vec<String>,
    password: Option<Zeroizing<String>>,
}

/// `GET /admin/users/import`
pub async fn get(app: App, admin: ProviderAdmin) -> Response {
    respond(StatusCode::OK, Shape::Inside, &blank(&app, &admin))
}

/// `POST /admin/users/import`: what would become of each row; or, when that was seen, the users.
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, admin: ProviderAdmin, mut upload: Upload) -> Result<Response, PageError> {
    let mut page = blank(&app, &admin);
    let typed = upload.fields.take("text");
    page.text = match upload.file.map(String::from_utf8) {
        Some(Ok(text)) => text,
        Some(Err(_)) => {
            page.faults.add("file", "The file is not UTF-8 text. In a spreadsheet, save it as “CSV UTF-8”.");
            return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
        }
        None => typed,
    };
    // Browsers send the lines of a text with CR LF, whatever they were in the file.
    page.seen = digest(page.text.replace("\r\n", "\n").trim().as_bytes());
    let go = upload.fields.take("go") == "create" && upload.fields.take("seen") == page.seen;
    let rows = match read(&app, &admin, &page.text).await? {
        Ok(rows) => rows,
        Err(why) => {
            page.faults.add("file", why);
            return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
        }
    };
    if go {
        make(&app, &arrival, &admin, &mut page, rows).await?;
    } else {
        page.rows = rows.into_iter().map(|row| view(row, "Will be created")).collect();
    }
    page.count();
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// The rows with their fates as things stand.
async fn read(app: &App, admin: &ProviderAdmin, text: &str) -> Result<Result<Vec<Row>, String>, PageError> {
    let mut conn = app.db.read().await?;
    let provider = store::providers::by_id(&mut conn, admin.scope.provider_id()).await?.ok_or(PageError::NotFound)?;
    let trusted = store::issuers::list(&mut conn).await?;
    let mut rows = match user_import::read(text, &provider, &trusted, MOST_ROWS) {
        Ok(rows) => rows,
        Err(why) => return Ok(Err(why)),
    };
    user_import::compare(&mut conn, &provider, &mut rows).await?;
    Ok(Ok(rows))
}

/// Hashes first, one at a time so that people who sign in meanwhile find room; then each row in a transaction of its own.
async fn make(
    app: &App,
    arrival: &Arrival,
    admin: &ProviderAdmin,
    page: &mut ImportPage,
    rows: Vec<Row>,
) -> Result<(), PageError> {
    let mut ready = Vec::with_capacity(rows.len());
    for row in rows {
        ready.push(Ready::of(app, row).await.map_err(|_| PageError::Unavailable("no room to hash".into()))?);
    }
    let act = || Act { deadline: app.patient_deadline(), ..admin.act(app, arrival) };
    let done = user_import::create_all(act, admin.scope.provider_id(), ready).await;
    page.rows = done.into_iter().map(|(row, password)| RowView { password, ..view(row, "Created") }).collect();
    page.done = true;
    page.until = users::temporary_until(app, arrival.now).in_zone(&admin.session.time_zone);
    Ok(())
}

fn view(row: Row, create: &'static str) -> RowView {
    let (fate, why) = match row.fate {
        Fate::Create(_) => (create, Vec::new()),
        Fate::Exists => ("Exists already", vec!["Nothing is changed.".to_owned()]),
        Fate::Refused(why) => ("Cannot be created", why),
    };
    RowView { line: row.line, login_name: row.login_name, name: row.name, fate, why, password: None }
}

impl ImportPage {
    fn count(&mut self) {
        let count = |fates: [&str; 2]| self.rows.iter().filter(|row| fates.contains(&row.fate)).count();
        self.create = count(["Will be created", "Created"]);
        self.exist = count(["Exists already", ""]);
        self.refused = count(["Cannot be created", ""]);
    }
}

fn blank(app: &App, admin: &ProviderAdmin) -> ImportPage {
    ImportPage {
        page: Page::of(app, "Import users", &admin.session),
        faults: Faults::default(),
        text: String::new(),
        seen: String::new(),
        rows: Vec::new(),
        create: 0,
        exist: 0,
        refused: 0,
        most_rows: MOST_ROWS,
        columns: user_import::COLUMNS.join(", "),
        done: false,
        provider_code: admin.session.provider_code.clone(),
        until: String::new(),
    }
}
