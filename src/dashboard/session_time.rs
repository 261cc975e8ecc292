//! `/sessions/time`: how long my session lasts, for the warning that a page gives before its end.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::app::App;
use crate::store;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::session::{SignedIn, browser};
use crate::web::session_end::TimeLeft;
use crate::web::shape::data;

/// `GET /sessions/time`: to ask is no use of the session. One that is over has nothing left.
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, headers: HeaderMap) -> Result<Response, PageError> {
    let session = match browser(&headers, &app).session {
        Some(secret_hash) => store::sessions::find(&mut app.db.read().await?, &secret_hash, arrival.now).await?,
        None => None,
    };
    let left = session.map(|session| TimeLeft::of(&session, arrival.now)).unwrap_or_default();
    Ok(data(Json(left)))
}

/// `POST /sessions/time`: a use of the session like any other, which is all that renews it.
pub async fn renew(arrival: Arrival, signed_in: SignedIn) -> Response {
    data(Json(TimeLeft::of(&signed_in.session, arrival.now)))
}
