//! The end of a logout: onwards at once, or by a page that lets apps hear of it in frames first (OpenID Connect
//! Front-Channel Logout §3). Browsers are closing third-party cookies: what a frame can do there is the app's affair.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::cookies::Cookie;
use super::page::{Extras, Page, Shape, respond};
use crate::app::App;
use crate::operations::sessions::end::LoggedOut;

/// Where a logout ends.
#[derive(Clone, Debug)]
pub enum End {
    /// At this address.
    Onwards(String),
    /// On the page, with a link to an app that nobody has proven to ask.
    Link {
        /// What people call the app.
        name: String,
        /// A registered address of its.
        address: String,
    },
    /// On the page.
    Here,
}

#[derive(Template)]
#[template(path = "web/signed_out.html")]
struct SignedOutPage {
    page: Page,
    ended: bool,
    next: Option<String>,
    link: Option<(String, String)>,
    frames: Vec<String>,
}

/// The answer to a logout; the browser's cookies go with what they stood for.
pub fn page(app: &App, ended: LoggedOut, end: End) -> Response {
    let (session, unfinished) = (ended.session, ended.unfinished);
    let mut response = match end {
        End::Onwards(next) if ended.frames.is_empty() => Redirect::to(&next).into_response(),
        End::Onwards(next) => shown(app, ended, Some(next), None),
        End::Link { name, address } => shown(app, ended, None, Some((name, address))),
        End::Here => shown(app, ended, None, None),
    };
    for (cookie, gone) in [(Cookie::Session, session), (Cookie::PreAuth, unfinished)] {
        if gone {
            response.headers_mut().append(header::SET_COOKIE, cookie.clear(&app.config));
        }
    }
    response
}

fn shown(app: &App, ended: LoggedOut, next: Option<String>, link: Option<(String, String)>) -> Response {
    let extras = Extras::frames(&ended.frames);
    // Nothing is claimed that did not happen (G38).
    let is_over = ended.session || ended.elsewhere;
    let title = if is_over { "Signed out" } else { "Not signed in" };
    let template = SignedOutPage { page: Page::new(app, title), ended: is_over, next, link, frames: ended.frames };
    extras.on(respond(StatusCode::OK, Shape::Entrance, &template))
}
