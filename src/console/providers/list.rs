//! `/operator/providers`: every agency, searched, a page at a time; and a new one.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::form::{LimitHints, ProviderForm};
use super::provider::LIST;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::model::provider::{ProviderCode, UnifiedLogin};
use crate::operations::admin_context::ValidationError;
use crate::operations::providers::{self, Created};
use crate::store::providers::list as provider_list;
use crate::store::providers::list::{ListedProvider, ProviderState};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors, choices};
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "console/providers/list.html")]
struct ProvidersPage {
    page: Page,
    q: String,
    states: Vec<Choice>,
    rows: Vec<ListedProvider>,
    first: Option<String>,
    next: Option<String>,
}

/// The query: what is looked for, and where the page begins.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ProvidersFilter {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: String,
}

impl ProvidersFilter {
    fn address(&self, after: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("q", Some(self.q.as_str())), ("state", Some(self.state.as_str())), ("after", after)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                query.append_pair(name, value);
            }
        }
        format!("/operator/providers?{}", query.finish()).trim_end_matches('?').to_owned()
    }
}

/// `GET /operator/providers`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, admin: TherapAdmin, Query(query): Query<ProvidersFilter>) -> Result<Response, PageError> {
    let state: ProviderState = query.state.parse().unwrap_or_default();
    // A place is a folded code; anything else is none.
    let after = ProviderCode::parse(&query.after).map(|code| code.folded()).unwrap_or_default();
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut rows = provider_list::page(&mut app.db.read_much().await?, &query.q, state, &after, limit).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let template = ProvidersPage {
        page: Page::of(&app, "Providers", &admin.session),
        states: choices(&STATES, state.as_str()),
        first: (!after.is_empty()).then(|| query.address(None)),
        next: rows.last().filter(|_| more).map(|last| query.address(Some(&last.code_folded))),
        rows,
        q: query.q,
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

const STATES: [(&str, &str); 6] = [
    ("any", "Any"),
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("on", "Unified Login on"),
    ("requested", "Unified Login requested"),
    ("off", "Unified Login off"),
];

#[derive(Template)]
#[template(path = "console/providers/new.html")]
struct NewProviderPage {
    page: Page,
    faults: FieldErrors,
    code: String,
    form: ProviderForm,
    limits: LimitHints,
}

fn blank(app: &App, admin: &TherapAdmin) -> NewProviderPage {
    NewProviderPage {
        page: Page::of(app, "New provider", &admin.session),
        faults: FieldErrors::default(),
        code: String::new(),
        form: ProviderForm {
            time_zone: "America/New_York".into(),
            reset_by_mail: "yes".into(),
            ..ProviderForm::default()
        },
        limits: LimitHints::of(&app.config),
    }
}

/// `GET /operator/providers/new`
pub async fn blank_form(app: App, admin: TherapAdmin, kept: KeptForm) -> Response {
    let mut page = blank(&app, &admin);
    if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{LIST}/new")) {
        page.code = fields.take("code");
        page.form = ProviderForm::typed(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    }
    respond(StatusCode::OK, Shape::Inside, &page)
}

/// `POST /operator/providers/new`
///
/// # Errors
/// When the database fails.
pub async fn create(app: App, arrival: Arrival, admin: TherapAdmin, mut fields: Fields) -> Result<Response, PageError> {
    let mut page = blank(&app, &admin);
    page.code = fields.take("code");
    page.form = ProviderForm::typed(&mut fields);
    let code = ProviderCode::parse(&page.code)
        .ok_or_else(|| ValidationError::new("code", "must be 1 to 32 letters, digits and hyphens, such as SUNRISE-IL"));
    let code = page.faults.check("The Provider Code", code);
    let draft = page.form.check(&app.config, &mut page.faults);
    if let (Some(code), Some(draft)) = (code, draft) {
        match providers::create(&admin.act(&app, &arrival), &code, &draft).await? {
            Created::Yes(provider) => {
                return Ok(back(LIST, &provider.id, Notice::ProviderCreated));
            }
            Created::CodeTaken => {
                page.faults.add("code", "Another provider has this code already, in this or another case.");
            }
        }
    }
    Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
}
