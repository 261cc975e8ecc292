//! `/api/v1/providers/{provider_code}/unified-login`: the way to Unified Login (U1).

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Details, Problem};
use crate::api::caller::{Caller, Everywhere, InProvider, OverProvider, ReadProviders, WriteProviders};
use crate::api::extract::{Body, Page};
use crate::api::providers::{AtProvider, moved_on};
use crate::app::App;
use crate::model::activity::actor_for_provider;
use crate::model::provider::{Step, UnifiedLogin};
use crate::model::validation_error::ValidationError;
use crate::operations::unified_login::{self, Decision, Transition};
use crate::store;
use crate::store::unified_login::{Stepped, Waiting};
use crate::time::Timestamp;
use crate::web::ids::checked;

/// As many steps are shown.
const STEPS: i64 = 100;
/// As many requests are shown.
const MOST: i64 = 200;

/// Where a provider is on the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnifiedLogin)]
pub struct View {
    /// `off`, `requested` or `on`.
    unified_login: UnifiedLogin,
    /// Every step, the newest first; the newest 100 of them.
    steps: Vec<StepView>,
}

/// A step on the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnifiedLoginStep)]
pub struct StepView {
    /// Names the step; a decision names the request that it decides.
    id: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What.
    step: Step,
    /// Who took it.
    actor: String,
    /// In that person's words.
    note: Option<String>,
}

impl StepView {
    fn of(step: Stepped, for_provider: bool) -> Self {
        let actor = if for_provider { actor_for_provider(&step.actor) } else { step.actor };
        Self { id: step.id, at: Timestamp(step.at).rfc3339(), step: step.step, actor, note: step.note }
    }
}

async fn read(app: &App, caller: &Caller, provider_id: &str) -> Result<Json<View>, Problem> {
    let mut conn = app.db.read().await?;
    let provider = store::providers::by_id(&mut conn, provider_id).await?.ok_or_else(Problem::not_found)?;
    let steps = store::unified_login::of_provider(&mut conn, provider_id, STEPS).await?;
    let view = |step| StepView::of(step, caller.is_of_provider());
    Ok(Json(View { unified_login: provider.unified_login, steps: steps.into_iter().map(view).collect() }))
}

async fn taken(app: &App, caller: &Caller, provider_id: &str, taken: Transition) -> Result<Json<View>, Problem> {
    match taken {
        Transition::Yes => read(app, caller, provider_id).await,
        Transition::Stale => {
            Err(moved_on("The state is no longer one that this step begins at. Read it again; nothing was done."))
        }
        Transition::NotFound => Err(Problem::not_found()),
        Transition::Invalid(invalid) => Err(invalid.into()),
    }
}

/// Show where a provider is on the way to Unified Login
#[utoipa::path(get, operation_id = "getUnifiedLogin", path = "/api/v1/providers/{provider_code}/unified-login", tag = "Unified Login", params(AtProvider),
    security(("oauth2" = ["providers.read"])), responses((status = 200, description = "State and steps", body = View)))]
pub async fn show(app: App, program: InProvider<ReadProviders>) -> Result<Json<View>, Problem> {
    read(&app, &program.caller, &program.provider.id).await
}

/// A request.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = UnifiedLoginRequest)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// What the operator should know.
    #[schema(max_length = 500)]
    note: Option<String>,
}

/// Ask for Unified Login
#[utoipa::path(post, operation_id = "requestUnifiedLogin", path = "/api/v1/providers/{provider_code}/unified-login/request", tag = "Unified Login",
    params(AtProvider), request_body = Asking, security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It waits for a decision", body = View),
        (status = 409, description = "It is not off", body = Details, content_type = "application/problem+json")))]
pub async fn request(app: App, program: InProvider<WriteProviders>, body: Body<Asking>) -> Result<Json<View>, Problem> {
    let note = body.read.note.unwrap_or_default();
    let done = unified_login::request(&program.caller.act(&app), &program.provider.id, &note).await?;
    taken(&app, &program.caller, &program.provider.id, done).await
}

/// Withdraw the request
#[utoipa::path(post, operation_id = "withdrawUnifiedLogin", path = "/api/v1/providers/{provider_code}/unified-login/withdraw", tag = "Unified Login",
    params(AtProvider), security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It is off", body = View),
        (status = 409, description = "No request is pending", body = Details, content_type = "application/problem+json")))]
pub async fn withdraw(app: App, program: InProvider<WriteProviders>) -> Result<Json<View>, Problem> {
    let done = unified_login::withdraw(&program.caller.act(&app), &program.provider.id).await?;
    taken(&app, &program.caller, &program.provider.id, done).await
}

