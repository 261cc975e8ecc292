//! The token endpoint (RFC 6749 §3.2): the client is authenticated in the type it arrives in; one file per grant:
//! redeem, check, issue.

mod client_credentials;
mod code;
mod issue;
mod paid;
mod refresh;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;

pub use refresh::GRACE;
pub(super) use refresh::read as refresh_parts;

use self::paid::Paid;
use super::params::Params;
use super::{authenticated, authenticated_before, form};
use crate::app::App;
use crate::model::client::GrantType;
use crate::operations::clients::authenticate::ClientRequest;
use crate::time::Timestamp;
use crate::web::layers::Arrival;
use crate::web::oauth_error::OAuthError;

/// This endpoint.
const PATH: &str = "/oauth2/token";

/// `POST /oauth2/token`
///
/// # Errors
/// RFC 6749 §5.2.
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let now = arrival.now;
    let mut paid = Paid::default();
    let asked = match authenticated_before(&app, &headers, form(&headers, &body)?, now) {
        Ok(request) => match grant(&app, &request, &mut paid, now).await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_final() => return Err(error),
            Err(_) => request.asked,
        },
        Err(asked) => asked,
    };
    let request = authenticated(&app, &headers, asked, PATH, now).await?;
    grant(&app, &request, &mut paid, now).await
}

async fn grant(
    app: &App,
    request: &ClientRequest<Params>,
    paid: &mut Paid,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    let named = request.asked.get("grant_type").ok_or_else(|| OAuthError::invalid_request("grant_type is missing"))?;
    let Ok(grant) = named.parse::<GrantType>() else {
        return Err(OAuthError::unsupported_grant_type(
            "grant_type is none of authorization_code, refresh_token, client_credentials",
        ));
    };
    if !request.client.metadata.may(grant) {
        return Err(OAuthError::unauthorized_client(format!("this client may not use grant_type {grant}")));
    }
    let answer = match grant {
        GrantType::AuthorizationCode => code::exchange(app, request, now).await,
        GrantType::RefreshToken => refresh::refresh(app, request, paid, now).await,
        GrantType::ClientCredentials => client_credentials::grant(app, request, paid, now).await,
    }?;
    app.metrics.token_issued(grant, request.client.metadata.access_token_format);
    Ok(answer)
}
