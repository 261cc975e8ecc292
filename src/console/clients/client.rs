//! `/operator/clients/{id}`: one client: its metadata, its secrets, and the ways to switch it off and to end it.

use askama::Template;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::form::{ClientForm, FormView, Input};
use super::snippets::Connect;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::console::form_revision::{FormRevision, saved};
use crate::console::reauth::Sender;
use crate::model::client::Client;
use crate::model::client::kind::ClientKind;
use crate::model::client::rules::key_warnings;
use crate::operations::admin_context::Edited;
use crate::operations::clients::{self, Changed};
use crate::store::clients::{Holdings, StoredSecret};
use crate::store::{self, statistics};
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
pub(super) const LIST: &str = "/operator/clients";

#[derive(Template)]
#[template(path = "console/clients/client.html")]
struct ClientPage {
    page: Page,
    faults: FieldErrors,
    revision: FormRevision,
    client: Client,
    form: FormView,
    connect: Connect,
    ask_password: bool,
    has_secret: bool,
    /// What its key set holds that is passed over.
    keys_not_used: Vec<String>,
    secrets: Vec<SecretView>,
    holdings: Holdings,
    failing: i64,
    given_up: i64,
    zone: String,
}

struct SecretView {
    since: String,
    until: Option<String>,
}

pub(super) async fn find(app: &App, id: &str) -> Result<Client, PageError> {
    store::clients::by_id(&mut app.db.read().await?, id).await?.ok_or(PageError::NotFound)
}

async fn page(app: &App, now: Timestamp, admin: &TherapAdmin, id: &str) -> Result<ClientPage, PageError> {
    let client = find(app, id).await?;
    let mut conn = app.db.read().await?;
    let secrets = store::clients::secrets(&mut conn, &client.id).await?;
    let holdings = store::clients::holdings(&mut conn, &client.id, now).await?;
    let failing = statistics::failing_by_client(&mut conn, Some(&client.id)).await?.pop();
    drop(conn);
    let zone = admin.session.time_zone.clone();
    let working = secrets.iter().filter(|secret| secret.expires_at.is_none_or(|at| at > now.0));
    let view = |secret: &StoredSecret| SecretView {
        since: Timestamp(secret.created_at).in_zone(&zone),
        until: secret.expires_at.map(|at| Timestamp(at).in_zone(&zone)),
    };
    Ok(ClientPage {
        page: Page::of(app, format!("{} · Clients", client.name()), &admin.session),
        faults: FieldErrors::default(),
        revision: FormRevision::of("client", client.revision),
        form: ClientForm::of(&client.metadata).view(ClientKind::of(&client.metadata)),
        connect: Connect::of(&app.config.issuer, &client),
        ask_password: !admin.typed_lately(now),
        has_secret: client.metadata.has_secret(),
        keys_not_used: client.metadata.jwks.as_ref().map(key_warnings).unwrap_or_default(),
        secrets: working.map(view).collect(),
        holdings,
        failing: failing.as_ref().map_or(0, |row| row.waiting),
        given_up: failing.as_ref().map_or(0, |row| row.given_up),
        client,
        zone,
    })
}

/// `GET /operator/clients/{id}`
///
/// # Errors
/// When there is no such client, or the database cannot be asked.
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
    if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{LIST}/{id}")) {
        page.form = ClientForm::typed(&mut fields).view(page.form.kind);
        page.revision.typed(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    }
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// `POST /operator/clients/{id}`: the metadata.
///
/// # Errors
/// When there is no such client, or the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = page(&app, arrival.now, &admin, &id).await?;
    let form = ClientForm::typed(&mut fields);
    let kind = page.form.kind;
    page.form = form.view(kind);
    let read = page.revision.typed(&mut fields);
    let rules = app.config.client_rules();
    let Some(draft) = form.check(kind, Some(&page.client.metadata), rules, &mut page.faults) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, &mut page.faults).await? {
        Ok(proof) => proof,
        Err(unproven) => return Ok(unproven.answer(&page, &format!("{LIST}/{id}"))),
    };
    page.ask_password = false;
    let answered = async {
        Ok(match clients::edit(&admin.act(&app, &arrival), &page.client.client_id, read, &draft).await? {
            Edited::Changed(Changed::Keys(keys)) => back(LIST, &id, saved(&keys)),
            Edited::Changed(Changed::Invalid(invalid)) => {
                page.faults.check::<()>("The value", Err(invalid));
                respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page)
            }
            Edited::Changed(Changed::NotFound) => PageError::NotFound.into_response(),
            Edited::Stale => {
                let now = find(&app, &id).await?;
                page.revision.mark_stale(now.revision, ClientForm::of(&now.metadata).values(), &form.values());
                respond(StatusCode::CONFLICT, Shape::Inside, &page)
            }
        })
    };
    Ok(proof.on(answered.await))
}
