//! Our public keys (RFC 7517 §5): cached no longer than a new key is announced ahead of its use (G20).

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::operations::signing_keys;
use crate::web::layers::Arrival;
use crate::web::oauth_error::{OAuthError, data};

/// `GET /oauth2/jwks`
///
/// # Errors
/// When no set can be had.
pub async fn get(app: App, arrival: Arrival) -> Result<Response, OAuthError> {
    let set = signing_keys::jwks(&app, arrival.now).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, format!("public, max-age={}", set.max_age.as_secs())),
    ];
    Ok(data((headers, set.json.clone()).into_response()))
}
