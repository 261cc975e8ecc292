//! Proof that somebody is signed in: a handler that takes [`SignedIn`] cannot be reached by anybody else (G10).

use std::time::Duration;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::address::returning_to;
use super::cookies::Cookie;
use super::error::PageError;
use super::form_paths::form_page;
use super::kept_form::Over;
use super::layers::Arrival;
use super::page::{Page, Shape, respond};
use super::return_to::ReturnTo;
use crate::app::App;
use crate::model::session::Session;
use crate::operations::Actor;
use crate::operations::admin_context::{AdminContext, Authority};
use crate::operations::sessions::open::{Browser, RENEWAL, limits};
use crate::store::passwords::pre_auths::PreAuth;
use crate::store::{self, in_one_statement};
use crate::time::Timestamp;

/// A session's use is noted once a minute at most, and four times within its idle limit at least.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// Somebody is signed in, and owes no password update.
#[derive(Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
}

impl SignedIn {
    /// What this person does with what is the person's own.
    #[must_use]
    pub fn act(&self, app: &App, arrival: &Arrival) -> AdminContext {
        act_of(app, arrival, &self.session, "user".to_owned())
    }
}

/// An act by a session, under the name that the record will say.
pub(crate) fn act_of(app: &App, arrival: &Arrival, session: &Session, name: String) -> AdminContext {
    let actor = Actor { name, visitor: arrival.visitor.clone() };
    let authority =
        Authority::Session { sid: session.sid.clone(), user_id: session.user_id.clone(), user_type: session.user_type };
    let (now, deadline) = (arrival.now, app.ordinary_deadline(arrival.now));
    AdminContext { app: app.clone(), actor, authority, now, deadline, seen: None }
}

/// A right temporary password, and nothing more.
#[derive(Debug)]
pub struct MustUpdate {
    /// The stage as stored.
    pub pre_auth: PreAuth,
}

/// What a browser's cookies stand for, unproven.
#[must_use]
pub fn browser(headers: &HeaderMap, app: &App) -> Browser {
    let digest = |cookie: Cookie| cookie.read(headers, &app.config).map(|secret| secret.digest());
    Browser { session: digest(Cookie::Session), pre_auth: digest(Cookie::PreAuth) }
}

/// The unfinished sign-in of a browser, while it lives.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unfinished(app: &App, browser: &Browser, now: Timestamp) -> Result<Option<PreAuth>, store::Error> {
    match &browser.pre_auth {
        Some(secret_hash) => store::passwords::pre_auths::find(&mut app.db.read().await?, secret_hash, now).await,
        None => Ok(None),
    }
}

/// The session of a browser, while it lives. Its use is noted.
///
/// # Errors
/// When the database cannot be asked.
pub async fn current(app: &App, browser: &Browser, now: Timestamp) -> Result<Option<Session>, store::Error> {
    let Some(secret_hash) = &browser.session else {
        return Ok(None);
    };
    let mut found = store::sessions::find(&mut app.db.read().await?, secret_hash, now).await?;
    if let Some(session) = &mut found
        && let (idle, _) = limits(app, session.idle_minutes, None)
        && session.used_at.is_none_or(|used_at| Timestamp(used_at).after(TOUCH_EVERY.min(idle / 4)) <= now)
    {
        let (db, id) = (&app.db, session.id.clone());
        in_one_statement!(db, app.ordinary_deadline(now), [id], |tx| {
            store::sessions::touch(tx, &id, now, now.after(idle)).await
        })?;
        session.idle_until = now.after(idle).0;
    }
    Ok(found)
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let arrival = Arrival::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let browser = browser(&parts.headers, app);
        let failed = |error: store::Error| PageError::from(error).into_response();
        if unfinished(app, &browser, arrival.now).await.map_err(failed)?.is_some() {
            return Err(Redirect::to("/password/update").into_response());
        }
        if let Some(session) = current(app, &browser, arrival.now).await.map_err(failed)? {
            return Ok(Self { session });
        }
        Err(way_to_login(parts, app, &browser, arrival.now).await.map_err(failed)?)
    }
}

/// To the login page and back; a POST comes back to the page that held its form, and the login page says where a
/// session's time is over.
async fn way_to_login(parts: &Parts, app: &App, browser: &Browser, now: Timestamp) -> Result<Response, store::Error> {
    let asked = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if parts.method == Method::GET
        && let Some(secret_hash) = &browser.session
        && store::sessions::was_renewed(&mut app.db.read().await?, secret_hash, now.before(RENEWAL)).await?
    {
        let next = ReturnTo::parse_or_none(asked);
        let template = Moment { page: Page::new(app, "One moment"), next: ReturnTo::or_home(next.as_ref()).to_owned() };
        return Ok(respond(StatusCode::OK, Shape::Entrance, &template));
    }
    let path = parts.uri.path();
    let holds_it = parts.method == Method::GET || parts.extensions.get::<AsksItself>().is_some();
    let asked = if holds_it || form_page(path) == path { asked } else { form_page(path) };
    let login = match ReturnTo::parse_or_none(asked) {
        Some(path) if path.as_str() != "/" => returning_to("/login", path.as_str()),
        _ => "/login".to_owned(),
    };
    let mut response = Redirect::to(&login).into_response();
    if let Some(secret_hash) = &browser.session
        && let Some(session) = store::sessions::at_any_time(&mut app.db.read().await?, secret_hash).await?
        && let Some(over) = Over::of(session, now)
    {
        response.extensions_mut().insert(over);
    }
    Ok(response)
}

/// Marks a request whose form is sent to the address at which it is asked: after a sign-in it is asked there again.
#[derive(Clone, Copy, Debug)]
struct AsksItself;

/// Whoever sends a form to the address at which it is asked, as a confirmation's.
#[derive(Clone, Copy, Debug)]
pub struct AtItsOwnAddress<T>(pub T);

impl<T: FromRequestParts<App>> FromRequestParts<App> for AtItsOwnAddress<T> {
    type Rejection = T::Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, T::Rejection> {
        parts.extensions.insert(AsksItself);
        T::from_request_parts(parts, app).await.map(Self)
    }
}

/// Two tabs signed in at once: this one asked with the secret that the other one just replaced. The browser has the
/// new one by now, or will in a moment.
#[derive(Template)]
#[template(path = "web/moment.html")]
struct Moment {
    page: Page,
    next: String,
}

impl FromRequestParts<App> for MustUpdate {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let arrival = Arrival::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let browser = browser(&parts.headers, app);
        match unfinished(app, &browser, arrival.now).await {
            Ok(Some(pre_auth)) => Ok(Self { pre_auth }),
            Ok(None) => Err(Redirect::to("/").into_response()),
            Err(error) => Err(PageError::from(error).into_response()),
        }
    }
}
