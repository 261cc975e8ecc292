//! What a program does to one user: each a POST, answered with the user as it stands then.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::caller::{InProvider, WriteUsers};
use crate::api::etag::WithEtag;
use crate::api::extract::{Body, UserId};
use crate::api::problem::Problem;
use crate::api::users::{AtUser, View, read, temporary_password};
use crate::app::App;
use crate::model::validation_error::ValidationError;
use crate::model::{words, words_in_json};
use crate::operations::admin_context::Switched;
use crate::operations::users::{self, Locks, Reset, Unlocked, Untied};

type Answer = Result<WithEtag<View>, Problem>;

async fn switched(app: &App, program: &InProvider<WriteUsers>, id: &str, switched: Switched) -> Answer {
    match switched {
        // It is so, whoever was first.
        Switched::Done | Switched::Already => read(app, &program.scope, id).await,
        Switched::NotFound
        | Switched::OperatorRealm
        | Switched::LastAdmin
        | Switched::Own
        // Programs confirm nothing; they send If-Match.
        | Switched::Stale => Err(Problem::not_found()),
    }
}

/// Lock a user as an administrator does: every session and token ends immediately
#[utoipa::path(post, operation_id = "lockUser", path = "/api/v1/providers/{provider_code}/users/{user_id}/lock", tag = "Users", params(AtUser),
    security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The user is locked", body = View, headers(("ETag", description = "The user's revision")))))]
pub async fn lock(app: App, program: InProvider<WriteUsers>, UserId(id): UserId) -> Answer {
    let done = users::lock(&program.caller.act(&app), &program.provider.id, &id).await?;
    switched(&app, &program, &id, done).await
}

/// Which lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Three wrong passwords in a row.
    Password,
    /// An administrator's.
    Admin,
    /// Whichever there is.
    Both,
}
words!(Which { Password = "password", Admin = "admin", Both = "both" });
words_in_json!(Which as "Lock");

/// Which lock is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// The two are kept apart: lift the one that is meant.
    lock: Which,
}

/// Lift a lock
#[utoipa::path(post, operation_id = "unlockUser", path = "/api/v1/providers/{provider_code}/users/{user_id}/unlock", tag = "Users", params(AtUser),
    request_body = Unlock, security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The lock is removed", body = View, headers(("ETag", description = "The user's revision")))))]
pub async fn unlock(app: App, program: InProvider<WriteUsers>, UserId(id): UserId, body: Body<Unlock>) -> Answer {
    let locks = match body.read.lock {
        Which::Password => Locks::Password,
        Which::Admin => Locks::Admin,
        Which::Both => Locks::Both,
    };
    match users::unlock(&program.caller.act(&app), &program.provider.id, &id, locks).await? {
        Unlocked::Yes { .. } | Unlocked::WasNot => read(&app, &program.scope, &id).await,
        Unlocked::NotFound => Err(Problem::not_found()),
    }
}

/// Deactivate a user: every session and token ends immediately
#[utoipa::path(post, operation_id = "deactivateUser", path = "/api/v1/providers/{provider_code}/users/{user_id}/deactivate", tag = "Users", params(AtUser),
    security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The user is deactivated", body = View, headers(("ETag", description = "The user's revision")))))]
pub async fn deactivate(app: App, program: InProvider<WriteUsers>, UserId(id): UserId) -> Answer {
    let done = users::set_active(&program.caller.act(&app), &program.provider.id, &id, false).await?;
    switched(&app, &program, &id, done).await
}

/// Reactivate a user
#[utoipa::path(post, operation_id = "reactivateUser", path = "/api/v1/providers/{provider_code}/users/{user_id}/reactivate", tag = "Users", params(AtUser),
    security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The user is active", body = View, headers(("ETag", description = "The user's revision")))))]
pub async fn reactivate(app: App, program: InProvider<WriteUsers>, UserId(id): UserId) -> Answer {
    let done = users::set_active(&program.caller.act(&app), &program.provider.id, &id, true).await?;
    switched(&app, &program, &id, done).await
}

/// A password.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// A temporary password; one is made where none is given.
    #[schema(format = Password)]
    temporary_password: Option<String>,
}

/// A temporary password, this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetPassword {
    /// Hand it to the person; it is replaced at the next sign-in.
    temporary_password: String,
    /// Until when it works.
    #[schema(format = DateTime)]
    temporary_password_until: String,
    /// An administrator's lock still stands.
    admin_locked: bool,
}

/// Give a user a temporary password: sessions end, a password lock is lifted
#[utoipa::path(post, operation_id = "resetPassword", path = "/api/v1/providers/{provider_code}/users/{user_id}/reset-password", tag = "Users",
    params(AtUser), request_body = PasswordReset, security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The temporary password", body = ResetPassword)))]
pub async fn reset_password(
    app: App,
    program: InProvider<WriteUsers>,
    UserId(id): UserId,
    body: Body<PasswordReset>,
) -> Result<Json<ResetPassword>, Problem> {
    let password = temporary_password(&app, body.read.temporary_password.as_deref())?;
    match users::reset_password(&program.caller.act(&app), &program.provider.id, &id, &password, None).await? {
        Reset::Yes { until, still_locked, .. } => Ok(Json(ResetPassword {
            temporary_password: password.to_string(),
            temporary_password_until: until.rfc3339(),
            admin_locked: still_locked,
        })),
        Reset::Before | Reset::NotFound | Reset::Own => Err(Problem::not_found()),
        Reset::Busy => Err(Problem::unavailable("no room to hash")),
    }
}

/// From whom.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Untie {
    /// The trusted issuer; every one where none is given.
    issuer: Option<String>,
}

/// Unlink a user from a trusted issuer: the next handoff links the user again
#[utoipa::path(post, operation_id = "untieUser", path = "/api/v1/providers/{provider_code}/users/{user_id}/untie", tag = "Users", params(AtUser),
    request_body = Untie, security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The user is unlinked", body = View, headers(("ETag", description = "The user's revision")))))]
pub async fn untie(app: App, program: InProvider<WriteUsers>, UserId(id): UserId, body: Body<Untie>) -> Answer {
    let issuer = body.read.issuer;
    if issuer.as_ref().is_some_and(|issuer| issuer.contains('\0')) {
        return Err(ValidationError::new("issuer", "is no trusted issuer").into());
    }
    match users::untie(&program.caller.act(&app), &program.provider.id, &id, issuer.as_deref()).await? {
        Untied::Yes(_) | Untied::WasNot => read(&app, &program.scope, &id).await,
        Untied::NoSuchIssuer => Err(ValidationError::new("issuer", "is no trusted issuer").into()),
        Untied::NoSuchUser => Err(Problem::not_found()),
    }
}
