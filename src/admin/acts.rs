//! What an admin's buttons do to one user: each a POST of its own, one act of [`operations::users`](users) and back to
//! the user's page.

use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::model::user::Account;
use crate::operations::act::Switched;
use crate::operations::users::{self, Locks, Reset, Unlocked, Untied};
use crate::store;
use crate::web::admin::{Id, ProviderAdmin, checked};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::password_slip::{self, Whose};

/// Back to the user's page.
fn back(id: &str, done: &str) -> Response {
    Redirect::to(&format!("/admin/users/{id}?done={done}")).into_response()
}

fn switched(id: &str, switched: Switched, done: &str) -> Result<Response, PageError> {
    match switched {
        // It is so, whoever was first.
        Switched::Done | Switched::Already => Ok(back(id, done)),
        Switched::NotFound | Switched::OperatorRealm | Switched::LastAdmin => Err(PageError::NotFound),
    }
}

/// The user, and whether it is the admin.
async fn find(app: &App, admin: &ProviderAdmin, id: &str) -> Result<(Account, bool), PageError> {
    let user = store::users::in_scope(&mut app.db.read().await?, &admin.scope, id).await?;
    let user = user.ok_or(PageError::NotFound)?;
    let own = user.id == admin.session.user_id;
    Ok((user, own))
}

/// `POST /admin/users/{id}/lock`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn lock(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    if find(&app, &admin, &id).await?.1 {
        return Ok(back(&id, "self"));
    }
    let done = users::lock(&admin.act(&app, &arrival), admin.scope.provider_id(), &id).await?;
    switched(&id, done, "locked")
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
        Unlocked::Yes { .. } | Unlocked::WasNot => Ok(back(&id, "unlocked")),
        Unlocked::NotFound => Err(PageError::NotFound),
    }
}

/// `POST /admin/users/{id}/deactivate`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn deactivate(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    if find(&app, &admin, &id).await?.1 {
        return Ok(back(&id, "self"));
    }
    let done = users::set_active(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, false).await?;
    switched(&id, done, "deactivated")
}

/// `POST /admin/users/{id}/reactivate`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn reactivate(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let done = users::set_active(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, true).await?;
    switched(&id, done, "reactivated")
}

/// `POST /admin/users/{id}/reset-password`: a temporary password, shown once. The form says which password it replaces,
/// so that a page loaded again does not replace the one that was just printed.
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
    let (user, own) = find(&app, &admin, &id).await?;
    if own {
        return Ok(back(&id, "self"));
    }
    let seen = fields.take("password_version").parse().unwrap_or(0);
    let password = users::generate_password(&app.random);
    let hash = users::hash(&app, &password).await.map_err(|_| PageError::Unavailable("no room to hash".into()))?;
    match users::reset_password(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, &hash, Some(seen)).await? {
        Reset::Yes { until, still_locked, .. } => {
            let (back, code) = (format!("/admin/users/{id}"), &admin.session.provider_code);
            let (name, login_name) = (&user.name, &user.login_name);
            let whose = Whose { name, login_name, provider_code: code, still_locked, back: &back };
            Ok(password_slip::show(&app, &admin.session, "The password was reset", whose, password, until))
        }
        Reset::Before => Ok(back(&id, "reset-before")),
        Reset::NotFound => Err(PageError::NotFound),
    }
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
            Some(_) => Ok(back(&id, "sessions")),
            None => Err(PageError::NotFound),
        };
    };
    let session = checked(&session).unwrap_or_default();
    switched(&id, users::end_session(&act, provider_id, &id, &session).await?, "session")
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
        Untied::Yes(_) | Untied::WasNot | Untied::NoSuchIssuer => Ok(back(&id, "untied")),
        Untied::NoSuchUser => Err(PageError::NotFound),
    }
}
