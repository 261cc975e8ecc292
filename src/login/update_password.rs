//! `GET` and `POST /password/update`: the forced update, before anything else (L7 to L9).

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::app::App;
use crate::cache::hash_queue::Whose;
use crate::crypto::secret::Secret;
use crate::log;
use crate::metrics::labels::PasswordOutcome;
use crate::model::activity::{Event, Kind, Outcome};
use crate::model::password_rules;
use crate::model::session::{EndReason, Method};
use crate::model::user::{Account, STRIKES};
use crate::operations::passwords::mail::{self, Notice};
use crate::operations::sessions::open::{self, open_session};
use crate::operations::sign_in::opening;
use crate::store::{self, in_transaction};
use crate::time::Timestamp;
use crate::web::address::returning_to;
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::return_to::ReturnTo;
use crate::web::session::{MustUpdate, browser};
use crate::web::sign_in_words::{BUSY, LOCKED, too_often};

/// The page with two or three password fields, for the forced update and for the change at will.
#[derive(Template)]
#[template(path = "login/update_password.html")]
pub(super) struct UpdatePage {
    pub(super) page: Page,
    pub(super) action: String,
    pub(super) heading: &'static str,
    pub(super) intro: &'static str,
    pub(super) login_name: String,
    pub(super) ask_current: bool,
    /// By a one-time link: nobody is half signed in.
    pub(super) by_link: bool,
    pub(super) current_errors: Vec<String>,
    pub(super) new_errors: Vec<String>,
    pub(super) confirm_errors: Vec<String>,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub struct UpdatePasswordQuery {
    return_to: Option<String>,
}

/// The page's address, remembering where the user was going.
#[must_use]
pub fn address(return_to: Option<&ReturnTo>) -> String {
    const PAGE: &str = "/password/update";
    return_to.map_or_else(|| PAGE.to_owned(), |path| returning_to(PAGE, path.as_str()))
}

/// `GET /password/update`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, proof: MustUpdate, uri: Uri) -> Result<Response, PageError> {
    let account = account(&app, &proof).await?;
    Ok(respond(StatusCode::OK, Shape::Entrance, &blank(&app, &account, &uri)))
}

/// `POST /password/update`: the new password, and with it the session.
///
/// # Errors
/// When the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    proof: MustUpdate,
    headers: HeaderMap,
    uri: Uri,
    Query(query): Query<UpdatePasswordQuery>,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let account = account(&app, &proof).await?;
    let mut page = blank(&app, &account, &uri);
    let Some(password) = check(&mut fields, &mut page).filter(|_| page.is_clean()) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page));
    };
    // What needs no hash is checked before there is one (G31); the transaction checks it again.
    if !is_unchanged(&account, &proof) {
        return Ok(over(&app));
    }
    if account.lock().is_some() {
        return Ok(locked(page));
    }
    if let Err(seconds) = app.throttle.take(arrival.ip, arrival.now).await {
        return Ok(throttled(page, seconds));
    }
    let turn = app.answer_deadline(arrival.now).run(app.hashes.turn(Whose::Account(&account.id))).await;
    let Some(turn) = turn else { return Ok(busy(page)) };
    // Not a guess: whoever is here has proven the temporary password. It charges no strike.
    match app.hashes.verify(&turn, password.clone(), Some(account.password_hash.clone())).await {
        Err(_) => return Ok(busy(page)),
        Ok(same) if same.matches => {
            page.new_errors.push(SAME_AS_CURRENT.into());
            return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page));
        }
        Ok(_) => {}
    }
    let Ok(hash) = app.hashes.hash(&turn, password).await else {
        return Ok(busy(page));
    };
    let secret = Secret::random(&app.random);
    let done = update(&app, &account, &proof, &arrival, browser(&headers, &app), hash, &secret).await?;
    match done {
        Updated::SignedIn => {
            log::name_provider(&account.provider_code);
            app.metrics.password(PasswordOutcome::Success);
            log::sign_in(Method::Password.as_str(), PasswordOutcome::Success.as_str());
            let return_to = query.return_to.as_deref().and_then(ReturnTo::parse_or_none);
            let mut response = Redirect::to(ReturnTo::or_home(return_to.as_ref())).into_response();
            response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&secret, &app.config));
            response.headers_mut().append(header::SET_COOKIE, Cookie::PreAuth.clear(&app.config));
            Ok(response)
        }
        Updated::Locked => Ok(locked(page)),
        Updated::Stale => Ok(over(&app)),
    }
}

fn locked(mut page: UpdatePage) -> Response {
    page.new_errors.push(LOCKED.into());
    respond(StatusCode::FORBIDDEN, Shape::Entrance, &page)
}

/// An admin reset the password again, or another tab was quicker.
fn over(app: &App) -> Response {
    let mut response = Redirect::to("/login").into_response();
    response.headers_mut().append(header::SET_COOKIE, Cookie::PreAuth.clear(&app.config));
    response
}

