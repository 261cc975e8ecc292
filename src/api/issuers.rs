//! `/api/v1/issuers`: the trusted issuers, whose handoffs open sessions here.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Everywhere, ReadIssuers, WriteIssuers};
use super::etag::{IfMatch, WithEtag, stale};
use super::extract::{Body, Change, IssuerId, Page};
use super::idempotency::{IdempotencyKey, New};
use super::problem::{Details, Problem};
use super::providers::Count;
use crate::app::App;
use crate::model::issuer::TrustedIssuer;
use crate::operations::admin_context::{Changed, Edited, Switched};
use crate::operations::idempotent_create::Creation;
use crate::operations::issuers::{self, Draft};
use crate::store;

/// A trusted issuer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrustedIssuer)]
pub struct View {
    /// Never changes.
    #[schema(format = "uuid")]
    id: String,
    /// The exact `iss`.
    issuer: String,
    /// What people call it.
    display_name: String,
    /// The origins its pages send from.
    origins: Vec<String>,
    /// Its keys (RFC 7517), where they stand here.
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// Where its keys are published.
    jwks_uri: Option<String>,
    /// Its own client here.
    client_id: Option<String>,
    /// Its `acr` values and what they become here.
    acr: BTreeMap<String, String>,
    /// Switched on.
    enabled: bool,
    /// How many users are linked to it.
    #[schema(minimum = 0)]
    ties: i64,
    /// What its key set holds that is not used, and why.
    warnings: Vec<String>,
}

impl View {
    fn of(issuer: TrustedIssuer, ties: i64) -> Self {
        Self {
            warnings: issuers::keys_in_force(&issuer).skipped().to_vec(),
            jwks: issuer.jwks.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            id: issuer.id,
            issuer: issuer.issuer,
            display_name: issuer.display_name,
            origins: issuer.origins,
            jwks_uri: issuer.jwks_uri,
            client_id: issuer.client_id,
            acr: issuer.acr,
            enabled: issuer.enabled,
            ties,
        }
    }
}

async fn find(app: &App, id: &str) -> Result<TrustedIssuer, Problem> {
    let all = store::issuers::list(&mut app.db.read_much().await?).await?;
    all.into_iter().find(|issuer| issuer.id == id).ok_or_else(Problem::not_found)
}

async fn read(app: &App, id: &str) -> Result<WithEtag<View>, Problem> {
    let issuer = find(app, id).await?;
    let ties = store::issuers::count_ties(&mut app.db.read_much().await?, id).await?;
    Ok(WithEtag::ok(issuer.revision, View::of(issuer, ties)))
}

/// List the trusted issuers
#[utoipa::path(get, operation_id = "listIssuers", path = "/api/v1/issuers", tag = "Trusted issuers", security(("oauth2" = ["issuers.read"])),
    responses((status = 200, description = "All of them", body = Page<View>)))]
pub async fn list(app: App, _program: Everywhere<ReadIssuers>) -> Result<Json<Page<View>>, Problem> {
    let mut conn = app.db.read_much().await?;
    let mut items = Vec::new();
    for issuer in store::issuers::list(&mut conn).await? {
        let ties = store::issuers::count_ties(&mut conn, &issuer.id).await?;
        items.push(View::of(issuer, ties));
    }
    Ok(Json(Page { items, next: None }))
}

/// A trusted issuer to be: with `jwks` or `jwks_uri`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewTrustedIssuer)]
#[serde(deny_unknown_fields)]
pub struct ToCreate {
    /// The exact `iss`.
    issuer: String,
    /// What people call it; default: the issuer.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// The origins its pages send from.
    origins: Vec<String>,
    /// Its keys (RFC 7517).
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// Where its keys are published.
    jwks_uri: Option<String>,
    /// Its own client here.
    client_id: Option<String>,
    /// Its `acr` values and what they become here.
    acr: Option<BTreeMap<String, String>>,
}

