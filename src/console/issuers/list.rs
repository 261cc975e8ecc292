//! `/operator/issuers`: the trusted issuers of handoffs, and a new one.

use askama::Template;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::issuer::{IssuerForm, LIST};
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::console::reauth::Sender;
use crate::model::issuer::TrustedIssuer;
use crate::operations::issuers;
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

#[derive(Template)]
#[template(path = "console/issuers/list.html")]
struct IssuersPage {
    page: Page,
    rows: Vec<TrustedIssuer>,
}

/// `GET /operator/issuers`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, admin: TherapAdmin) -> Result<Response, PageError> {
    let rows = store::issuers::list(&mut app.db.read_much().await?).await?;
    let template = IssuersPage { page: Page::of(&app, "Trusted issuers", &admin.session), rows };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

#[derive(Template)]
#[template(path = "console/issuers/new.html")]
struct NewIssuerPage {
    page: Page,
    faults: FieldErrors,
    issuer: String,
    form: IssuerForm,
    ask_password: bool,
}

fn blank(app: &App, now: Timestamp, admin: &TherapAdmin) -> NewIssuerPage {
    NewIssuerPage {
        page: Page::of(app, "New trusted issuer", &admin.session),
        faults: FieldErrors::default(),
        issuer: String::new(),
        form: IssuerForm::default(),
        ask_password: !admin.typed_lately(now),
    }
}

/// `GET /operator/issuers/new`
pub async fn blank_form(app: App, arrival: Arrival, admin: TherapAdmin, kept: KeptForm) -> Response {
    let mut page = blank(&app, arrival.now, &admin);
    if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{LIST}/new")) {
        page.issuer = fields.take("issuer");
        page.form = IssuerForm::typed(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    }
    respond(StatusCode::OK, Shape::Inside, &page)
}

/// `POST /operator/issuers/new`
///
/// # Errors
/// When the database fails.
pub async fn create(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = blank(&app, arrival.now, &admin);
    page.issuer = fields.take("issuer");
    page.form = IssuerForm::typed(&mut fields);
    let Some(draft) = page.form.check(Some(&page.issuer), &app.config, &mut page.faults) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, &mut page.faults).await? {
        Ok(proof) => proof,
        Err(unproven) => return Ok(unproven.answer(&page, "/operator/issuers/new")),
    };
    let answered = async {
        if issuers::create(&admin.act(&app, &arrival), &page.issuer, &draft).await? {
            let made = store::issuers::by_name(&mut app.db.read_much().await?, &page.issuer).await?;
            let id = made.map(|issuer| issuer.id).unwrap_or_default();
            return Ok(back(LIST, &id, Notice::IssuerCreated));
        }
        page.ask_password = false;
        page.faults.add("issuer", "This issuer is trusted already.");
        Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
    };
    Ok(proof.on(answered.await))
}
