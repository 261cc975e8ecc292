//! What a program does to one user: each a POST, answered with the user as it stands then.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::caller::{InProvider, WriteUsers};
use crate::api::etag::WithEtag;
use crate::api::extract::{Body, UserId};
use crate::api::problem::{Details, Kind, Problem};
use crate::api::users::{AtUser, View, read, temporary_password};
use crate::app::App;
use crate::model::validation_error::ValidationError;
use crate::model::{words, words_in_json};
use crate::operations::admin_context::Switched;
use crate::operations::users::email::{self, NotMailed, Vouched};
use crate::operations::users::{self, Locks, Reset, Unlocked, Untied, invitation};
use crate::time::Timestamp;

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
        // Programs confirm nothing; they send If-Match.
        Unlocked::NotFound | Unlocked::Stale => Err(Problem::not_found()),
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
        Untied::NoSuchUser | Untied::Stale => Err(Problem::not_found()),
    }
}

/// A link that was mailed.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailedLink {
    /// Until when it works.
    #[schema(format = DateTime)]
    works_until: String,
}

fn mailed(sent: Result<Timestamp, NotMailed>) -> Result<Json<MailedLink>, Problem> {
    sent.map(|until| Json(MailedLink { works_until: until.rfc3339() })).map_err(Problem::from)
}

/// Mail a user a link by which the e-mail address is verified
#[utoipa::path(post, operation_id = "sendVerificationEmail", path = "/api/v1/providers/{provider_code}/users/{user_id}/send-verification-email",
    tag = "Users", params(AtUser), security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "It is on its way", body = MailedLink),
        (status = 409, description = "E-mail is not configured, the address is verified already, or enough was sent to it", body = Details,
            content_type = "application/problem+json")))]
pub async fn send_verification_email(
    app: App,
    program: InProvider<WriteUsers>,
    UserId(id): UserId,
) -> Result<Json<MailedLink>, Problem> {
    mailed(email::send_verification(&program.caller.act(&app), &program.provider.id, &id).await?)
}

/// Mail a user who has no password of their own a link to set one, instead of a temporary password; the link of an earlier
/// invitation ends
#[utoipa::path(post, operation_id = "sendInvitation", path = "/api/v1/providers/{provider_code}/users/{user_id}/send-invitation",
    tag = "Users", params(AtUser), security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "It is on its way", body = MailedLink),
        (status = 409, description = "E-mail is not configured, the user has a password, or enough was sent to the address", body = Details,
            content_type = "application/problem+json")))]
pub async fn send_invitation(
    app: App,
    program: InProvider<WriteUsers>,
    UserId(id): UserId,
) -> Result<Json<MailedLink>, Problem> {
    mailed(invitation::send(&program.caller.act(&app), &program.provider.id, &id).await?)
}

/// Which address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// The user's e-mail address, as it was read.
    email: String,
}

/// Vouch for a user's e-mail address
///
/// By a program of the operator it is verified then. By a program of the agency it is checked: e-mails about the account
/// go there, and apps are not told that it is verified.
#[utoipa::path(post, operation_id = "verifyEmail", path = "/api/v1/providers/{provider_code}/users/{user_id}/verify-email", tag = "Users",
    params(AtUser), request_body = VerifyEmail, security(("oauth2" = ["users.write"])),
    responses((status = 200, description = "The user as it is now", body = View, headers(("ETag", description = "The user's revision"))),
        (status = 409, description = "It is not the user's address", body = Details, content_type = "application/problem+json")))]
pub async fn verify_email(
    app: App,
    program: InProvider<WriteUsers>,
    UserId(id): UserId,
    body: Body<VerifyEmail>,
) -> Answer {
    let vouched = if program.caller.is_of_provider() { Vouched::Checked } else { Vouched::Verified };
    let act = program.caller.act(&app);
    let done = email::vouch(&act, &program.provider.id, &id, &body.read.email, vouched).await?;
    if done == Switched::Stale {
        return Err(Problem::new(Kind::Conflict, "It is not the user's e-mail address. Nothing was changed."));
    }
    switched(&app, &program, &id, done).await
}
