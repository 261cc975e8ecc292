//! `/operator/deliveries`: the logouts that apps have not taken, by app.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::store::statistics::{self, Failing};
use crate::web::error::PageError;
use crate::web::page::{Page, Shape, respond};

#[derive(Template)]
#[template(path = "console/deliveries.html")]
struct DeliveriesPage {
    page: Page,
    rows: Vec<Failing>,
}

/// `GET /operator/deliveries`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, admin: TherapAdmin) -> Result<Response, PageError> {
    let rows = statistics::failing_by_client(&mut app.db.read_much().await?, None).await?;
    let template = DeliveriesPage { page: Page::of(&app, "Logouts not taken", &admin.session), rows };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}
