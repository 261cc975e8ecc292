//! What an operator's buttons do to one provider without asking first: each a POST of its own, and back to the provider's
//! page.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::provider::{self, LIST};
use crate::app::App;
use crate::console::admins::{TherapAdmin, agency};
use crate::console::answers::{back, form_again, switched};
use crate::console::reauth::Sender;
use crate::console::users::temporary::{NewPerson, TemporaryPasswords};
use crate::model::user::UserType;
use crate::operations::providers;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;

/// `POST /operator/providers/{id}/activate`
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn activate(app: App, arrival: Arrival, admin: TherapAdmin, Id(id): Id) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    switched(LIST, &id, providers::set_active(&admin.act(&app, &arrival), &id, true).await?, Notice::ProviderActivated)
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
        Err(unproven) => return Ok(unproven.answer(&page, &format!("{LIST}/{id}"))),
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
