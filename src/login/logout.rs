//! `POST /logout`: the session is dead on the server, whatever the browser still shows (L10).

use axum::http::HeaderMap;
use axum::response::Response;

use crate::app::App;
use crate::operations::sessions::end::log_out;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::session::browser;
use crate::web::signed_out::{self, End};

/// `POST /logout`. Harmless when nobody is signed in.
///
/// # Errors
/// When the database fails: then the session lives, and the cookies stay.
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap) -> Result<Response, PageError> {
    let ended = log_out(&app, &browser(&headers, &app), None, &arrival.visitor, None, arrival.now).await?;
    // Apps may be told on a page in between: the notice waits for the login page behind it.
    Ok(Notice::LoggedOut.left_at("/login", signed_out::page(&app, ended, End::Onwards("/login".into()))))
}
