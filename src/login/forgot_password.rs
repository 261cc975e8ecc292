//! `GET /forgot-password`: who can help (L6).

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::app::App;
use crate::web::page::{Page, Shape, respond};
use crate::web::return_to::ReturnTo;

#[derive(Template)]
#[template(path = "login/forgot_password.html")]
struct ForgotPage {
    page: Page,
    return_to: String,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    return_to: Option<String>,
}

/// `GET /forgot-password`
pub async fn get(app: App, Query(asked): Query<Asked>) -> Response {
    let return_to = asked.return_to.as_deref().and_then(ReturnTo::parse_or_none);
    let template = ForgotPage {
        page: Page::new(&app, "Forgot Password?"),
        return_to: return_to.map(|path| path.to_string()).unwrap_or_default(),
    };
    respond(StatusCode::OK, Shape::Entrance, &template)
}
