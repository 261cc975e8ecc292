//! `/api/v1/providers`: the agencies.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Everywhere, InProvider, OverProvider, ReadProviders, WriteProviders};
use super::etag::{FIRST_REVISION, IfMatch, WithEtag, stale};
use super::extract::{Body, Change, Page, Paging, Query, one_more, storable};
use super::idempotency::{IdempotencyKey, New};
use super::problem::{Kind, Problem};
use crate::app::App;
use crate::model::provider::{Provider, ProviderCode, UnifiedLogin};
use crate::model::validation_error::ValidationError;
use crate::operations::admin_context::{Changed, Edited, Switched};
use crate::operations::idempotent_create::Creation;
use crate::operations::providers::{self, Draft};
use crate::store;
use crate::store::providers::list as provider_list;
use crate::store::providers::list::{ListedProvider, ProviderState};

/// An agency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provider)]
pub struct View {
    /// Provider Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Whether anybody of it can do anything.
    pub active: bool,
    /// Whether its users may come from Therap Services.
    pub unified_login: UnifiedLogin,
    /// IANA time zone of its pages.
    pub time_zone: String,
    /// Whom its users ask for help.
    pub contact: Option<String>,
    /// Its own idle limit; `null`: the operator's.
    pub idle_minutes: Option<i64>,
    /// Its own absolute limit; `null`: the operator's.
    pub absolute_hours: Option<i64>,
    /// Whether its users may reset a forgotten password by an e-mailed link.
    pub reset_by_mail: bool,
}

impl View {
    fn of(provider: Provider) -> Self {
        Self {
            code: provider.code,
            name: provider.name,
            active: provider.active,
            unified_login: provider.unified_login,
            time_zone: provider.time_zone,
            contact: provider.contact,
            idle_minutes: provider.idle_minutes,
            absolute_hours: provider.absolute_hours,
            reset_by_mail: provider.reset_by_mail,
        }
    }
}

/// An agency in the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedProvider)]
pub struct Row {
    /// Provider Code.
    code: String,
    /// Name.
    name: String,
    /// Whether anybody of it can do anything.
    active: bool,
    /// Whether its users may come from Therap Services.
    unified_login: UnifiedLogin,
}

impl Row {
    fn of(row: ListedProvider) -> Self {
        Self { code: row.code, name: row.name, active: row.active, unified_login: row.unified_login }
    }
}

/// Which providers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// A part of the code or the name, in any case.
    q: Option<String>,
    /// In this state.
    #[param(inline)]
    state: Option<ProviderState>,
    /// At most this number of rows.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// List the providers, by code
#[utoipa::path(get, operation_id = "listProviders", path = "/api/v1/providers", tag = "Providers", params(Search), security(("oauth2" = ["providers.read"])),
    responses((status = 200, description = "A page of them", body = Page<Row>)))]
pub async fn list(
    app: App,
    _program: Everywhere<ReadProviders>,
    Query(search): Query<Search>,
) -> Result<axum::Json<Page<Row>>, Problem> {
    let rows = Paging::rows(search.limit)?;
    let (text, after) = (storable(search.q), storable(search.cursor));
    let mut conn = app.db.read_much().await?;
    let found = provider_list::page(&mut conn, &text, search.state.unwrap_or_default(), &after, one_more(rows)).await?;
    Ok(axum::Json(Page::of(found, rows, |row| row.code_folded.clone(), Row::of)))
}

/// An agency to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewProvider)]
#[serde(deny_unknown_fields)]
pub struct ToCreate {
    /// Provider Code: 1 to 32 of `A-Za-z0-9-`; no two differ in case only.
    #[schema(pattern = "^[A-Za-z0-9-]{1,32}$")]
    code: String,
    /// Name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// IANA time zone; default `America/New_York`.
    time_zone: Option<String>,
    /// Whom its users ask for help.
    #[schema(max_length = 500)]
    contact: Option<String>,
    /// Its own idle limit, within the operator's.
    #[schema(minimum = 1)]
    idle_minutes: Option<u32>,
    /// Its own absolute limit, within the operator's.
    #[schema(minimum = 1)]
    absolute_hours: Option<u32>,
    /// Whether its users may reset a forgotten password by an e-mailed link; default `true`.
    reset_by_mail: Option<bool>,
}

/// Create a provider
#[utoipa::path(post, operation_id = "createProvider", path = "/api/v1/providers", tag = "Providers", request_body = ToCreate,
    params(("Idempotency-Key" = String, Header, description = "A repeat under the same key gets the same answer, for 24 hours")),
    security(("oauth2" = ["providers.write"])),
    responses((status = 201, description = "It is there, active, with Unified Login off", body = View,
        headers(("Location", description = "Where it is"), ("ETag", description = "Its revision"))),
        (status = 409, description = "A provider with this code already exists", body = super::problem::Details, content_type = "application/problem+json")))]
pub async fn create(
    app: App,
    program: Everywhere<WriteProviders>,
    key: IdempotencyKey,
    body: Body<ToCreate>,
) -> Result<axum::response::Response, Problem> {
    let new = body.read;
    let code = ProviderCode::parse(&new.code);
    let code = code.ok_or_else(|| ValidationError::new("code", "must be 1 to 32 of A-Z, a-z, 0-9 and -"))?;
    let draft = Draft {
        name: Some(new.name),
        time_zone: new.time_zone,
        contact: new.contact,
        idle_minutes: new.idle_minutes,
        absolute_hours: new.absolute_hours,
        reset_by_mail: new.reset_by_mail,
    };
    draft.check(&app.config)?;
    let provider = providers::build(&program.caller.act(&app), &code, &draft, true, UnifiedLogin::Off);
    let new = New {
        location: format!("/api/v1/providers/{}", provider.code),
        body: json!(View::of(provider.clone())),
        revision: FIRST_REVISION,
        creation: Creation::Provider(Box::new(provider)),
        name: "code",
    };
    key.create(&app, &program.caller, &body.bytes, new).await
}

