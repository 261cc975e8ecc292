//! `/operator/providers/{id}`: one agency: settings, state, Unified Login, its admins.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::form::{LimitHints, ProviderForm};
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::console::form_revision::{FormRevision, saved};
use crate::console::unified_login::history::StepView;
use crate::console::users::temporary::NewPerson;
use crate::console::users::view::{Access, Pill};
use crate::model::provider::{ProviderKind, UnifiedLogin};
use crate::model::user::Account;
use crate::operations::admin_context::{Changed, Edited};
use crate::operations::providers;
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::FieldErrors;
use crate::web::ids::Id;
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// Where its page stands.
pub(super) const LIST: &str = "/operator/providers";
/// How many admins are shown.
const ADMINS: i64 = 100;
/// How many steps of Unified Login are shown.
const STEPS: i64 = 50;

#[derive(Template)]
#[template(path = "console/providers/provider.html")]
pub(in crate::console) struct ProviderPage {
    page: Page,
    pub(in crate::console) faults: FieldErrors,
    revision: FormRevision,
    id: String,
    pub(in crate::console) code: String,
    name: String,
    form: ProviderForm,
    limits: LimitHints,
    active: bool,
    unified_login: UnifiedLogin,
    steps: Vec<StepView>,
    admins: Vec<AdminView>,
    pub(in crate::console) new_admin: NewPerson,
    pub(in crate::console) ask_password: bool,
}

struct AdminView {
    id: String,
    login_name: String,
    name: String,
    states: Vec<Pill>,
}

impl AdminView {
    fn of(user: Account) -> Self {
        Self { states: Access::of(&user).pills(), id: user.id, login_name: user.login_name, name: user.name }
    }
}

/// `GET /operator/providers/{id}`
///
/// # Errors
/// When there is no such provider, or the database cannot be asked.
pub async fn get(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    told: Told,
    kept: KeptForm,
) -> Result<Response, PageError> {
    let mut page = page(&app, arrival.now, &admin, &id).await?;
    page.page = page.page.saying(told);
    let path = format!("{LIST}/{id}");
    if let Some(mut fields) = kept.sent_to(&admin.session, &path) {
        page.revision.typed(&mut fields);
        page.form = ProviderForm::typed(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    } else if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{path}/admins")) {
        page.new_admin = NewPerson::typed(&mut fields, "admin_name");
        page.page.notice = Some(Notice::FormIsBack);
    }
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// `POST /operator/providers/{id}`: the settings.
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = page(&app, arrival.now, &admin, &id).await?;
    let read = page.revision.typed(&mut fields);
    page.form = ProviderForm::typed(&mut fields);
    let Some(draft) = page.form.check(&app.config, &mut page.faults) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    match providers::edit(&admin.act(&app, &arrival), &id, read, &draft).await? {
        Edited::Changed(Changed::Keys(keys)) => Ok(back(LIST, &id, saved(&keys))),
        Edited::Changed(Changed::NotFound | Changed::OperatorRealm) => Err(PageError::NotFound),
        Edited::Stale => {
            let now = self::page(&app, arrival.now, &admin, &id).await?;
            page.revision.mark_stale(now.revision.read, now.form.values(), &page.form.values());
            Ok(respond(StatusCode::CONFLICT, Shape::Inside, &page))
        }
    }
}

/// The page of an agency as it stands.
pub(in crate::console) async fn page(
    app: &App,
    now: Timestamp,
    admin: &TherapAdmin,
    id: &str,
) -> Result<ProviderPage, PageError> {
    let mut conn = app.db.read().await?;
    let found = store::providers::by_id(&mut conn, id).await?;
    let provider = found.filter(|provider| provider.kind == ProviderKind::Agency).ok_or(PageError::NotFound)?;
    let steps = store::unified_login::of_provider(&mut conn, id, STEPS).await?;
    let admins = store::users::admins(&mut conn, id, ADMINS).await?;
    drop(conn);
    let zone = &admin.session.time_zone;
    Ok(ProviderPage {
        page: Page::of(app, format!("{} · Providers", provider.name), &admin.session),
        faults: FieldErrors::default(),
        revision: FormRevision::of("provider", provider.revision),
        id: provider.id.clone(),
        code: provider.code.clone(),
        name: provider.name.clone(),
        form: ProviderForm::of(&provider),
        limits: LimitHints::of(&app.config),
        active: provider.active,
        unified_login: provider.unified_login,
        steps: steps.into_iter().map(|step| StepView::of(step, zone, false)).collect(),
        admins: admins.into_iter().map(AdminView::of).collect(),
        new_admin: NewPerson::default(),
        ask_password: !admin.typed_lately(now),
    })
}
