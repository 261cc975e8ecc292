//! `/.well-known/security.txt` (RFC 9116): whom to tell of a weakness. Without `security_contact` there is none.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::layers::Arrival;
use super::shape::data;
use crate::app::App;

/// For so long the file may be believed; it is written new at each request.
const GOOD_FOR: Duration = Duration::from_hours(90 * 24);

/// `GET /.well-known/security.txt`
pub async fn get(app: App, arrival: Arrival) -> Response {
    let Some(contact) = &app.config.security_contact else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (issuer, expires) = (&app.config.issuer, arrival.now.after(GOOD_FOR).rfc3339());
    let text = format!(
        "Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\nCanonical: {issuer}/.well-known/security.txt\n"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400")),
    ];
    data((headers, text))
}