/// Whether the account is still as it was when the temporary password was proven.
fn is_unchanged(account: &Account, proof: &MustUpdate) -> bool {
    account.epoch == proof.pre_auth.user_epoch
        && account.provider_epoch == proof.pre_auth.provider_epoch
        && account.password_version == proof.pre_auth.password_version
}

/// The page again, for whose network tries too often.
pub(super) fn throttled(mut page: UpdatePage, seconds: u64) -> Response {
    page.new_errors.push(too_often(seconds));
    let mut response = respond(StatusCode::TOO_MANY_REQUESTS, Shape::Entrance, &page);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    response
}

async fn account(app: &App, proof: &MustUpdate) -> Result<Account, PageError> {
    let found = store::users::by_id(&mut app.db.read().await?, &proof.pre_auth.user_id).await?;
    found.ok_or(PageError::NotFound)
}

fn blank(app: &App, account: &Account, uri: &Uri) -> UpdatePage {
    UpdatePage {
        page: Page::new(app, "Update Password"),
        action: uri.path_and_query().map_or("/password/update", |path| path.as_str()).to_owned(),
        heading: "Update Password",
        intro: "Your password is temporary. Choose a new one of your own to continue.",
        login_name: account.login_name.clone(),
        ask_current: false,
        by_link: false,
        current_errors: Vec::new(),
        new_errors: Vec::new(),
        confirm_errors: Vec::new(),
    }
}

/// What a new password reads that is the current one.
pub(super) const SAME_AS_CURRENT: &str = "The new password must differ from the current one.";

impl UpdatePage {
    /// Whether nothing is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.current_errors.is_empty() && self.new_errors.is_empty() && self.confirm_errors.is_empty()
    }
}

/// Checks the two new-password fields by the rules alone; what is wrong then stands on the page (L8).
pub(super) fn check(fields: &mut Fields, page: &mut UpdatePage) -> Option<Zeroizing<String>> {
    let (new, confirmation) = (fields.take_secret("new_password"), fields.take_secret("confirm_new_password"));
    if confirmation.is_empty() {
        page.confirm_errors.push("Please enter the new password again.".into());
    } else if confirmation != new {
        page.confirm_errors.push("The two new passwords are not the same.".into());
    }
    if new.is_empty() {
        page.new_errors.push("Please enter a new password.".into());
        return None;
    }
    match password_rules::check(&new) {
        Ok(password) => Some(password),
        Err(broken) => {
            page.new_errors.extend(broken.iter().map(|rule| rule.message().to_owned()));
            None
        }
    }
}

pub(super) fn busy(mut page: UpdatePage) -> Response {
    page.new_errors.push(BUSY.into());
    let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, Shape::Entrance, &page);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
    response
}

enum Updated {
    SignedIn,
    Locked,
    Stale,
}

async fn update(
    app: &App,
    account: &Account,
    proof: &MustUpdate,
    arrival: &Arrival,
    browser: crate::operations::sessions::open::Browser,
    hash: String,
    secret: &Secret,
) -> Result<Updated, PageError> {
    let now = app.clock.now();
    let visitor = &arrival.visitor;
    let pre_auth = browser.pre_auth.clone().unwrap_or_default();
    let opening = opening(app, account, visitor, browser, secret, Timestamp(proof.pre_auth.auth_time));
    let updated = Event::new(Kind::PasswordUpdated, Outcome::Success, "user", visitor, now, &app.random).about(account);
    let (db, account) = (&app.db, account.clone());
    let done =
        in_transaction!(db, app.ordinary_deadline(now), [app, account, hash, opening, updated, pre_auth], |tx| {
            store::users::lock_row(tx, &account.id).await?;
            let current = store::users::by_id(tx, &account.id).await?;
            if store::strikes::lock_for_update(tx, &account.id).await? >= STRIKES {
                return Ok(Updated::Locked);
            }
            let live = current.is_some_and(|c| c.is_live() && c.provider_epoch == account.provider_epoch);
            let mine = store::passwords::pre_auths::remove(tx, &pre_auth).await?;
            if !live || !mine || !store::users::set_password(tx, &account, &hash).await? {
                return Ok(Updated::Stale);
            }
            let keep = opening.browser.session.as_deref();
            store::sessions::end_others(tx, &account.id, keep, EndReason::PasswordChanged, now).await?;
            let held = open::held(tx, &opening.browser, now).await?.filter(|held| held.user_id == account.id);
            let sid = held.map(|held| held.sid).unwrap_or_default();
            store::tokens::families::revoke_of_others(tx, &account.id, &sid, "password_changed", now).await?;
            store::activity::record(tx, &updated).await?;
            mail::notify(tx, &app, &account, Notice::Changed, now).await?;
            open_session(tx, &opening, now).await?;
            Ok(Updated::SignedIn)
        })?;
    Ok(done)
}
