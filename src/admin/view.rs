//! How users read on an admin's pages, and the page that shows a temporary password once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use crate::app::App;
use crate::model::session::Session;
use crate::model::user::UserType;
use crate::time::Timestamp;
use crate::web::form::{Choice, choices};
use crate::web::page::{Page, Shape, respond};

/// The User Types that a Provider Admin can give.
pub(super) fn user_types(chosen: &str) -> Vec<Choice> {
    choices(&[("Regular User", "Regular User"), ("Provider Admin", "Provider Admin")], chosen)
}

/// A User Type that a Provider Admin can give.
pub(super) fn parse_user_type(text: &str) -> Option<UserType> {
    text.parse().ok().filter(|user_type| *user_type != UserType::TherapAdmin)
}

/// What lets a user in or keeps one out: the two locks under names of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) active: bool,
    pub(super) password_locked: bool,
    pub(super) admin_locked: bool,
    pub(super) temporary_until: Option<i64>,
}

impl Access {
    /// As words on a page.
    pub(super) fn words(self) -> Vec<&'static str> {
        let mut words = vec![if self.active { "Active" } else { "Deactivated" }];
        for (so, word) in [
            (self.password_locked, "Password locked"),
            (self.admin_locked, "Locked by an admin"),
            (self.temporary_until.is_some(), "Temporary password"),
        ] {
            if so {
                words.push(word);
            }
        }
        words
    }
}

/// A temporary password on a page, this once.
#[derive(Template)]
#[template(path = "admin/password.html")]
struct PasswordPage {
    page: Page,
    heading: &'static str,
    user: String,
    name: String,
    login_name: String,
    provider_code: String,
    password: Zeroizing<String>,
    until: String,
    site: String,
    still_locked: bool,
}

/// Whose password it is.
pub(super) struct Whose<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) login_name: &'a str,
    /// An admin's lock still keeps the user out.
    pub(super) still_locked: bool,
}

/// The page that shows a temporary password, printable, and never again.
pub(super) fn show_password(
    app: &App,
    session: &Session,
    heading: &'static str,
    whose: &Whose<'_>,
    password: Zeroizing<String>,
    until: Timestamp,
) -> Response {
    let template = PasswordPage {
        page: Page::of(app, "Temporary password", session),
        heading,
        user: format!("/admin/users/{}", whose.id),
        name: whose.name.to_owned(),
        login_name: whose.login_name.to_owned(),
        provider_code: session.provider_code.clone(),
        password,
        until: until.in_zone(&session.time_zone),
        site: app.config.issuer.clone(),
        still_locked: whose.still_locked,
    };
    respond(StatusCode::OK, Shape::Inside, &template)
}
