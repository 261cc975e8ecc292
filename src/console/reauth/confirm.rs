//! `/operator/confirm`: the password again, before what cannot be undone. The session is renewed (U3); a wrong password
//! counts against it alone (G35).

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::again::Sender;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::return_to::ReturnTo;

#[derive(Template)]
#[template(path = "console/reauth/confirm.html")]
struct ConfirmPage {
    page: Page,
    faults: FieldErrors,
    return_to: String,
}

/// The query: where the button was.
#[derive(Debug, Default, Deserialize)]
pub struct ConfirmQuery {
    #[serde(default)]
    return_to: String,
}

fn page(app: &App, admin: &TherapAdmin, return_to: &str) -> ConfirmPage {
    // Back to these pages alone.
    let return_to = ReturnTo::parse_or_none(return_to).filter(|path| path.as_str().starts_with("/operator"));
    ConfirmPage {
        page: Page::of(app, "Confirm it is you", &admin.session),
        faults: FieldErrors::default(),
        return_to: return_to.map_or_else(|| "/operator".to_owned(), |path| path.to_string()),
    }
}

/// `GET /operator/confirm`
pub async fn get(app: App, admin: TherapAdmin, Query(query): Query<ConfirmQuery>) -> Response {
    respond(StatusCode::OK, Shape::Inside, &page(&app, &admin, &query.return_to))
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
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    match sender.check(password, &mut page.faults).await? {
        Ok(proof) => Ok(proof.on(Ok(Redirect::to(&page.return_to).into_response()))),
        Err(unproven) => Ok(unproven.answer(&page)),
    }
}
