//! The end of a logout: onwards at once, or by a page that lets apps hear of it in frames first (OpenID Connect
//! Front-Channel Logout §3). Browsers are closing third-party cookies: what a frame can do there is the app's affair.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::cookies::Cookie;
use super::page::{Extras, Page, Shape, respond};
use crate::app::App;
use crate::operations::end_sessions::LoggedOut;

#[derive(Template)]
#[template(path = "web/signed_out.html")]
struct SignedOutPage {
    page: Page,
    next: Option<String>,
    frames: Vec<String>,
}

/// The answer to a logout that ends at `next`, or on the page itself; the browser's cookies go.
pub fn page(app: &App, ended: LoggedOut, next: Option<String>) -> Response {
    let mut response = match (ended.frames.is_empty(), next) {
        (true, Some(next)) => Redirect::to(&next).into_response(),
        (_, next) => {
            let extras = Extras::frames(&ended.frames);
            let template = SignedOutPage { page: Page::new(app, "Signed out"), next, frames: ended.frames };
            extras.on(respond(StatusCode::OK, Shape::Entrance, &template))
        }
    };
    for cookie in [Cookie::Session, Cookie::PreAuth] {
        response.headers_mut().append(header::SET_COOKIE, cookie.clear(&app.config));
    }
    response
}
