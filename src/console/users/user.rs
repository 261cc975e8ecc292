//! `/admin/users/{id}`: one user: data, locks, password, sessions, ties.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::view::{Access, parse_user_type, user_types};
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::answers::back;
use crate::console::form_revision::{FormRevision, Values, saved};
use crate::model::activity::actor_for_provider;
use crate::model::claims::Claims;
use crate::model::email::is_same;
use crate::model::user::{Account, STRIKES};
use crate::operations::admin_context::Edited;
use crate::operations::users::email::email_of_user;
use crate::operations::users::{self, Changed, Draft};
use crate::store;
use crate::time::Timestamp;
use crate::web::email_state::EmailView;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::{Choice, FieldErrors};
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::session_list::{self, SessionView};

/// Where its page stands.
pub(super) const LIST: &str = "/admin/users";

#[derive(Template)]
#[template(path = "console/users/user.html")]
struct UserPage {
    page: Page,
    faults: FieldErrors,
    revision: FormRevision,
    id: String,
    login_name: String,
    name: String,
    email: String,
    user_types: Vec<Choice>,
    stored: Stored,
    claims: Claims,
    own: bool,
    access: Access,
    states: Vec<&'static str>,
    lock: Option<LockView>,
    temporary_until: Option<String>,
    address: EmailView,
    /// The link of a verification e-mail that was sent to the address.
    verification: Option<SentLink>,
    /// Until when the link of an invitation works.
    invited_until: Option<String>,
    /// E-mails can be sent.
    by_mail: bool,
    sessions: Vec<SessionView>,
    ties: Vec<store::issuers::Tie>,
    zone: String,
}

/// A mailed link, with the times when it was sent and until when it works.
struct SentLink {
    at: String,
    until: String,
}

/// The admin's lock that keeps the user out.
struct LockView {
    at: String,
    by: String,
    reason: Option<String>,
}

/// What is stored of the data that the form shows.
struct Stored {
    name: String,
    email: String,
    user_type: &'static str,
}

/// `GET /admin/users/{id}`
///
/// # Errors
/// When there is no such user here, or the database cannot be asked.
pub async fn get(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    told: Told,
) -> Result<Response, PageError> {
    let mut page = page(&app, &arrival, &admin, &id).await?;
    page.page = page.page.saying(told);
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// `POST /admin/users/{id}`: the data.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = page(&app, &arrival, &admin, &id).await?;
    let read = page.revision.typed(&mut fields);
    (page.name, page.email) = (fields.take("name"), fields.take("email"));
    let typed = fields.take("user_type");
    // On one's own page there is nothing to choose.
    let user_type = if page.own { page.stored.user_type.parse().ok() } else { parse_user_type(&typed) };
    page.user_types = user_types(user_type.map_or("", |user_type| user_type.as_str()));
    if page.faults.need("name", &page.name, "Please enter the name.") {
        page.faults.check("The name", users::check_name(&page.name));
    }
    // An address that stands there already, by whichever way, may stay.
    let other_email = page.email != page.stored.email;
    let claims = other_email.then(|| users::with_email(page.claims.clone(), &page.email));
    let claims = claims.and_then(|checked| page.faults.check("The e-mail address", checked));
    let (Some(user_type), true) = (user_type, page.faults.is_empty()) else {
        if user_type.is_none() {
            page.faults.add("user-type-choice", "Please choose a User Type.");
        }
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let draft = Draft { name: Some(page.name.clone()), user_type: Some(user_type), claims };
    let act = admin.act(&app, &arrival);
    match users::edit(&act, admin.scope.provider_id(), &id, read, &draft).await? {
        Edited::Changed(Changed::Keys(keys)) => Ok(back(LIST, &id, saved(&keys))),
        Edited::Changed(Changed::NotFound | Changed::WrongType | Changed::Own) => Err(PageError::NotFound),
        Edited::Stale => {
            let now = self::page(&app, &arrival, &admin, &id).await?;
            let typed = values(&page.name, &page.email, user_type.as_str());
            let stored = values(&now.stored.name, &now.stored.email, now.stored.user_type);
            page.revision.mark_stale(now.revision.read, stored, &typed);
            Ok(respond(StatusCode::CONFLICT, Shape::Inside, &page))
        }
    }
}

fn values(name: &str, email: &str, user_type: &str) -> Values {
    [("Name", name), ("E-mail address", email), ("User Type", user_type)]
        .map(|(label, value)| (label, value.to_owned()))
        .into()
}

/// The page of a user as it stands.
async fn page(app: &App, arrival: &Arrival, admin: &ProviderAdmin, id: &str) -> Result<UserPage, PageError> {
    let mut conn = app.db.read().await?;
    // Before the data: a revision that is older than they are only asks once more.
    let revision = store::users::revision(&mut conn, id).await?.unwrap_or_default();
    let user = store::users::in_scope(&mut conn, &admin.scope, id).await?.ok_or(PageError::NotFound)?;
    let claims = store::users::claims(&mut conn, id).await?.unwrap_or_default();
    let zone = &admin.session.time_zone;
    let sessions = session_list::of_user(&mut conn, id, None, zone, arrival.now).await?;
    let ties = store::issuers::ties_of_user(&mut conn, id).await?;
    let lock = if user.admin_locked { users::newest_lock(&mut conn, id).await? } else { None };
    let email = email_of_user(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let mut invited = store::passwords::links::invitation(&mut conn, id, arrival.now).await?;
    invited = invited.filter(|(address, _)| is_same(address, &email.address));
    let mut verification = store::users::emails::newest_link(&mut conn, id, arrival.now).await?;
    verification = verification.filter(|(address, ..)| is_same(address, &email.address));
    drop(conn);
    let claims = Claims::from_json(&claims).map_err(|why| PageError::Unavailable(format!("claims of {id}: {why}")))?;
    let stored =
        Stored { name: user.name.clone(), email: claims.email().to_owned(), user_type: user.user_type.as_str() };
    Ok(UserPage {
        page: Page::of(app, "User", &admin.session),
        faults: FieldErrors::default(),
        revision: FormRevision::of("user", revision),
        id: user.id.clone(),
        login_name: user.login_name.clone(),
        name: stored.name.clone(),
        email: stored.email.clone(),
        user_types: user_types(stored.user_type),
        stored,
        claims,
        own: user.id == admin.session.user_id,
        access: access_of(&user),
        states: access_of(&user).words(),
        lock: lock.map(|lock| LockView {
            at: lock.at.in_zone(zone),
            by: actor_for_provider(&lock.actor),
            reason: lock.reason,
        }),
        temporary_until: user.temporary_until.map(|until| Timestamp(until).in_zone(zone)),
        address: EmailView::of(email, zone),
        verification: verification
            .map(|(_, at, until)| SentLink { at: Timestamp(at).in_zone(zone), until: Timestamp(until).in_zone(zone) }),
        invited_until: invited.map(|(_, until)| Timestamp(until).in_zone(zone)),
        by_mail: app.mailer.is_some(),
        sessions,
        ties,
        zone: zone.clone(),
    })
}

const fn access_of(user: &Account) -> Access {
    Access {
        active: user.active,
        password_locked: user.failures >= STRIKES,
        admin_locked: user.admin_locked,
        temporary_until: user.temporary_until,
    }
}
