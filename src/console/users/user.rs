//! `/admin/users/{id}`: one user: what is known, then what can be done: data, locks, password, sessions, ties. A Therap
//! Admin reads the same page at `/operator/providers/{id}/users/{user}`, and can remove locks and end sessions there.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::view::{Access, Pill, parse_user_type, user_types};
use crate::app::App;
use crate::console::admins::{ProviderAdmin, UsersAdmin};
use crate::console::answers::back;
use crate::console::form_revision::{FormRevision, Values, saved};
use crate::console::unified_login::history::age;
use crate::model::activity::{Kind, actor_for_provider};
use crate::model::claims::Claims;
use crate::model::email::is_same;
use crate::model::provider::Provider;
use crate::model::user::{Account, UserType};
use crate::operations::admin_context::Edited;
use crate::operations::passwords::address::email_of_user;
use crate::operations::users::{self, Changed, Draft};
use crate::store;
use crate::time::Timestamp;
use crate::web::address::{and, with_query};
use crate::web::email_state::EmailView;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::{Choice, FieldErrors};
use crate::web::ids::UserId;
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};
use crate::web::session_list::{self, SessionView};

#[derive(Template)]
#[template(path = "console/users/user.html")]
struct UserPage {
    page: Page,
    faults: FieldErrors,
    revision: FormRevision,
    id: String,
    login_name: String,
    external_id: Option<String>,
    name: String,
    email: String,
    user_types: Vec<Choice>,
    stored: Stored,
    claims: Claims,
    own: bool,
    /// Below it is this page.
    list: String,
    /// The agency, for whoever comes from outside: to look, to remove locks and to end sessions.
    agency: Option<Provider>,
    /// Where the user's activity is.
    activity: String,
    access: Access,
    states: Vec<Pill>,
    lock: Option<LockView>,
    address: EmailView,
    /// The link of a verification e-mail that was sent to the address.
    verification: Option<SentLink>,
    /// Until when the link of an invitation works.
    invited_until: Option<String>,
    /// E-mails can be sent.
    by_mail: bool,
    facts: Facts,
    sessions: Vec<SessionView>,
    ties: Vec<store::issuers::Tie>,
    zone: String,
}

/// A mailed link, with the times when it was sent and until when it works.
struct SentLink {
    at: String,
    until: String,
}

/// What is known of a user.
struct Facts {
    user_type: &'static str,
    email: String,
    created: String,
    /// By whom, as far as the record goes back.
    created_by: Option<String>,
    /// The newest sign-in by password on record.
    direct: Option<String>,
    /// The newest one from Therap Services.
    unified: Option<String>,
    password: String,
    /// Until when a temporary password works, or worked.
    temporary: Option<String>,
    apps: Vec<String>,
}

/// The admin's lock that keeps the user out.
struct LockView {
    at: String,
    by: String,
    reason: Option<String>,
}

/// What is stored of the data that the form shows.
struct Stored {
    login_name: String,
    name: String,
    email: String,
    user_type: &'static str,
}

impl UserPage {
    /// Puts in what was typed: the revision that was read, and the User Type.
    fn fill(&mut self, fields: &mut Fields) -> (i64, Option<UserType>) {
        let read = self.revision.typed(fields);
        (self.name, self.email) = (fields.take("name"), fields.take("email"));
        // A form that does not ask for it leaves it as it is.
        if let Some(login_name) = fields.take_if_present("login_name") {
            self.login_name = login_name;
        }
        let typed = fields.take("user_type");
        // On one's own page there is nothing to choose.
        let user_type = if self.own { self.stored.user_type.parse().ok() } else { parse_user_type(&typed) };
        self.user_types = user_types(user_type.map_or("", |user_type| user_type.as_str()));
        (read, user_type)
    }
}

