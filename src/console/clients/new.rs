//! `/operator/clients/new`: which kind of client it is to be, and then the form of that kind.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::client::LIST;
use super::form::{ClientForm, FormView, Input};
use super::secret;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::back;
use crate::console::reauth::Sender;
use crate::model::client::kind::ClientKind;
use crate::model::client::rules::check_client_id;
use crate::operations::clients;
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

const TAKEN: &str = "A client with this ID already exists.";

#[derive(Template)]
#[template(path = "console/clients/kinds.html")]
struct KindsPage {
    page: Page,
    missing: bool,
}

impl KindsPage {
    /// Each with what it is.
    const KINDS: [(ClientKind, &'static str); 5] = [
        (ClientKind::WebApp, "Signs people in, and has a server that can keep a secret: most apps."),
        (ClientKind::SinglePageApp, "Signs people in, and runs in the browser alone. It has no secret."),
        (ClientKind::NativeApp, "Signs people in, on a phone or a desktop computer. It has no secret."),
        (ClientKind::Service, "Acts for itself, without anybody signing in: calls our API or yours."),
        (ClientKind::ResourceServer, "An API that is sent access tokens, and checks them with us."),
    ];
}

#[derive(Template)]
#[template(path = "console/clients/new.html")]
struct NewClientPage {
    page: Page,
    faults: FieldErrors,
    client_id: String,
    form: FormView,
    ask_password: bool,
}

/// The query: which kind.
#[derive(Debug, Default, Deserialize)]
pub struct KindQuery {
    #[serde(default)]
    kind: String,
}

fn page(
    app: &App,
    now: Timestamp,
    admin: &TherapAdmin,
    kind: ClientKind,
    client_id: &str,
    form: &ClientForm,
) -> NewClientPage {
    NewClientPage {
        page: Page::of(app, "New client", &admin.session),
        faults: FieldErrors::default(),
        client_id: client_id.to_owned(),
        form: form.view(kind),
        ask_password: !admin.typed_lately(now),
    }
}

fn kinds(app: &App, admin: &TherapAdmin, status: StatusCode) -> Response {
    let missing = status != StatusCode::OK;
    respond(status, Shape::Inside, &KindsPage { page: Page::of(app, "New client", &admin.session), missing })
}

/// `GET /operator/clients/new`
pub async fn blank_form(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Query(query): Query<KindQuery>,
    kept: KeptForm,
) -> Response {
    let Ok(kind) = query.kind.parse::<ClientKind>() else {
        return kinds(&app, &admin, StatusCode::OK);
    };
    if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{LIST}/new")) {
        let client_id = fields.take("client_id");
        let mut page = page(&app, arrival.now, &admin, kind, &client_id, &ClientForm::typed(&mut fields));
        page.page.notice = Some(Notice::FormIsBack);
        return respond(StatusCode::OK, Shape::Inside, &page);
    }
    let form = ClientForm::of(&kind.metadata());
    respond(StatusCode::OK, Shape::Inside, &page(&app, arrival.now, &admin, kind, "", &form))
}

/// `POST /operator/clients/new`: its secret, where it needs one, is shown on the answer, this once.
///
/// # Errors
/// When the database fails.
pub async fn create(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Query(query): Query<KindQuery>,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let Ok(kind) = query.kind.parse::<ClientKind>() else {
        return Ok(kinds(&app, &admin, StatusCode::UNPROCESSABLE_ENTITY));
    };
    let client_id = fields.take("client_id");
    let form = ClientForm::typed(&mut fields);
    let mut page = page(&app, arrival.now, &admin, kind, &client_id, &form);
    let rules = app.config.client_rules();
    if page.faults.check("The client_id", check_client_id(&client_id)).is_some()
        && store::clients::by_client_id(&mut app.db.read().await?, &client_id).await?.is_some()
    {
        page.faults.add("client-id", TAKEN);
    }
    let mut of_metadata = FieldErrors::default();
    let draft = form.check(kind, None, rules, &mut of_metadata);
    page.faults.extend(of_metadata);
    let draft = draft.filter(|_| page.faults.is_empty());
    let Some(metadata) = draft.and_then(|draft| page.faults.check("The metadata", draft.new_metadata(rules))) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, &mut page.faults).await? {
        Ok(proof) => proof,
        Err(unproven) => return Ok(unproven.answer(&page, &format!("{LIST}/new?kind={kind}"))),
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
        // Somebody else made it since.
        page.ask_password = false;
        page.faults.add("client-id", TAKEN);
        Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
    };
    Ok(proof.on(answered.await))
}
