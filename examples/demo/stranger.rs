//! A site that nobody registered, and that got hold of an assertion.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;

use crate::pages::{CSS, ICON, May, SEND_JS, SendPage, StrangerPage, file, page};

#[derive(Debug)]
struct Site {
    issuer: String,
    origin: String,
}

/// The site's routes.
pub fn site(issuer: &str, origin: &str) -> Router {
    let site = Arc::new(Site { issuer: issuer.to_owned(), origin: origin.to_owned() });
    Router::new()
        .route("/", get(home))
        .route("/send", post(send))
        .route("/therap.css", get(file("text/css; charset=utf-8", CSS)))
        .route("/therap.svg", get(file("image/svg+xml", ICON)))
        .route("/send.js", get(file("text/javascript; charset=utf-8", SEND_JS)))
        .with_state(site)
}

async fn home(State(site): State<Arc<Site>>) -> Response {
    let stranger = StrangerPage { issuer: &site.issuer, foreign: &site.origin };
    page(StatusCode::OK, &stranger, May { send_to: &[&site.issuer], ..May::NOTHING })
}

#[derive(Deserialize)]
struct Caught {
    assertion: String,
}

async fn send(State(site): State<Arc<Site>>, Form(caught): Form<Caught>) -> Response {
    let action = format!("{}/unified-login", site.issuer);
    let send = SendPage { action: &action, method: "post", assertion: &caught.assertion, twice: false };
    page(StatusCode::OK, &send, May { send_to: &[&site.issuer], ..May::NOTHING })
}
