//! What an admin's buttons do to one user without asking first: each a POST of its own, one act of
//! [`operations::users`](users) and back to the user's page.

use axum::response::Response;

use crate::app::App;
use crate::console::admins::{ProviderAdmin, UsersAdmin as _};
use crate::console::answers::{back, switched};
use crate::operations::users::email::{self, NotMailed, Vouched};
use crate::operations::users::{self, Locks, Unlocked, invitation};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;

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
        Unlocked::Yes { .. } | Unlocked::WasNot => Ok(back(&admin.list(), &id, Notice::UserUnlocked)),
        // Nothing was confirmed, so nothing is stale.
        Unlocked::NotFound | Unlocked::Stale => Err(PageError::NotFound),
    }
}

/// `POST /admin/users/{id}/reactivate`
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn reactivate(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let done = users::set_active(&admin.act(&app, &arrival), admin.scope.provider_id(), &id, true).await?;
    switched(&admin.list(), &id, done, Notice::UserReactivated)
}

/// `POST /admin/users/{id}/send-verification`: a link by which the user verifies the e-mail address.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn send_verification(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
) -> Result<Response, PageError> {
    let sent = email::send_verification(&admin.act(&app, &arrival), admin.scope.provider_id(), &id).await?;
    mailed(&admin, &id, sent.map(drop), Notice::VerificationSent)
}

/// `POST /admin/users/{id}/invite`: a link by which a user without a password of their own sets one.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn invite(app: App, arrival: Arrival, admin: ProviderAdmin, Id(id): Id) -> Result<Response, PageError> {
    let sent = invitation::send(&admin.act(&app, &arrival), admin.scope.provider_id(), &id).await?;
    mailed(&admin, &id, sent.map(drop), Notice::InvitationSent)
}

fn mailed(admin: &ProviderAdmin, id: &str, sent: Result<(), NotMailed>, done: Notice) -> Result<Response, PageError> {
    match sent {
        Ok(()) => Ok(back(&admin.list(), id, done)),
        Err(NotMailed::NotFound) => Err(PageError::NotFound),
        Err(why) => Ok(back(&admin.list(), id, Notice::of_not_mailed(why))),
    }
}

/// `POST /admin/users/{id}/check-email`: the admin checked the address that the field `email` names.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn check_email(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (act, seen) = (admin.act(&app, &arrival), fields.take("email"));
    let done = email::vouch(&act, admin.scope.provider_id(), &id, &seen, Vouched::Checked).await?;
    switched(&admin.list(), &id, done, Notice::EmailChecked)
}
