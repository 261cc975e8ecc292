//! `/api/v1/providers/{provider_code}/users/{user_id}/sessions`: where a user is signed in, and the user's ties.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{InProvider, ReadUsers, WriteUsers};
use super::extract::{SessionId, UserId};
use super::problem::Problem;
use super::users::AtUser;
use crate::app::App;
use crate::model::session::Session;
use crate::operations::admin_context::Switched;
use crate::operations::users::{self, Ended};
use crate::store;
use crate::store::issuers::Tie;
use crate::time::Timestamp;

/// One browser signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct View {
    /// This session; a renewal makes another.
    #[schema(format = "uuid")]
    id: String,
    /// The session as apps know it.
    sid: String,
    /// `Direct Login` or `Unified Login`.
    login_type: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was last used, to the minute.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// It ends then in any case.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A link to a trusted issuer's own name of the user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tie)]
pub struct TieView {
    /// The trusted issuer.
    issuer: String,
    /// Its stable name of the user.
    sub: String,
}

/// Where a user is signed in, and to whom the user is linked.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sessions {
    /// The open sessions.
    sessions: Vec<View>,
    /// The links.
    ties: Vec<TieView>,
}

fn view(session: Session) -> View {
    View {
        login_type: session.method.login_type(),
        started_at: Timestamp(session.created_at).rfc3339(),
        last_used_at: Timestamp(session.used_at.unwrap_or(session.created_at)).rfc3339(),
        expires_at: Timestamp(session.expires_at).rfc3339(),
        id: session.id,
        sid: session.sid,
    }
}

fn tie_view(tie: Tie) -> TieView {
    TieView { issuer: tie.issuer, sub: tie.sub }
}

/// List a user's sessions and links
#[utoipa::path(get, operation_id = "listSessions", path = "/api/v1/providers/{provider_code}/users/{user_id}/sessions", tag = "Users", params(AtUser),
    security(("oauth2" = ["users.read"])), responses((status = 200, description = "Sessions and links", body = Sessions)))]
pub async fn list(app: App, program: InProvider<ReadUsers>, UserId(id): UserId) -> Result<Json<Sessions>, Problem> {
    let mut conn = app.db.read_much().await?;
    store::users::in_scope(&mut conn, &program.scope, &id).await?.ok_or_else(Problem::not_found)?;
    let sessions = store::sessions::of_user(&mut conn, &id, program.caller.now()).await?;
    let ties = store::issuers::ties_of_user(&mut conn, &id).await?;
    Ok(Json(Sessions {
        sessions: sessions.into_iter().map(view).collect(),
        ties: ties.into_iter().map(tie_view).collect(),
    }))
}

/// End every session of a user, and whatever is on its way to become one
#[utoipa::path(delete, operation_id = "endSessions", path = "/api/v1/providers/{provider_code}/users/{user_id}/sessions", tag = "Users", params(AtUser),
    security(("oauth2" = ["users.write"])), responses((status = 204, description = "They have ended")))]
pub async fn end_all(app: App, program: InProvider<WriteUsers>, UserId(id): UserId) -> Result<StatusCode, Problem> {
    match users::end_sessions(&program.caller.act(&app), &program.provider.id, &id).await? {
        Ended::Yes(_) => Ok(StatusCode::NO_CONTENT),
        Ended::Stale | Ended::NotFound => Err(Problem::not_found()),
    }
}

/// The session in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `InProvider` and `Id` read")]
pub struct AtSession {
    /// Provider Code; capital and small letters matter.
    provider_code: String,
    /// The user's `id`.
    #[param(format = "uuid")]
    user_id: String,
    /// The session's `id`.
    #[param(format = "uuid")]
    session_id: String,
}

/// End one session of a user; one that is over already is no fault
#[utoipa::path(delete, operation_id = "endSession", path = "/api/v1/providers/{provider_code}/users/{user_id}/sessions/{session_id}", tag = "Users",
    params(AtSession), security(("oauth2" = ["users.write"])), responses((status = 204, description = "It has ended")))]
pub async fn end(
    app: App,
    program: InProvider<WriteUsers>,
    UserId(id): UserId,
    SessionId(session_id): SessionId,
) -> Result<StatusCode, Problem> {
    ended(users::end_session(&program.caller.act(&app), &program.provider.id, &id, &session_id).await?)
}

fn ended(switched: Switched) -> Result<StatusCode, Problem> {
    match switched {
        Switched::Done | Switched::Already => Ok(StatusCode::NO_CONTENT),
        Switched::NotFound
        | Switched::OperatorRealm
        | Switched::LastAdmin
        | Switched::Own
        // Programs confirm nothing; they send If-Match.
        | Switched::Stale => Err(Problem::not_found()),
    }
}