/// Trust an issuer
#[utoipa::path(post, operation_id = "createIssuer", path = "/api/v1/issuers", tag = "Trusted issuers", request_body = ToCreate,
    params(("Idempotency-Key" = String, Header, description = "A repeat under the same key gets the same answer, for 24 hours")),
    security(("oauth2" = ["issuers.write"])),
    responses((status = 201, description = "It is trusted from now on", body = View,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its revision"))),
        (status = 409, description = "It is trusted already", body = Details, content_type = "application/problem+json")))]
pub async fn create(
    app: App,
    program: Everywhere<WriteIssuers>,
    key: IdempotencyKey,
    body: Body<ToCreate>,
) -> Result<Response, Problem> {
    let new = body.read;
    let draft = Draft {
        display_name: new.display_name,
        origins: Some(new.origins),
        jwks: new.jwks.map(|jwks| jwks.to_string()),
        jwks_uri: new.jwks_uri,
        client_id: new.client_id,
        acr: new.acr,
    };
    draft.check_new(&new.issuer, &app.config)?;
    let issuer = issuers::build(&program.caller.act(&app), &new.issuer, &draft, true);
    let new = New {
        location: format!("/api/v1/issuers/{}", issuer.id),
        body: json!(View::of(issuer.clone(), 0)),
        revision: issuer.revision,
        creation: Creation::Issuer(Box::new(issuer)),
        name: "issuer",
    };
    key.create(&app, &program.caller, &body.bytes, new).await
}

/// The trusted issuer in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Id` reads")]
pub struct AtIssuer {
    /// Its `id`.
    #[param(format = "uuid")]
    issuer_id: String,
}

