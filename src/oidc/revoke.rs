//! Token revocation (RFC 7009): a refresh token takes its whole family along, an access token goes alone.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::token::refresh_parts;
use super::{authenticated, form};
use crate::app::App;
use crate::operations::clients::access_token;
use crate::store::{self, in_one_statement};
use crate::web::layers::Arrival;
use crate::web::oauth_error::{OAuthError, data};

/// `POST /oauth2/revoke`
///
/// # Errors
/// RFC 7009 §2.2.1; an unknown token is no error.
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let now = arrival.now;
    let request = authenticated(&app, &headers, form(&headers, &body)?, "/oauth2/revoke", now).await?;
    let client = request.client.id.clone();
    let token = request.asked.get("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let foreign = || OAuthError::invalid_grant("the token was given to another client");
    if let Some((family, hash)) = refresh_parts(token) {
        let found = store::tokens::families::live(&mut app.db.read().await?, family, now).await?;
        let known = |known: &Option<String>| known.as_deref() == Some(hash.as_str());
        let Some(family) = found.filter(|f| known(&f.refresh_hash) || known(&f.previous_hash)) else {
            return Ok(data(StatusCode::OK));
        };
        if family.client != client {
            return Err(foreign());
        }
        in_one_statement!(app.db, app.ordinary_deadline(now), [family], |tx| {
            store::tokens::families::revoke(tx, &family.id, "revoked_by_client", now).await
        })?;
        return Ok(data(StatusCode::OK));
    }
    let Some(hash) = access_token::remembered_as(&app, token, now).await? else {
        return Ok(data(StatusCode::OK));
    };
    let owner = store::tokens::access::owner(&mut app.db.read().await?, &hash).await?;
    match owner {
        None => {}
        Some(owner) if owner != client => return Err(foreign()),
        Some(_) => {
            in_one_statement!(app.db, app.ordinary_deadline(now), [hash, client], |tx| {
                store::tokens::access::revoke(tx, &hash, &client, now).await
            })?;
        }
    }
    Ok(data(StatusCode::OK))
}
