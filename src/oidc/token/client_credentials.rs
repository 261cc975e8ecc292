//! The client credentials grant (RFC 6749 §4.4): a client for itself; no refresh token, no ID token.

use axum::response::Response;

use super::issue::{Speaks, TokenAnswer, access_token};
use super::paid::Paid;
use crate::app::App;
use crate::model::scope::{Scope, is_for_clients};
use crate::oidc::params::Params;
use crate::operations::clients::authenticate::ClientRequest;
use crate::store::{self, in_one_statement};
use crate::time::Timestamp;
use crate::web::oauth_error::OAuthError;

/// The client credentials grant (RFC 6749 §4.4): an access token for the client itself, of the scopes that it may have
/// for itself; without `scope`, all of them. There is no refresh token (§4.4.3).
pub(super) async fn grant(
    app: &App,
    request: &ClientRequest<Params>,
    paid: &mut Paid,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    let (client, params) = (&request.client, &request.asked);
    if client.metadata.is_public() {
        return Err(OAuthError::unauthorized_client("a client without credentials has nothing to give them for"));
    }
    paid.once(&app.own_token_throttle, &client.client_id, now).await?;
    let own = client.metadata.scopes().only(is_for_clients);
    let scope = match params.get("scope") {
        None => own,
        Some(text) => {
            let asked = Scope::parse(text)
                .ok_or_else(|| OAuthError::invalid_scope("scope holds a character that scopes cannot have"))?;
            if !asked.names().all(|name| own.covers(name) && is_for_clients(name)) {
                return Err(OAuthError::invalid_scope(format!("this client may ask for: {own}")));
            }
            asked
        }
    };
    if scope.is_empty() {
        return Err(OAuthError::invalid_scope("this client has no scope of its own to ask for"));
    }
    let resources: Vec<&str> = params.all("resource").collect();
    if resources.iter().any(|one| !client.metadata.resources.iter().any(|own| own == one)) {
        return Err(OAuthError::invalid_target("resource is not one that this client may ask for"));
    }
    let (scope, resources) = (scope.to_string(), resources.join(" "));
    let speaks = Speaks {
        sub: &client.client_id,
        scope: &scope,
        resources: &resources,
        sign_in: None,
        at_most: Timestamp(i64::MAX),
    };
    let made = access_token(app, request, None, speaks, now).await?;
    let answer = TokenAnswer {
        access_token: made.token.clone(),
        token_type: "Bearer",
        expires_in: made.expires_in(now),
        scope,
        refresh_token: None,
        id_token: None,
    };
    let row = made.row;
    in_one_statement!(app.db, app.ordinary_deadline(now), [row], |tx| store::tokens::access::insert(tx, &row, now)
        .await)?;
    Ok(answer.respond())
}
