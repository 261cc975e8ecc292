//! `/operator/confirm`: the password again, before what cannot be undone. It is a sign-in like any other (G4, U3): the
//! session is renewed, and a wrong password is a strike.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::model::event::Kind;
use crate::operations::check_password::Attempt;
use crate::operations::sign_in::{SignIn, sign_in};
use crate::web::admin::TherapAdmin;
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::Faults;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::return_to::ReturnTo;
use crate::web::session::browser;

#[derive(Template)]
#[template(path = "operator/confirm.html")]
struct ConfirmPage {
    page: Page,
    faults: Faults,
    return_to: String,
    login_name: String,
}

/// The query: where the button was.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    return_to: String,
}

fn page(app: &App, admin: &TherapAdmin, return_to: &str) -> ConfirmPage {
    // Back to these pages alone.
    let return_to = ReturnTo::parse_or_none(return_to).filter(|path| path.as_str().starts_with("/operator"));
    ConfirmPage {
        page: Page::of(app, "Confirm it is you", &admin.session),
        faults: Faults::default(),
        return_to: return_to.map_or_else(|| "/operator".to_owned(), |path| path.to_string()),
        login_name: admin.session.login_name.clone(),
    }
}

/// `GET /operator/confirm`
pub async fn get(app: App, admin: TherapAdmin, Query(asked): Query<Asked>) -> Response {
    respond(StatusCode::OK, Shape::Inside, &page(&app, &admin, &asked.return_to))
}

/// `POST /operator/confirm`
///
/// # Errors
/// When the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let mut page = page(&app, &admin, &fields.take("return_to"));
    let password = fields.take_secret("password");
    if password.is_empty() {
        page.faults.add("password", "Please enter your Password.");
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    }
    let attempt = Attempt {
        provider_code: admin.session.provider_code.clone(),
        login_name: admin.session.login_name.clone(),
        password,
        purpose: Kind::SignIn,
        visitor: arrival.visitor.clone(),
        deadline: app.answer_deadline(arrival.now),
    };
    match sign_in(&app, attempt, browser(&headers, &app)).await? {
        SignIn::Welcome(secret) => {
            let mut response = Redirect::to(&page.return_to).into_response();
            response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&secret, &app.config));
            Ok(response)
        }
        // Reset meanwhile: the session is over, and the login page knows the way.
        SignIn::MustUpdate(_) => Ok(Redirect::to("/login").into_response()),
        SignIn::Refused => {
            page.faults.add("password", "The password is not right.");
            Ok(respond(StatusCode::FORBIDDEN, Shape::Inside, &page))
        }
        SignIn::Locked => {
            page.faults.add("password", "Your account has been locked. Please contact your agency administrator.");
            Ok(respond(StatusCode::FORBIDDEN, Shape::Inside, &page))
        }
        SignIn::Busy => {
            app.metrics.busy();
            page.faults.add("password", "Therap Connect is busy. Please try again in a few seconds.");
            let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, Shape::Inside, &page);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            Ok(response)
        }
    }
}
