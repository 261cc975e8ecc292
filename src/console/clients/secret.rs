//! The page that shows a client's new secret, printable, and never again.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use super::snippets::Connect;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::model::client::Client;
use crate::time::Timestamp;
use crate::web::page::{Page, Shape, respond};

#[derive(Template)]
#[template(path = "console/clients/secret.html")]
struct SecretSlip {
    page: Page,
    heading: &'static str,
    back: String,
    name: String,
    client_id: String,
    method: &'static str,
    issuer: String,
    secret: Zeroizing<String>,
    old_until: Option<String>,
    connect: Connect,
}

/// The page, this once; `old_until` is when the secrets before it end.
pub(super) fn show(
    app: &App,
    admin: &TherapAdmin,
    heading: &'static str,
    client: &Client,
    secret: Zeroizing<String>,
    old_until: Option<Timestamp>,
) -> Response {
    let template = SecretSlip {
        page: Page::of(app, "Client secret", &admin.session),
        heading,
        back: format!("/operator/clients/{}", client.id),
        name: client.name().to_owned(),
        client_id: client.client_id.clone(),
        method: client.metadata.proves_itself_by(),
        issuer: app.config.issuer.clone(),
        secret,
        connect: Connect::of(&app.config.issuer, client),
        old_until: old_until.map(|at| at.in_zone(&admin.session.time_zone)),
    };
    respond(StatusCode::OK, Shape::Inside, &template)
}
