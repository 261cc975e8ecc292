//! The third door: the OpenID Provider. A file for each endpoint or concept of the standards.

pub mod authorize;
pub mod claims;
pub mod consent;
pub mod discovery;
pub mod end_session;
mod id_token;
pub mod introspect;
mod params;
pub mod published;
pub mod revoke;
pub mod token;
pub mod userinfo;

use axum::http::HeaderMap;

use crate::app::App;
use crate::oidc::params::Params;
use crate::operations::clients::authenticate::{ClientRequest, Fields, NotProven, authenticate};
use crate::time::Timestamp;
use crate::web::oauth_error::OAuthError;

/// The form of a request on the back channel, and the client that proved to have sent it.
async fn authenticated(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
    endpoint: &str,
    now: Timestamp,
) -> Result<ClientRequest<Params>, OAuthError> {
    let params = Params::of_form(headers, body)
        .ok_or_else(|| OAuthError::invalid_request("the body must be application/x-www-form-urlencoded"))?;
    if let Some(name) = params.repeated() {
        return Err(OAuthError::invalid_request(format!("{name} was sent twice")));
    }
    let fields = Fields {
        client_id: params.get("client_id"),
        client_secret: params.get("client_secret"),
        assertion_type: params.get("client_assertion_type"),
        assertion: params.get("client_assertion"),
    };
    match authenticate(app, headers, fields, endpoint, now).await {
        Ok((client, proof)) => Ok(ClientRequest { client, proof, asked: params }),
        Err(NotProven::Malformed(why)) => Err(OAuthError::invalid_request(why)),
        Err(NotProven::Refused(why, true)) => Err(OAuthError::invalid_client(why).challenging("Basic")),
        Err(NotProven::Refused(why, false)) => Err(OAuthError::invalid_client(why)),
        Err(NotProven::Failed(error)) => Err(error.into()),
    }
}
