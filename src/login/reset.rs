//! `GET` and `POST /password/reset/{token}`: a password set by a one-time link. Opening the page uses nothing up: what
//! looks at links before people do must not spoil them.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::update_password::{UpdatePage, busy, check, throttled};
use crate::app::App;
use crate::cache::hash_queue::Whose;
use crate::crypto::secret::Secret;
use crate::model::user::Account;
use crate::operations::passwords::{link, redeem};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond, respond_without_form};

/// What a link is that is no longer good, for whatever reason.
#[derive(Template)]
#[template(path = "login/link_over.html")]
struct LinkOver {
    page: Page,
}

fn over(app: &App) -> Response {
    respond_without_form(StatusCode::NOT_FOUND, Shape::Entrance, &LinkOver { page: Page::new(app, "Link not valid") })
}

async fn find(app: &App, arrival: &Arrival, token: &str) -> Result<Option<(Secret, Account)>, PageError> {
    let Some(secret) = Secret::parse(token) else {
        return Ok(None);
    };
    let account = link::find(app, &secret, arrival.now).await?;
    Ok(account.map(|account| (secret, account)))
}

fn blank(app: &App, account: &Account, token: &str) -> UpdatePage {
    UpdatePage {
        page: Page::new(app, "Set Your Password"),
        action: format!("/password/reset/{token}"),
        heading: "Set Your Password",
        intro: "Choose a password of your own. This link works once.",
        login_name: account.login_name.clone(),
        ask_current: false,
        by_link: true,
        current_errors: Vec::new(),
        new_errors: Vec::new(),
        confirm_errors: Vec::new(),
    }
}

/// `GET /password/reset/{token}`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, Path(token): Path<String>) -> Result<Response, PageError> {
    Ok(match find(&app, &arrival, &token).await? {
        Some((_, account)) => respond(StatusCode::OK, Shape::Entrance, &blank(&app, &account, &token)),
        None => over(&app),
    })
}

/// `POST /password/reset/{token}`: the password, and on to the login page.
///
/// # Errors
/// When the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    Path(token): Path<String>,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let Some((secret, account)) = find(&app, &arrival, &token).await? else {
        return Ok(over(&app));
    };
    let mut page = blank(&app, &account, &token);
    let new = check(&mut fields, &mut page);
    let Some(password) = new.filter(|_| page.is_clean()) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page));
    };
    if let Err(seconds) = app.throttle.take(arrival.ip, arrival.now).await {
        return Ok(throttled(page, seconds));
    }
    let turn = app.answer_deadline(arrival.now).run(app.hashes.turn(Whose::Account(&account.id))).await;
    let Some(turn) = turn else { return Ok(busy(page)) };
    let Ok(hash) = app.hashes.hash(&turn, password).await else {
        return Ok(busy(page));
    };
    let set = redeem::redeem(&app, &secret, &account, hash, &arrival.visitor, app.clock.now()).await?;
    Ok(if set { Notice::PasswordSet.at("/login") } else { over(&app) })
}