/// Show a trusted issuer
#[utoipa::path(get, operation_id = "getIssuer", path = "/api/v1/issuers/{issuer_id}", tag = "Trusted issuers", params(AtIssuer),
    security(("oauth2" = ["issuers.read"])),
    responses((status = 200, description = "The issuer", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn show(
    app: App,
    _program: Everywhere<ReadIssuers>,
    IssuerId(id): IssuerId,
) -> Result<WithEtag<View>, Problem> {
    read(&app, &id).await
}

/// What is to be different: what is absent stays as it is. `jwks` takes the place of `jwks_uri`, and the other way
/// round.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = TrustedIssuerChange)]
#[serde(deny_unknown_fields)]
pub struct ToChange {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// The origins its pages send from.
    origins: Option<Vec<String>>,
    /// Its keys (RFC 7517).
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// Where its keys are published.
    jwks_uri: Option<String>,
    /// Its own client here; `null` removes it.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    client_id: Change<String>,
    /// Its `acr` values and what they become here, all of them.
    acr: Option<BTreeMap<String, String>>,
}

/// Change a trusted issuer
#[utoipa::path(patch, operation_id = "updateIssuer", path = "/api/v1/issuers/{issuer_id}", tag = "Trusted issuers", request_body = ToChange,
    params(AtIssuer, ("If-Match" = String, Header, description = "The ETag that was read, or `*`")),
    security(("oauth2" = ["issuers.write"])),
    responses((status = 200, description = "The issuer as it is now", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn edit(
    app: App,
    program: Everywhere<WriteIssuers>,
    IssuerId(id): IssuerId,
    if_match: IfMatch,
    body: Body<ToChange>,
) -> Result<WithEtag<View>, Problem> {
    let issuer = find(&app, &id).await?;
    let revision = if_match.allows(issuer.revision)?;
    let change = body.read;
    let draft = Draft {
        display_name: change.display_name,
        origins: change.origins,
        jwks: change.jwks.map(|jwks| jwks.to_string()),
        jwks_uri: change.jwks_uri,
        client_id: change.client_id.for_draft(),
        acr: change.acr,
    };
    draft.check(&app.config)?;
    match issuers::edit(&program.caller.act(&app), &issuer.issuer, revision, &draft).await? {
        Edited::Changed(Changed::Keys(_)) => read(&app, &id).await,
        Edited::Changed(Changed::NotFound | Changed::OperatorRealm) => Err(Problem::not_found()),
        Edited::Stale => Err(stale()),
    }
}

async fn switched(app: &App, id: &str, switched: Switched) -> Result<WithEtag<View>, Problem> {
    match switched {
        // It is so, whoever was first.
        Switched::Done | Switched::Already => read(app, id).await,
        Switched::NotFound
        | Switched::OperatorRealm
        | Switched::LastAdmin
        | Switched::Own
        // Programs confirm nothing; they send If-Match.
        | Switched::Stale => Err(Problem::not_found()),
    }
}

/// How to switch off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = DisableIssuer)]
#[serde(deny_unknown_fields)]
pub struct Disable {
    /// End the sessions that came from it, too.
    #[serde(default)]
    end_sessions: bool,
}

/// Switch a trusted issuer off, immediately
#[utoipa::path(post, operation_id = "disableIssuer", path = "/api/v1/issuers/{issuer_id}/disable", tag = "Trusted issuers", params(AtIssuer),
    request_body = Disable, security(("oauth2" = ["issuers.write"])),
    responses((status = 200, description = "It is off", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn disable(
    app: App,
    program: Everywhere<WriteIssuers>,
    IssuerId(id): IssuerId,
    body: Body<Disable>,
) -> Result<WithEtag<View>, Problem> {
    let issuer = find(&app, &id).await?;
    let done = issuers::disable(&program.caller.act(&app), &issuer.issuer, body.read.end_sessions).await?;
    switched(&app, &id, done).await
}

/// Switch a trusted issuer on
#[utoipa::path(post, operation_id = "enableIssuer", path = "/api/v1/issuers/{issuer_id}/enable", tag = "Trusted issuers", params(AtIssuer),
    security(("oauth2" = ["issuers.write"])),
    responses((status = 200, description = "It is on", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn enable(
    app: App,
    program: Everywhere<WriteIssuers>,
    IssuerId(id): IssuerId,
) -> Result<WithEtag<View>, Problem> {
    let issuer = find(&app, &id).await?;
    let done = issuers::enable(&program.caller.act(&app), &issuer.issuer).await?;
    switched(&app, &id, done).await
}

/// End every session that came from a trusted issuer
#[utoipa::path(post, operation_id = "endIssuerSessions", path = "/api/v1/issuers/{issuer_id}/end-sessions", tag = "Trusted issuers", params(AtIssuer),
    security(("oauth2" = ["issuers.write"])),
    responses((status = 200, description = "They have ended", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn end_sessions(
    app: App,
    program: Everywhere<WriteIssuers>,
    IssuerId(id): IssuerId,
) -> Result<WithEtag<View>, Problem> {
    let issuer = find(&app, &id).await?;
    let done = issuers::end_sessions(&program.caller.act(&app), &issuer.issuer).await?;
    switched(&app, &id, done).await
}

/// Remove every link of a trusted issuer
#[utoipa::path(post, operation_id = "untieIssuer", path = "/api/v1/issuers/{issuer_id}/untie", tag = "Trusted issuers", params(AtIssuer),
    security(("oauth2" = ["issuers.write"])), responses((status = 200, description = "How many there were", body = Count)))]
pub async fn untie(
    app: App,
    program: Everywhere<WriteIssuers>,
    IssuerId(id): IssuerId,
) -> Result<Json<Count>, Problem> {
    let issuer = find(&app, &id).await?;
    let count = issuers::untie_all(&program.caller.act(&app), &issuer.issuer).await?;
    match count {
        Edited::Changed(Some(count)) => Ok(Json(Count { count })),
        // Programs confirm no version.
        Edited::Changed(None) | Edited::Stale => Err(Problem::not_found()),
    }
}
