//! The page that shows a temporary password, printable, and never again.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use crate::app::App;
use crate::model::session::Session;
use crate::time::Timestamp;
use crate::web::page::{Page, Shape, respond};

#[derive(Template)]
#[template(path = "console/users/temporary_password_page.html")]
struct PasswordSlip {
    page: Page,
    heading: &'static str,
    back: String,
    name: String,
    login_name: String,
    provider_code: String,
    password: Zeroizing<String>,
    until: String,
    site: String,
    still_locked: bool,
}

/// Whose password it is, and where the way leads on.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The person's name.
    pub name: &'a str,
    /// Login Name.
    pub login_name: &'a str,
    /// Provider Code.
    pub provider_code: &'a str,
    /// An admin's lock still keeps the user out.
    pub still_locked: bool,
    /// The page to go on to.
    pub back: &'a str,
}

/// The page, this once: a temporary password that was just set.
pub fn show(
    app: &App,
    session: &Session,
    heading: &'static str,
    whose: Whose<'_>,
    password: Zeroizing<String>,
    until: Timestamp,
) -> Response {
    let template = PasswordSlip {
        page: Page::of(app, "Temporary password", session),
        heading,
        back: whose.back.to_owned(),
        name: whose.name.to_owned(),
        login_name: whose.login_name.to_owned(),
        provider_code: whose.provider_code.to_owned(),
        password,
        until: until.in_zone(&session.time_zone),
        site: app.config.issuer.clone(),
        still_locked: whose.still_locked,
    };
    respond(StatusCode::OK, Shape::Inside, &template)
}
