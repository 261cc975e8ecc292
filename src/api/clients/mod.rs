//! `/api/v1/clients`: the relying parties, and the programs that act for themselves.

pub(in crate::api) mod actions;

use axum::Json;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Everywhere, ReadClients, WriteClients};
use super::etag::{IfMatch, WithEtag, stale};
use super::extract::{Body, ClientId, Page, Paging, Query, one_more};
use super::idempotency::{IdempotencyKey, New};
use crate::api::problem::{Details, Problem};
use crate::app::App;
use crate::model::client::draft::Draft;
use crate::model::client::rules::{check_client_id, key_warnings};
use crate::model::client::{Client, Metadata};
use crate::model::validation_error::ValidationError;
use crate::operations::admin_context::Edited;
use crate::operations::clients::{self, Changed};
use crate::operations::idempotent_create::Creation;
use crate::store;
use crate::time::Timestamp;

/// As many clients are on a page, whatever `limit` says.
const MOST_CLIENTS: usize = 50;

/// A client, with its metadata (RFC 7591 §2, OpenID Connect Registration §2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Client)]
pub struct View {
    /// Its name on the wire.
    client_id: String,
    /// Whether it may do anything.
    enabled: bool,
    /// When it came to be.
    #[schema(format = DateTime)]
    created_at: String,
    /// What its key set holds that is not used, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    metadata: Metadata,
}

impl View {
    pub(super) fn of(client: Client) -> Self {
        Self {
            client_id: client.client_id,
            enabled: client.enabled,
            created_at: Timestamp(client.created_at).rfc3339(),
            warnings: client.metadata.jwks.as_ref().map(key_warnings).unwrap_or_default(),
            metadata: client.metadata,
        }
    }
}

/// A client as it stands.
pub(super) async fn find(app: &App, client_id: &str) -> Result<Client, Problem> {
    store::clients::by_client_id(&mut app.db.read_much().await?, client_id).await?.ok_or_else(Problem::not_found)
}

pub(super) async fn read(app: &App, client_id: &str) -> Result<WithEtag<View>, Problem> {
    let client = find(app, client_id).await?;
    Ok(WithEtag::ok(client.revision, View::of(client)))
}

/// List the clients, by `client_id`, at most 50 a page
#[utoipa::path(get, operation_id = "listClients", path = "/api/v1/clients", tag = "Clients", params(Paging), security(("oauth2" = ["clients.read"])),
    responses((status = 200, description = "A page of them", body = Page<View>)))]
pub async fn list(
    app: App,
    _program: Everywhere<ReadClients>,
    Query(place): Query<Paging>,
) -> Result<Json<Page<View>>, Problem> {
    let (rows, after) = place.plain()?;
    // Each may hold its keys and a hundred addresses.
    let rows = rows.min(MOST_CLIENTS);
    let found = store::clients::list(&mut app.db.read_much().await?, &after, one_more(rows)).await?;
    Ok(Json(Page::of(found, rows, |client| client.client_id.clone(), View::of)))
}

/// A client to be: its name, and its metadata (RFC 7591 §2). A member that is not named here is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewClient)]
pub struct ToCreate {
    /// Its name on the wire.
    #[schema(pattern = "^[!-.0-~][ -~]{0,254}$")]
    client_id: String,
    /// The metadata. What is absent has its default.
    #[serde(flatten)]
    #[schema(inline, value_type = Metadata)]
    metadata: Map<String, Value>,
}

/// A client that was just created.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedClient {
    #[serde(flatten)]
    client: View,
    /// Its secret, where it needs one, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// The metadata as a draft.
fn draft(members: Map<String, Value>) -> Result<Draft, Problem> {
    Draft::parse(members).map_err(|why| Problem::invalid(why.split_once(": ").map_or("body", |(key, _)| key), &why))
}

/// Create a client
#[utoipa::path(post, operation_id = "createClient", path = "/api/v1/clients", tag = "Clients", request_body = ToCreate,
    params(("Idempotency-Key" = String, Header, description = "A repeat under the same key gets the same answer, for 24 hours")),
    security(("oauth2" = ["clients.write"])),
    responses((status = 201, description = "The client, and its secret where it needs one", body = CreatedClient,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its revision"))),
        (status = 409, description = "A client with this client_id already exists", body = Details, content_type = "application/problem+json")))]
pub async fn create(
    app: App,
    program: Everywhere<WriteClients>,
    key: IdempotencyKey,
    body: Body<ToCreate>,
) -> Result<Response, Problem> {
    let ToCreate { client_id, metadata } = body.read;
    check_client_id(&client_id)?;
    let metadata = draft(metadata)?.new_metadata(app.config.client_rules())?;
    let secret = metadata.has_secret().then(|| clients::make_secret(&app));
    let client = clients::build(&program.caller.act(&app), &client_id, metadata, true);
    let new = New {
        location: format!("/api/v1/clients/{}", segment(&client_id)),
        body: json!(CreatedClient { client: View::of(client.clone()), client_secret: secret.clone() }),
        revision: client.revision,
        creation: Creation::Client(Box::new(client), secret),
        name: "client_id",
    };
    key.create(&app, &program.caller, &body.bytes, new).await
}

/// A text as one segment of a path (RFC 3986 §3.3).
fn segment(text: &str) -> String {
    // A form's encoding leaves fewer characters as they are; its plus is a space.
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The client in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Name` reads")]
pub struct AtClient {
    /// Its name on the wire, percent-encoded.
    client_id: String,
}

/// Show a client
#[utoipa::path(get, operation_id = "getClient", path = "/api/v1/clients/{client_id}", tag = "Clients", params(AtClient),
    security(("oauth2" = ["clients.read"])),
    responses((status = 200, description = "The client", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn show(
    app: App,
    _program: Everywhere<ReadClients>,
    ClientId(client_id): ClientId,
) -> Result<WithEtag<View>, Problem> {
    read(&app, &client_id).await
}

/// What is to be different: what is absent stays as it is, `null` takes a value away (RFC 7396). A member that is not named
/// here is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ClientChange)]
pub struct ToChange {
    /// The metadata.
    #[serde(flatten)]
    #[schema(inline, value_type = Metadata)]
    metadata: Map<String, Value>,
}

/// Change a client's metadata
#[utoipa::path(patch, operation_id = "updateClient", path = "/api/v1/clients/{client_id}", tag = "Clients", request_body = ToChange,
    params(AtClient, ("If-Match" = String, Header, description = "The ETag that was read, or `*`")),
    security(("oauth2" = ["clients.write"])),
    responses((status = 200, description = "The client as it is now", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn edit(
    app: App,
    program: Everywhere<WriteClients>,
    ClientId(client_id): ClientId,
    if_match: IfMatch,
    body: Body<ToChange>,
) -> Result<WithEtag<View>, Problem> {
    let client = find(&app, &client_id).await?;
    let revision = if_match.allows(client.revision)?;
    let draft = draft(body.read.metadata)?;
    let invalid: Vec<ValidationError> = draft.all_errors(Some(&client.metadata), app.config.client_rules());
    if !invalid.is_empty() {
        return Err(invalid.into());
    }
    match clients::edit(&program.caller.act(&app), &client_id, revision, &draft).await? {
        Edited::Changed(Changed::Keys(_)) => read(&app, &client_id).await,
        Edited::Changed(Changed::Invalid(invalid)) => Err(invalid.into()),
        Edited::Changed(Changed::NotFound) => Err(Problem::not_found()),
        Edited::Stale => Err(stale()),
    }
}
