//! `/operator/clients`: the apps, and programs that act for themselves, a page at a time; and a new one.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::client::LIST;
use super::form::{ClientForm, FieldView, Input};
use super::secret;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::console::reauth::Sender;
use crate::model::client::rules::check_client_id;
use crate::model::client::{Client, Metadata};
use crate::operations::clients;
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::FieldErrors;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "console/clients/list.html")]
struct ClientsPage {
    page: Page,
    rows: Vec<Client>,
    first: Option<&'static str>,
    next: Option<String>,
}

/// The query: where the page begins.
#[derive(Debug, Default, Deserialize)]
pub struct ClientsQuery {
    #[serde(default)]
    after: String,
}

/// `GET /operator/clients`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(
    app: App,
    admin: TherapAdmin,
    Query(query): Query<ClientsQuery>,
    told: Told,
) -> Result<Response, PageError> {
    // A place is a client's id; anything else is none.
    let after = Some(query.after).filter(|after| check_client_id(after).is_ok()).unwrap_or_default();
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut rows = store::clients::list(&mut app.db.read_much().await?, &after, limit).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let template = ClientsPage {
        page: Page::of(&app, "Clients", &admin.session).saying(told),
        first: (!after.is_empty()).then_some(LIST),
        next: rows.last().filter(|_| more).map(|last| {
            let query =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("after", &last.client_id).finish();
            format!("{LIST}?{query}")
        }),
        rows,
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

#[derive(Template)]
#[template(path = "console/clients/new.html")]
struct NewClientPage {
    page: Page,
    faults: FieldErrors,
    client_id: String,
    fields: Vec<FieldView>,
    ask_password: bool,
}

fn page(app: &App, now: Timestamp, admin: &TherapAdmin, client_id: &str, form: &ClientForm) -> NewClientPage {
    NewClientPage {
        page: Page::of(app, "New client", &admin.session),
        faults: FieldErrors::default(),
        client_id: client_id.to_owned(),
        fields: form.fields(),
        ask_password: !admin.typed_lately(now),
    }
}

/// `GET /operator/clients/new`
pub async fn blank_form(app: App, arrival: Arrival, admin: TherapAdmin) -> Response {
    let form = ClientForm::of(&Metadata::default());
    respond(StatusCode::OK, Shape::Inside, &page(&app, arrival.now, &admin, "", &form))
}

/// `POST /operator/clients/new`: its secret, where it needs one, is shown on the answer, this once.
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
    let client_id = fields.take("client_id");
    let form = ClientForm::typed(&mut fields);
    let mut page = page(&app, arrival.now, &admin, &client_id, &form);
    let rules = app.config.client_rules();
    page.faults.check("The client_id", check_client_id(&client_id));
    let mut of_metadata = FieldErrors::default();
    let draft = form.check(None, rules, &mut of_metadata);
    page.faults.extend(of_metadata);
    let draft = draft.filter(|_| page.faults.is_empty());
    let Some(metadata) = draft.and_then(|draft| page.faults.check("The metadata", draft.new_metadata(rules))) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, &mut page.faults).await? {
        Ok(proof) => proof,
        Err(unproven) => return Ok(unproven.answer(&page, "/operator/clients/new")),
    };
    let act = admin.act(&app, &arrival);
    let secret = metadata.has_secret().then(|| Zeroizing::new(clients::make_secret(&app)));
    let client = clients::build(&act, &client_id, metadata, true);
    let answered = async {
        if clients::create(&act, &client, secret.as_ref().map(|text| text.as_str())).await? {
            return Ok(match secret {
                Some(secret) => secret::show(&app, &admin, "The client was created", &client, secret, None),
                None => back(LIST, &client.id, Notice::ClientCreated),
            });
        }
        page.ask_password = false;
        page.faults.add("client-id", "A client with this ID already exists.");
        Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
    };
    Ok(proof.on(answered.await))
}
