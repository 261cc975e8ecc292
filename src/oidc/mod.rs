//! The OpenID Provider. A file for each endpoint or concept of the standards.

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
use crate::operations::clients::authenticate::{ClientRequest, Fields, NotProven, authenticate, authenticate_known};
use crate::time::Timestamp;
use crate::web::oauth_error::OAuthError;

/// The form of a request on the back channel.
fn form(headers: &HeaderMap, body: &[u8]) -> Result<Params, OAuthError> {
    let params = Params::of_form(headers, body)
        .ok_or_else(|| OAuthError::invalid_request("the body must be application/x-www-form-urlencoded"))?;
    match params.repeated() {
        Some(name) => Err(OAuthError::invalid_request(format!("{name} was sent twice"))),
        None => Ok(params),
    }
}

fn fields(params: &Params) -> Fields<'_> {
    Fields {
        client_id: params.get("client_id"),
        client_secret: params.get("client_secret"),
        assertion_type: params.get("client_assertion_type"),
        assertion: params.get("client_assertion"),
    }
}

/// A request on the back channel, and the client that proved to have sent it.
async fn authenticated(
    app: &App,
    headers: &HeaderMap,
    asked: Params,
    endpoint: &str,
    now: Timestamp,
) -> Result<ClientRequest<Params>, OAuthError> {
    match authenticate(app, headers, fields(&asked), endpoint, now).await {
        Ok((client, proof)) => Ok(ClientRequest { client, proof, asked }),
        Err(NotProven::Malformed(why)) => Err(OAuthError::invalid_request(why)),
        Err(NotProven::Refused(why, true)) => Err(OAuthError::invalid_client(why).challenging("Basic")),
        Err(NotProven::Refused(why, false)) => Err(OAuthError::invalid_client(why)),
        Err(NotProven::Failed(error)) => Err(error.into()),
    }
}

/// The same by what is known of the client, or the form again. Only a good answer counts that ended with a statement which
/// read the client once more; whatever else comes of it, the request is to be checked by [`authenticated`].
fn authenticated_before(
    app: &App,
    headers: &HeaderMap,
    asked: Params,
    now: Timestamp,
) -> Result<ClientRequest<Params>, Params> {
    match authenticate_known(app, headers, fields(&asked), now) {
        Some((client, proof)) => Ok(ClientRequest { client, proof, asked }),
        None => Err(asked),
    }
}

/// Before anything is written or said that no later statement proves: ends what began with a client that is merely known.
fn must_be_read(request: &ClientRequest<Params>) -> Result<(), OAuthError> {
    match request.proof.known {
        Some(_) => Err(OAuthError::temporarily_unavailable("the client is read once more")),
        None => Ok(()),
    }
}
