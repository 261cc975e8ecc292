//! The page for whoever comes back, in the browser's history, to a request of an app that is answered already: it is
//! asked of nobody any more, so neither a sign-in nor a consent is shown (G38).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{Page, Shape, respond};
use crate::app::App;
use crate::model::client::Client;
use crate::model::session::Session;

#[derive(Template)]
#[template(path = "web/answered.html")]
struct AnsweredPage {
    page: Page,
    client_name: String,
    /// Where the app begins.
    start: Option<String>,
    login_name: String,
    provider_name: String,
}

/// The page, for the person who is signed in.
pub fn page(app: &App, client: &Client, session: &Session) -> Response {
    let start = client.start_of_sign_in(&app.config.issuer).or_else(|| client.metadata.client_uri.clone());
    let template = AnsweredPage {
        page: Page::new(app, "You are signed in"),
        client_name: client.name().to_owned(),
        start,
        login_name: session.login_name.clone(),
        provider_name: session.provider_name.clone(),
    };
    respond(StatusCode::OK, Shape::Entrance, &template)
}
