//! What an admin's buttons do to one user: each a POST of its own, one act of [`operations::users`](users) and back to
//! the user's page.

use axum::response::Response;

use super::temporary::TemporaryPasswords;
use super::user::LIST;
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::answers::{back, switched};
use crate::operations::users::{self, Locks, Unlocked, Untied};
use crate::store;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::ids::{Id, checked};
use crate::web::layers::Arrival;
use crate::web::notice::Notice;

/// `POST /admin/users/{id}/lock`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn lock(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let done = users::lock(&admin.act(&app, &arrival), admin.scope.provider_id(), &id).await?;
    switched(LIST, &id, done, Notice::UserLocked)
}

/// `POST /admin/users/{id}/unlock`: the lock that the field `lock` names.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn unlock(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let locks = match fields.take("lock").as_str() {
        "password" => Locks::Password,
        "admin" => Locks::Admin,
        _ => return Err(PageError::BadForm("It does not say which lock is to go.")),
    };
    match users::unlock(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, locks).await? {
        Unlocked::Yes { .. } | Unlocked::WasNot => Ok(back(LIST, &id, Notice::UserUnlocked)),
        Unlocked::NotFound => Err(PageError::NotFound),
    }
}

/// `POST /admin/users/{id}/deactivate`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn deactivate(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let done = users::set_active(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, false).await?;
    switched(LIST, &id, done, Notice::UserDeactivated)
}

/// `POST /admin/users/{id}/reactivate`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn reactivate(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let done = users::set_active(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, true).await?;
    switched(LIST, &id, done, Notice::UserReactivated)
}

/// `POST /admin/users/{id}/reset-password`: a temporary password, shown once.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn reset_password(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let user = store::users::in_scope(&mut app.db.read().await?, &admin.scope, &id).await?;
    let user = user.ok_or(PageError::NotFound)?;
    let act = &admin.act(&app, &arrival);
    let (provider_id, provider_code) = (admin.scope.provider_id(), admin.session.provider_code.as_str());
    let passwords = TemporaryPasswords { app: &app, act, session: &admin.session, provider_id, provider_code };
    let reset = passwords.reset(&user, &mut fields, &format!("{LIST}/{id}")).await?;
    Ok(reset.unwrap_or_else(|why| back(LIST, &id, why)))
}

/// `POST /admin/users/{id}/end-sessions`: the one that the field `session` names, or all.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn end_sessions(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (act, provider_id) = (admin.act(&app, &arrival), admin.scope.provider_id());
    let Some(session) = fields.take_if_present("session") else {
        return match users::end_sessions(&act, provider_id, &id).await? {
            Some(_) => Ok(back(LIST, &id, Notice::UserSessionsEnded)),
            None => Err(PageError::NotFound),
        };
    };
    let session = checked(&session).unwrap_or_default();
    switched(LIST, &id, users::end_session(&act, provider_id, &id, &session).await?, Notice::SessionEnded)
}

/// `POST /admin/users/{id}/untie`: from the issuer that the field names.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn untie(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let issuer: String = fields.take("issuer").chars().filter(|c| !c.is_control()).collect();
    match users::untie(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, Some(&issuer)).await? {
        Untied::Yes(_) | Untied::WasNot | Untied::NoSuchIssuer => Ok(back(LIST, &id, Notice::UserUntied)),
        Untied::NoSuchUser => Err(PageError::NotFound),
    }
}