/// `GET /admin/users/{id}`, `GET /operator/providers/{id}/users/{user}`
///
/// # Errors
/// When there is no such user here, or the database cannot be asked.
pub async fn get<A: UsersAdmin>(
    app: App,
    arrival: Arrival,
    admin: A,
    UserId(id): UserId,
    told: Told,
    kept: KeptForm,
) -> Result<Response, PageError> {
    let mut page = page(&app, &arrival, &admin, &id).await?;
    page.page = page.page.saying(told);
    if let Some(mut fields) = kept.sent_to(admin.session(), &format!("{}/{id}", page.list)) {
        page.fill(&mut fields);
        page.page.notice = Some(Notice::FormIsBack);
    }
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
    UserId(id): UserId,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = page(&app, &arrival, &admin, &id).await?;
    let (read, user_type) = page.fill(&mut fields);
    let login_name = page.faults.need("login-name", &page.login_name, "Please enter a Login Name.");
    let login_name = login_name.then(|| users::parse_login_name(&page.login_name));
    let login_name = login_name.and_then(|parsed| page.faults.check("The Login Name", parsed));
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
    let draft =
        Draft { login_name, external_id: None, name: Some(page.name.clone()), user_type: Some(user_type), claims };
    let act = admin.act(&app, &arrival);
    match users::edit(&act, admin.scope.provider_id(), &id, read, &draft).await? {
        Edited::Changed(Changed::Keys(keys)) => Ok(back(&page.list, &id, saved(&keys))),
        Edited::Changed(Changed::NameTaken) => {
            page.faults.add("login-name", "Another user has this Login Name already. Please choose another one.");
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
        Edited::Changed(Changed::NotFound | Changed::ExternalIdTaken | Changed::WrongType | Changed::Own) => {
            Err(PageError::NotFound)
        }
        Edited::Stale => {
            let now = self::page(&app, &arrival, &admin, &id).await?;
            let typed = values(&page.login_name, &page.name, &page.email, user_type.as_str());
            let stored = values(&now.stored.login_name, &now.stored.name, &now.stored.email, now.stored.user_type);
            page.revision.mark_stale(now.revision.read, stored, &typed);
            Ok(respond(StatusCode::CONFLICT, Shape::Inside, &page))
        }
    }
}

fn values(login_name: &str, name: &str, email: &str, user_type: &str) -> Values {
    [("Login Name", login_name), ("Name", name), ("E-mail address", email), ("User Type", user_type)]
        .map(|(label, value)| (label, value.to_owned()))
        .into()
}

/// The page of a user as it stands.
async fn page(app: &App, arrival: &Arrival, admin: &impl UsersAdmin, id: &str) -> Result<UserPage, PageError> {
    let mut conn = app.db.read().await?;
    let user = store::users::in_scope(&mut conn, admin.scope(), id).await?.ok_or(PageError::NotFound)?;
    let claims = store::users::claims(&mut conn, id).await?.unwrap_or_default();
    let external_id = store::users::external_ids::of_user(&mut conn, id).await?;
    let (session, visited) = (admin.session(), admin.visited());
    let zone = &session.time_zone;
    let sessions = session_list::of_user(&mut conn, id, None, zone, arrival.now).await?;
    let ties = store::issuers::ties_of_user(&mut conn, id).await?;
    let lock = if user.admin_locked { users::newest_lock(&mut conn, id).await? } else { None };
    let email = email_of_user(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let mut invited = store::passwords::links::invitation(&mut conn, id, arrival.now).await?;
    invited = invited.filter(|(address, _)| is_same(address, &email.address));
    let mut verification = store::users::emails::newest_link(&mut conn, id, arrival.now).await?;
    verification = verification.filter(|(address, ..)| is_same(address, &email.address));
    let record = store::activity::facts_of_user(&mut conn, id).await?;
    let creator = store::activity::newest_noted(&mut conn, id, Kind::UserCreated, "").await?;
    let apps = store::consents::apps_with_access(&mut conn, id, arrival.now).await?;
    drop(conn);
    let actor = |actor: &str| if visited.is_some() { actor.to_owned() } else { actor_for_provider(actor) };
    let date = |at: i64| Timestamp(at).in_zone(zone);
    let claims = Claims::from_json(&claims).map_err(|why| PageError::Unavailable(format!("claims of {id}: {why}")))?;
    let stored = Stored {
        login_name: user.login_name.clone(),
        name: user.name.clone(),
        email: claims.email().to_owned(),
        user_type: user.user_type.as_str(),
    };
    let facts = Facts {
        user_type: stored.user_type,
        email: stored.email.clone(),
        created: date(user.created_at),
        created_by: creator.map(|(_, by, _)| actor(&by)),
        direct: record.direct.map(date),
        unified: record.unified.map(date),
        password: password_age(&user, record.password, arrival.now, zone),
        temporary: user.temporary_until.map(|until| {
            let verb = if user.temporary_is_over(arrival.now) { "expired" } else { "until" };
            format!("{verb} {}", date(until))
        }),
        apps: apps.iter().map(|app| app.name().to_owned()).collect(),
    };
    let activity = match visited {
        None => with_query("/admin/activity", "user", &user.login_name),
        Some(agency) => and(&with_query("/operator/activity", "provider", &agency.code), "user", &user.login_name),
    };
    Ok(UserPage {
        page: Page::of(app, format!("{} · Users", user.name), session),
        faults: FieldErrors::default(),
        revision: FormRevision::of("user", user.revision),
        id: user.id.clone(),
        login_name: user.login_name.clone(),
        external_id,
        name: stored.name.clone(),
        email: stored.email.clone(),
        user_types: user_types(stored.user_type),
        stored,
        claims,
        address: EmailView::of(email, zone),
        verification: verification
            .map(|(_, at, until)| SentLink { at: Timestamp(at).in_zone(zone), until: Timestamp(until).in_zone(zone) }),
        invited_until: invited.map(|(_, until)| Timestamp(until).in_zone(zone)),
        by_mail: app.mailer.is_some(),
        own: user.id == session.user_id,
        list: admin.list(),
        agency: visited.cloned(),
        activity,
        access: Access::of(&user),
        states: Access::of(&user).pills(),
        lock: lock.map(|lock| LockView { at: lock.at.in_zone(zone), by: actor(&lock.actor), reason: lock.reason }),
        facts,
        sessions,
        ties,
        zone: zone.clone(),
    })
}

/// Since when the password is the one that it is. Retention may have removed the record of a change; then nothing else
/// tells when it was.
fn password_age(user: &Account, changed: Option<i64>, now: Timestamp, zone: &str) -> String {
    // The first one was set with the account.
    let first = (user.password_version == 1).then_some(user.created_at);
    match changed.or(first) {
        Some(at) => format!("Set {} ago, {}", age(Timestamp(at), now), Timestamp(at).in_zone(zone)),
        None => "Set before the oldest record that is kept".to_owned(),
    }
}
