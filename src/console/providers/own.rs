//! `/admin/provider`: the provider's settings, and its way to Unified Login (U1).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::form::{LimitHints, ProviderForm};
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::form_revision::{FormRevision, saved};
use crate::console::unified_login::history::StepView;
use crate::model::provider::UnifiedLogin;
use crate::operations::admin_context::{Changed, Edited};
use crate::operations::providers;
use crate::store;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::FieldErrors;
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// Where it stands.
pub(in crate::console) const PATH: &str = "/admin/provider";
/// Where a request for Unified Login is sent.
const REQUEST: &str = "/admin/provider/request";
/// How many steps of Unified Login are shown.
const STEPS: i64 = 50;

#[derive(Template)]
#[template(path = "console/providers/own.html")]
pub(in crate::console) struct ProviderPage {
    page: Page,
    pub(in crate::console) faults: FieldErrors,
    revision: FormRevision,
    code: String,
    form: ProviderForm,
    limits: LimitHints,
    unified_login: UnifiedLogin,
    pub(in crate::console) note: String,
    steps: Vec<StepView>,
}

/// `GET /admin/provider`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, admin: ProviderAdmin, told: Told, kept: KeptForm) -> Result<Response, PageError> {
    let mut page = page(&app, &admin).await?;
    page.page = page.page.saying(told);
    if let Some(mut fields) = kept.sent_to(&admin.session, PATH) {
        page.revision.typed(&mut fields);
        page.form = ProviderForm::typed(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    } else if let Some(mut fields) = kept.sent_to(&admin.session, REQUEST) {
        page.note = fields.take("note");
        page.page.notice = Some(Notice::FormIsBack);
    }
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// `POST /admin/provider`: the settings.
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, admin: ProviderAdmin, mut fields: Fields) -> Result<Response, PageError> {
    let mut page = page(&app, &admin).await?;
    let read = page.revision.typed(&mut fields);
    page.form = ProviderForm::typed(&mut fields);
    let Some(draft) = page.form.check(&app.config, &mut page.faults) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let act = admin.act(&app, &arrival);
    match providers::edit(&act, admin.scope.provider_id(), read, &draft).await? {
        Edited::Changed(Changed::Keys(keys)) => Ok(saved(&keys).at(PATH)),
        Edited::Changed(Changed::NotFound | Changed::OperatorRealm) => Err(PageError::NotFound),
        Edited::Stale => {
            let now = self::page(&app, &admin).await?;
            page.revision.mark_stale(now.revision.read, now.form.values(), &page.form.values());
            Ok(respond(StatusCode::CONFLICT, Shape::Inside, &page))
        }
    }
}

/// The page of the provider as it stands.
pub(in crate::console) async fn page(app: &App, admin: &ProviderAdmin) -> Result<ProviderPage, PageError> {
    let id = admin.scope.provider_id();
    let mut conn = app.db.read().await?;
    let provider = store::providers::by_id(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let steps = store::unified_login::of_provider(&mut conn, id, STEPS).await?;
    drop(conn);
    let zone = &provider.time_zone;
    Ok(ProviderPage {
        page: Page::of(app, "Provider", &admin.session),
        faults: FieldErrors::default(),
        revision: FormRevision::of("provider", provider.revision),
        code: provider.code.clone(),
        form: ProviderForm::of(&provider),
        limits: LimitHints::of(&app.config),
        unified_login: provider.unified_login,
        note: String::new(),
        steps: steps.into_iter().map(|step| StepView::of(step, zone, true)).collect(),
    })
}
