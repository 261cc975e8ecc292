//! `GET /unified-login/providers/{provider_code}`: whether to show the button (U9).

use std::borrow::Cow;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::App;
use crate::model::provider::UnifiedLogin;
use crate::model::scope::UNIFIED_LOGIN_READ;
use crate::operations::clients::access_token::{Presented, find_for_us, in_header, scope_of};
use crate::store;
use crate::web::layers::Arrival;
use crate::web::oauth_error::{OAuthError, data};

/// The answer. An unknown code is simply not on.
#[derive(Debug, Serialize)]
pub struct Button {
    provider_code: String,
    unified_login: bool,
}

/// `GET /unified-login/providers/{provider_code}`
///
/// # Errors
/// RFC 6750 §3.1: without a token of scope `unified-login.read`.
pub async fn get(
    app: App,
    arrival: Arrival,
    headers: HeaderMap,
    Path(provider_code): Path<String>,
) -> Result<Response, OAuthError> {
    let invalid = |why: &'static str| OAuthError::invalid_token(Cow::from(why)).challenging("Bearer");
    let token = match in_header(&headers) {
        Presented::Token(token) => token,
        Presented::Nothing => return Err(OAuthError::missing_token()),
        Presented::Malformed => return Err(invalid("the Authorization header holds no bearer token")),
    };
    let found = find_for_us(&app, &token, arrival.now).await?;
    let found =
        found.ok_or_else(|| invalid("the access token is unknown, expired, revoked or for another resource"))?;
    if !scope_of(&found).has(UNIFIED_LOGIN_READ) {
        let why = "the access token has no scope unified-login.read";
        return Err(OAuthError::insufficient_scope(why).challenging("Bearer"));
    }
    let provider = store::providers::by_code(&mut app.db.read().await?, &provider_code).await?;
    let unified_login = provider.is_some_and(|p| p.active && p.unified_login == UnifiedLogin::On);
    let answer = Json(Button { provider_code, unified_login });
    Ok(data(([(header::CACHE_CONTROL, "private, max-age=60")], answer).into_response()))
}
