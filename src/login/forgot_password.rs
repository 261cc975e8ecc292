//! `GET` and `POST /forgot-password`: who can help, and, where mail is configured, a one-time link (L6). The answer is
//! the same whoever asks: everything that depends on who that is happens later (`operations::passwords::mail`).

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use crate::app::App;
use crate::operations::passwords::mail;
use crate::web::address::returning_to;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};
use crate::web::return_to::ReturnTo;
use crate::web::sign_in_words::{BUSY, too_often};

#[derive(Template)]
#[template(path = "login/forgot_password.html")]
struct ForgotPage {
    page: Page,
    return_to: String,
    /// Mail is configured.
    by_mail: bool,
    error: Option<String>,
    login_name: String,
    login_name_error: Option<&'static str>,
    provider_code: String,
    provider_code_error: Option<&'static str>,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub struct ForgotPasswordQuery {
    return_to: Option<String>,
}

fn blank(app: &App, return_to: Option<&str>) -> ForgotPage {
    let return_to = return_to.and_then(ReturnTo::parse_or_none);
    ForgotPage {
        page: Page::new(app, "Forgot Password?"),
        return_to: return_to.map(|path| path.to_string()).unwrap_or_default(),
        by_mail: app.mailer.is_some(),
        error: None,
        login_name: String::new(),
        login_name_error: None,
        provider_code: String::new(),
        provider_code_error: None,
    }
}

/// `GET /forgot-password`
pub async fn get(app: App, Query(query): Query<ForgotPasswordQuery>, told: Told) -> Response {
    let mut page = blank(&app, query.return_to.as_deref());
    page.page = page.page.saying(told);
    respond(StatusCode::OK, Shape::Entrance, &page)
}

/// `POST /forgot-password`: only where mail is configured.
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, mut fields: Fields) -> Result<Response, PageError> {
    let mut page = blank(&app, Some(&fields.take("return_to")));
    page.login_name = fields.take("login_name");
    page.provider_code = fields.take("provider_code");
    page.login_name_error = page.login_name.is_empty().then_some("Please enter your Login Name.");
    page.provider_code_error = page.provider_code.is_empty().then_some("Please enter your Provider Code.");
    if page.login_name_error.is_some() || page.provider_code_error.is_some() {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page));
    }
    if let Err(seconds) = app.throttle.take(arrival.ip, arrival.now).await {
        page.error = Some(too_often(seconds));
        return Ok(later(StatusCode::TOO_MANY_REQUESTS, &page, seconds));
    }
    if !mail::ask(&app, &page.login_name, &page.provider_code, arrival.now).await? {
        tracing::error!("too many ask for links that set passwords: this one was turned away");
        page.error = Some(BUSY.into());
        return Ok(later(StatusCode::SERVICE_UNAVAILABLE, &page, 30));
    }
    Ok(Notice::LinkRequested.at(&match page.return_to.as_str() {
        "" => PAGE.to_owned(),
        path => returning_to(PAGE, path),
    }))
}

/// Where it stands.
const PAGE: &str = "/forgot-password";

fn later(status: StatusCode, page: &ForgotPage, seconds: u64) -> Response {
    let mut response = respond(status, Shape::Entrance, page);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
