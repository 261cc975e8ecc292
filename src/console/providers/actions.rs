//! What an operator's buttons do to one provider: each a POST of its own, and back to the provider's page. What ends
//! sessions asks for the password again.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::provider::{self, LIST};
use crate::app::App;
use crate::console::admins::{Reauthenticated, TherapAdmin};
use crate::console::answers::{back, form_again, switched};
use crate::console::reauth::again::Sender;
use crate::console::users::temporary::{NewPerson, TemporaryPasswords};
use crate::model::provider::{Provider, ProviderKind};
use crate::model::user::UserType;
use crate::operations::admin_context::ValidationError;
use crate::operations::providers;
use crate::operations::unified_login::{self, Transition};
use crate::store;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::ids::{Id, checked};
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Shape, respond};

/// The agency; the operator realm is none.
async fn agency(app: &App, id: &str) -> Result<Provider, PageError> {
    let found = store::providers::by_id(&mut app.db.read().await?, id).await?;
    found.filter(|provider| provider.kind == ProviderKind::Agency).ok_or(PageError::NotFound)
}

/// `POST /operator/providers/{id}/activate`
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn activate(app: App, arrival: Arrival, admin: TherapAdmin, Id(id): Id) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    switched(LIST, &id, providers::set_active(&admin.act(&app, &arrival), &id, true).await?, Notice::ProviderActivated)
}

/// `POST /operator/providers/{id}/deactivate`
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn deactivate(app: App, arrival: Arrival, proof: Reauthenticated, Id(id): Id) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    switched(
        LIST,
        &id,
        providers::set_active(&proof.admin.act(&app, &arrival), &id, false).await?,
        Notice::ProviderDeactivated,
    )
}

/// `POST /operator/providers/{id}/end-sessions`
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn end_sessions(
    app: App,
    arrival: Arrival,
    proof: Reauthenticated,
    Id(id): Id,
) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    switched(
        LIST,
        &id,
        providers::end_sessions(&proof.admin.act(&app, &arrival), &id).await?,
        Notice::ProviderSessionsEnded,
    )
}

/// `POST /operator/providers/{id}/unlock-all`: every password lock; an admin's locks stay.
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn unlock_all(app: App, arrival: Arrival, admin: TherapAdmin, Id(id): Id) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    match providers::unlock_all(&admin.act(&app, &arrival), &id).await? {
        Some(_) => Ok(back(LIST, &id, Notice::ProviderUnlocked)),
        None => Err(PageError::NotFound),
    }
}

/// `POST /operator/providers/{id}/switch-off`: Unified Login.
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn switch_off(
    app: App,
    arrival: Arrival,
    proof: Reauthenticated,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    let typed = fields.take("note");
    match unified_login::switch_off(&proof.admin.act(&app, &arrival), &id, &typed).await? {
        Transition::Yes => Ok(back(LIST, &id, Notice::UnifiedLoginOff)),
        Transition::Stale => Ok(back(LIST, &id, Notice::UnifiedLoginWasOff)),
        Transition::NotFound => Err(PageError::NotFound),
        Transition::Invalid(invalid) => {
            let mut page = provider::page(&app, arrival.now, &proof.admin, &id).await?;
            page.note = typed;
            page.faults.check::<()>("The reason", Err(ValidationError { key: "note", ..invalid }));
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
    }
}

/// `POST /operator/providers/{id}/admins`: a Provider Admin, with a temporary password shown once.
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn new_admin(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = provider::page(&app, arrival.now, &admin, &id).await?;
    page.new_admin = NewPerson::typed(&mut fields, "admin_name");
    let faults = &mut page.faults;
    let Some(person) = page.new_admin.check("admin_name", "The admin’s name", faults) else {
        return Ok(form_again(StatusCode::UNPROCESSABLE_ENTITY, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, faults).await? {
        Ok(proof) => proof,
        Err(unproven) => return Ok(unproven.answer(&page)),
    };
    page.ask_password = false;
    let act = &admin.act(&app, &arrival);
    let code = page.code.clone();
    let passwords =
        TemporaryPasswords { app: &app, act, session: &admin.session, provider_id: &id, provider_code: &code };
    let back = |_: &str| format!("{LIST}/{id}");
    let heading = "The Provider Admin was created";
    let made = passwords.create(person, UserType::ProviderAdmin, heading, back, &mut page.faults).await;
    Ok(proof.on(made.map(|made| made.unwrap_or_else(|status| form_again(status, &page)))))
}

/// `POST /operator/providers/{id}/reset-password`: of one of its Provider Admins, whom the field `user` names (L6).
///
/// # Errors
/// When there is no such provider or admin, or the database fails.
pub async fn reset_password(
    app: App,
    arrival: Arrival,
    proof: Reauthenticated,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (admin, provider) = (proof.admin, agency(&app, &id).await?);
    let Some(user_id) = checked(&fields.take("user")) else {
        return Err(PageError::BadForm("It does not say whose password is to be reset."));
    };
    let found = store::users::by_id(&mut app.db.read().await?, &user_id).await?;
    let user = found
        .filter(|user| user.provider_id == provider.id && user.user_type == UserType::ProviderAdmin)
        .ok_or(PageError::NotFound)?;
    let act = &admin.act(&app, &arrival);
    let (provider_id, provider_code) = (provider.id.as_str(), provider.code.as_str());
    let passwords = TemporaryPasswords { app: &app, act, session: &admin.session, provider_id, provider_code };
    let reset = passwords.reset(&user, &mut fields, &format!("{LIST}/{id}")).await?;
    Ok(reset.unwrap_or_else(|why| back(LIST, &id, why)))
}
