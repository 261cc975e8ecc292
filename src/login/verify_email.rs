//! `GET` and `POST /email/verify/{token}`: an e-mail address verified by a mailed one-time link. Opening the page uses
//! nothing up, since scanners open what people are mailed; the button does.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::user::Account;
use crate::operations::users::email;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

#[derive(Template)]
#[template(path = "login/verify_email.html")]
struct VerifyPage {
    page: Page,
    action: String,
    address: String,
    name: String,
    login_name: String,
    provider_name: String,
}

/// What a link is that is no longer good, for whatever reason.
#[derive(Template)]
#[template(path = "login/email_link_over.html")]
struct LinkOver {
    page: Page,
}

fn over(app: &App) -> Response {
    respond(StatusCode::NOT_FOUND, Shape::Entrance, &LinkOver { page: Page::new(app, "Link not valid") })
}

async fn find(app: &App, arrival: &Arrival, token: &str) -> Result<Option<(Secret, Account, String)>, PageError> {
    let Some(secret) = Secret::parse(token) else {
        return Ok(None);
    };
    let found = email::find(app, &secret, arrival.now).await?;
    Ok(found.map(|(user, address)| (secret, user, address)))
}

/// `GET /email/verify/{token}`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, Path(token): Path<String>) -> Result<Response, PageError> {
    let Some((_, user, address)) = find(&app, &arrival, &token).await? else {
        return Ok(over(&app));
    };
    let page = VerifyPage {
        page: Page::new(&app, "Verify your e-mail address"),
        action: format!("/email/verify/{token}"),
        address,
        name: user.name,
        login_name: user.login_name,
        provider_name: user.provider_name,
    };
    Ok(respond(StatusCode::OK, Shape::Entrance, &page))
}

/// `POST /email/verify/{token}`: verified, and on to the login page.
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, Path(token): Path<String>) -> Result<Response, PageError> {
    let Some((secret, user, _)) = find(&app, &arrival, &token).await? else {
        return Ok(over(&app));
    };
    let verified = email::verify(&app, &secret, &user, &arrival.visitor, app.clock.now()).await?;
    Ok(if verified { Notice::EmailVerified.at("/login") } else { over(&app) })
}
