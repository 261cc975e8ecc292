//! What an operator's buttons do to one provider: each a POST of its own, and back to the provider's page. What ends
//! sessions asks for the password again.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::password_again::{Again, Sender, show_again};
use super::provider::{self, ProviderPage};
use super::{back, switched};
use crate::app::App;
use crate::model::claims::Claims;
use crate::model::login_name::LoginName;
use crate::model::provider::{Provider, ProviderKind};
use crate::model::user::UserType;
use crate::operations::act::Act;
use crate::operations::providers;
use crate::operations::unified_login::{self, Taken, check_words};
use crate::operations::users::{self, Created, Reset};
use crate::store;
use crate::store::users::NewUser;
use crate::web::admin::{Id, Reauthenticated, TherapAdmin, checked};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::page::{Shape, respond};
use crate::web::password_slip::{self, Whose};

/// Where its page stands.
const LIST: &str = "/operator/providers";

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
    switched(LIST, &id, providers::set_active(&admin.act(&app, &arrival), &id, true).await?, "activated")
}

/// `POST /operator/providers/{id}/deactivate`
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn deactivate(app: App, arrival: Arrival, proof: Reauthenticated, Id(id): Id) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    switched(LIST, &id, providers::set_active(&proof.admin.act(&app, &arrival), &id, false).await?, "deactivated")
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
    switched(LIST, &id, providers::end_sessions(&proof.admin.act(&app, &arrival), &id).await?, "sessions")
}

/// `POST /operator/providers/{id}/unlock-all`: every password lock; an admin's locks stay.
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn unlock_all(app: App, arrival: Arrival, admin: TherapAdmin, Id(id): Id) -> Result<Response, PageError> {
    agency(&app, &id).await?;
    match providers::unlock_all(&admin.act(&app, &arrival), &id).await? {
        Some(_) => Ok(back(LIST, &id, "unlocked")),
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
    match check_words("note", &typed) {
        Ok(words) => match unified_login::switch_off(&proof.admin.act(&app, &arrival), &id, words).await? {
            Taken::Yes => Ok(back(LIST, &id, "off")),
            Taken::Stale => Ok(back(LIST, &id, "stale")),
            Taken::NotFound => Err(PageError::NotFound),
        },
        Err(unfit) => {
            let mut page = provider::page(&app, arrival.now, &proof.admin, &id).await?;
            page.note = typed;
            page.faults.judge::<()>("The reason", Err(unfit));
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
    let new = &mut page.new_admin;
    (new.login_name, new.name, new.email) =
        (fields.take("login_name"), fields.take("admin_name"), fields.take("email"));
    let faults = &mut page.faults;
    let login_name = faults
        .need("login-name", &new.login_name, "Please enter a Login Name.")
        .then(|| faults.judge("The Login Name", users::parse_login_name(&new.login_name)))
        .flatten();
    let name = users::check_name(&new.name).map_err(|mut unfit| {
        unfit.key = "admin_name";
        unfit
    });
    if faults.need("admin-name", &new.name, "Please enter the name.") {
        faults.judge("The admin’s name", name);
    }
    let claims = faults.judge("The e-mail address", users::check_email(&new.email));
    let (Some(login_name), Some(claims), true) = (login_name, claims, faults.is_empty()) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match sender.prove(&mut fields, faults).await? {
        Again::Proven(proof) => proof,
        Again::Unproven(status) => return Ok(show_again(status, &page)),
        Again::Over(response) => return Ok(response),
    };
    page.ask_password = false;
    Ok(proof.on(create_admin(&app, &admin.act(&app, &arrival), &admin, &id, page, login_name, claims).await))
}

/// Makes the admin that the form describes, and shows the password, or the form again.
async fn create_admin(
    app: &App,
    act: &Act,
    admin: &TherapAdmin,
    id: &str,
    mut page: ProviderPage,
    login_name: LoginName,
    claims: Claims,
) -> Result<Response, PageError> {
    let password = users::generate_password(&app.random);
    let hash = users::hash(app, &password).await.map_err(|_| PageError::Unavailable("no room to hash".into()))?;
    let until = users::temporary_until(app, act.now);
    let user = NewUser {
        id: app.random.id(act.now),
        login_name,
        name: page.new_admin.name.clone(),
        user_type: UserType::ProviderAdmin,
        active: true,
        admin_locked: false,
        failures: 0,
        password_hash: hash,
        temporary_until: Some(until),
        claims: claims.to_json(),
    };
    match users::create(act, id, &user).await? {
        Created::Yes(_) => {
            let whose = Whose {
                name: &user.name,
                login_name: user.login_name.shown(),
                provider_code: &page.code,
                still_locked: false,
                back: &format!("/operator/providers/{id}"),
            };
            Ok(password_slip::show(app, &admin.session, "The Provider Admin was created", whose, password, until))
        }
        Created::NameTaken => {
            page.faults.add("login-name", "Another user has this Login Name already. Please choose another one.");
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
        Created::WrongType | Created::NoSuchProvider => Err(PageError::NotFound),
    }
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
    let seen = fields.take("password_version").parse().unwrap_or(0);
    let password = users::generate_password(&app.random);
    let hash = users::hash(&app, &password).await.map_err(|_| PageError::Unavailable("no room to hash".into()))?;
    match users::reset_password(&admin.act(&app, &arrival), &provider.id, &user.id, &hash, Some(seen)).await? {
        Reset::Yes { until, still_locked, .. } => {
            let whose = Whose {
                name: &user.name,
                login_name: &user.login_name,
                provider_code: &provider.code,
                still_locked,
                back: &format!("/operator/providers/{id}"),
            };
            Ok(password_slip::show(&app, &admin.session, "The password was reset", whose, password, until))
        }
        Reset::Before => Ok(back(LIST, &id, "reset-before")),
        Reset::NotFound => Err(PageError::NotFound),
    }
}