/// The provider in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `InProvider` reads")]
pub struct AtProvider {
    /// Provider Code; capital and small letters matter.
    provider_code: String,
}

/// The provider as it stands.
pub(super) async fn read(app: &App, id: &str) -> Result<WithEtag<View>, Problem> {
    let mut conn = app.db.read_much().await?;
    let provider = store::providers::by_id(&mut conn, id).await?.ok_or_else(Problem::not_found)?;
    Ok(WithEtag::ok(provider.revision, View::of(provider)))
}

/// Show a provider
#[utoipa::path(get, operation_id = "getProvider", path = "/api/v1/providers/{provider_code}", tag = "Providers", params(AtProvider),
    security(("oauth2" = ["providers.read"])),
    responses((status = 200, description = "The provider", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn show(app: App, program: InProvider<ReadProviders>) -> Result<WithEtag<View>, Problem> {
    read(&app, &program.provider.id).await
}

/// What is to be different: what is absent stays as it is, `null` takes a value away (RFC 7396).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ProviderChange)]
#[serde(deny_unknown_fields)]
pub struct ToChange {
    /// Name.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// IANA time zone.
    time_zone: Option<String>,
    /// Whom its users ask for help.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default)]
    contact: Change<String>,
    /// Its own idle limit, within the operator's.
    #[schema(value_type = Option<u32>, minimum = 1)]
    #[serde(default)]
    idle_minutes: Change<u32>,
    /// Its own absolute limit, within the operator's.
    #[schema(value_type = Option<u32>, minimum = 1)]
    #[serde(default)]
    absolute_hours: Change<u32>,
    /// Whether its users may reset a forgotten password by an e-mailed link.
    reset_by_mail: Option<bool>,
}

/// Change a provider
#[utoipa::path(patch, operation_id = "updateProvider", path = "/api/v1/providers/{provider_code}", tag = "Providers", request_body = ToChange,
    params(AtProvider, ("If-Match" = String, Header, description = "The ETag that was read, or `*`")),
    security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "The provider as it is now", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn edit(
    app: App,
    program: InProvider<WriteProviders>,
    if_match: IfMatch,
    body: Body<ToChange>,
) -> Result<WithEtag<View>, Problem> {
    let id = &program.provider.id;
    let change = body.read;
    let draft = Draft {
        name: change.name,
        time_zone: change.time_zone,
        contact: change.contact.for_draft(),
        idle_minutes: change.idle_minutes.for_draft(),
        absolute_hours: change.absolute_hours.for_draft(),
        reset_by_mail: change.reset_by_mail,
    };
    draft.check(&app.config)?;
    let current = store::providers::by_id(&mut app.db.read_much().await?, id).await?.ok_or_else(Problem::not_found)?;
    match providers::edit(&program.caller.act(&app), id, if_match.allows(current.revision)?, &draft).await? {
        Edited::Changed(Changed::Keys(_)) => read(&app, id).await,
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

/// Activate a provider
#[utoipa::path(post, operation_id = "activateProvider", path = "/api/v1/providers/{provider_code}/activate", tag = "Providers", params(AtProvider),
    security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It is active", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn activate(app: App, program: OverProvider<WriteProviders>) -> Result<WithEtag<View>, Problem> {
    let done = providers::set_active(&program.caller.act(&app), &program.provider.id, true).await?;
    switched(&app, &program.provider.id, done).await
}

/// Deactivate a provider: every session and token of its users ends immediately
#[utoipa::path(post, operation_id = "deactivateProvider", path = "/api/v1/providers/{provider_code}/deactivate", tag = "Providers", params(AtProvider),
    security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It is inactive", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn deactivate(app: App, program: OverProvider<WriteProviders>) -> Result<WithEtag<View>, Problem> {
    let done = providers::set_active(&program.caller.act(&app), &program.provider.id, false).await?;
    switched(&app, &program.provider.id, done).await
}

/// End every session of a provider's users
#[utoipa::path(post, operation_id = "endProviderSessions", path = "/api/v1/providers/{provider_code}/end-sessions", tag = "Providers", params(AtProvider),
    security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "They have ended", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn end_sessions(app: App, program: OverProvider<WriteProviders>) -> Result<WithEtag<View>, Problem> {
    let done = providers::end_sessions(&program.caller.act(&app), &program.provider.id).await?;
    switched(&app, &program.provider.id, done).await
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
pub struct Count {
    /// The number.
    #[schema(minimum = 0)]
    pub count: u64,
}

/// Lift the password lock of every user of a provider; an administrator's locks stay
#[utoipa::path(post, operation_id = "unlockProviderUsers", path = "/api/v1/providers/{provider_code}/unlock-all", tag = "Providers", params(AtProvider),
    security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "How many were locked", body = Count)))]
pub async fn unlock_all(app: App, program: OverProvider<WriteProviders>) -> Result<axum::Json<Count>, Problem> {
    let count = providers::unlock_all(&program.caller.act(&app), &program.provider.id).await?;
    count.map(|count| axum::Json(Count { count })).ok_or_else(Problem::not_found)
}

/// Stands where a state moved on since it was read.
pub(super) fn moved_on(detail: &str) -> Problem {
    Problem::new(Kind::Conflict, detail)
}