/// That a request is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UnifiedLoginApproval)]
#[serde(deny_unknown_fields)]
pub struct Approving {
    /// `id` of the step that is decided, as it was read; `null` where a seed file asked.
    #[schema(format = "uuid")]
    request: Option<String>,
    /// Why, if there is something to say.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// That a request is declined.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UnifiedLoginDecline)]
#[serde(deny_unknown_fields)]
pub struct Declining {
    /// `id` of the step that is decided, as it was read; `null` where a seed file asked.
    #[schema(format = "uuid")]
    request: Option<String>,
    /// Why, in words that the provider's admins read.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

async fn decide(
    app: &App,
    caller: &Caller,
    provider_id: &str,
    request: Option<String>,
    decision: Decision,
    reason: &str,
) -> Result<Json<View>, Problem> {
    let read = match request {
        None => None,
        Some(text) => Some(checked(&text).ok_or_else(|| ValidationError::new("request", "must be the id of a step"))?),
    };
    let done = unified_login::decide(&caller.act(app), provider_id, read, decision, reason).await?;
    taken(app, caller, provider_id, done).await
}

/// Approve the request: Unified Login is on
#[utoipa::path(post, operation_id = "approveUnifiedLogin", path = "/api/v1/providers/{provider_code}/unified-login/approve", tag = "Unified Login",
    params(AtProvider), request_body = Approving, security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It is on", body = View),
        (status = 409, description = "This request is no longer pending", body = Details, content_type = "application/problem+json")))]
pub async fn approve(
    app: App,
    program: OverProvider<WriteProviders>,
    body: Body<Approving>,
) -> Result<Json<View>, Problem> {
    let Approving { request, reason } = body.read;
    let reason = reason.unwrap_or_default();
    decide(&app, &program.caller, &program.provider.id, request, Decision::Approve, &reason).await
}

/// Decline the request
#[utoipa::path(post, operation_id = "declineUnifiedLogin", path = "/api/v1/providers/{provider_code}/unified-login/decline", tag = "Unified Login",
    params(AtProvider), request_body = Declining, security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It is off", body = View),
        (status = 409, description = "This request is no longer pending", body = Details, content_type = "application/problem+json")))]
pub async fn decline(
    app: App,
    program: OverProvider<WriteProviders>,
    body: Body<Declining>,
) -> Result<Json<View>, Problem> {
    let Declining { request, reason } = body.read;
    decide(&app, &program.caller, &program.provider.id, request, Decision::Decline, &reason).await
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// In words that the provider's admins read.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Switch Unified Login off
#[utoipa::path(post, operation_id = "switchOffUnifiedLogin", path = "/api/v1/providers/{provider_code}/unified-login/switch-off", tag = "Unified Login",
    params(AtProvider), request_body = Reason, security(("oauth2" = ["providers.write"])),
    responses((status = 200, description = "It is off", body = View),
        (status = 409, description = "It is not on", body = Details, content_type = "application/problem+json")))]
pub async fn switch_off(
    app: App,
    program: OverProvider<WriteProviders>,
    body: Body<Reason>,
) -> Result<Json<View>, Problem> {
    let reason = body.read.reason.unwrap_or_default();
    let done = unified_login::switch_off(&program.caller.act(&app), &program.provider.id, &reason).await?;
    taken(&app, &program.caller, &program.provider.id, done).await
}

/// A provider that waits for a decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingRequest)]
pub struct WaitingView {
    /// Provider Code.
    provider_code: String,
    /// Its name.
    provider_name: String,
    /// Whether it is active.
    active: bool,
    /// The step that is to be decided; `null` where a seed file asked.
    request: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// Who asked.
    actor: Option<String>,
    /// In that person's words.
    note: Option<String>,
}

impl WaitingView {
    fn of(row: Waiting) -> Self {
        Self {
            provider_code: row.code,
            provider_name: row.name,
            active: row.active,
            request: row.step_id,
            since: Timestamp(row.since).rfc3339(),
            actor: row.actor,
            note: row.note,
        }
    }
}

/// List the requests that wait, the oldest first; at most 200
#[utoipa::path(get, operation_id = "listUnifiedLoginRequests", path = "/api/v1/unified-login-requests", tag = "Unified Login",
    security(("oauth2" = ["providers.read"])), responses((status = 200, description = "The pending requests", body = Page<WaitingView>)))]
pub async fn waiting(app: App, _program: Everywhere<ReadProviders>) -> Result<Json<Page<WaitingView>>, Problem> {
    let waiting = store::unified_login::waiting(&mut app.db.read().await?, MOST).await?;
    Ok(Json(Page { items: waiting.into_iter().map(WaitingView::of).collect(), next: None }))
}
