//! Token introspection (RFC 7662): a client with credentials asks what a token of its own, or for a resource of its
//! own, is worth.

use axum::Json;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::params::Params;
use super::token::refresh_parts;
use super::{authenticated, authenticated_before, form, must_be_read};
use crate::app::App;
use crate::model::client::Client;
use crate::operations::clients::access_token;
use crate::operations::clients::authenticate::ClientRequest;
use crate::store;
use crate::store::tokens::access::AccessToken;
use crate::store::tokens::families::Family;
use crate::time::Timestamp;
use crate::web::layers::Arrival;
use crate::web::oauth_error::{OAuthError, data};

/// `POST /oauth2/introspect`
///
/// # Errors
/// RFC 7662 §2.3; an unusable token is no error.
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap, body: Bytes) -> Result<Response, OAuthError> {
    let now = arrival.now;
    let asked = match authenticated_before(&app, &headers, form(&headers, &body)?, now) {
        Ok(request) => match introspect(&app, &request, now).await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_final() => return Err(error),
            Err(_) => request.asked,
        },
        Err(asked) => asked,
    };
    let request = authenticated(&app, &headers, asked, "/oauth2/introspect", now).await?;
    introspect(&app, &request, now).await
}

async fn introspect(app: &App, request: &ClientRequest<Params>, now: Timestamp) -> Result<Response, OAuthError> {
    let token = request.asked.get("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    if request.client.metadata.is_public() {
        return Err(OAuthError::invalid_client("introspection needs a client with credentials"));
    }
    let answer = match refresh_parts(token) {
        Some((family, hash)) => {
            must_be_read(request)?;
            of_refresh_token(app, &request.client, family, &hash, now).await?
        }
        None => of_access_token(app, request, token, now).await?,
    };
    Ok(data(Json(answer)))
}

/// All that is said of a token that is worth nothing, or nothing to who asks (RFC 7662 §2.2).
fn inactive() -> Value {
    json!({ "active": false })
}

async fn of_access_token(
    app: &App,
    request: &ClientRequest<Params>,
    token: &str,
    now: Timestamp,
) -> Result<Value, OAuthError> {
    let Some(hash) = access_token::remembered_as(app, token, now).await? else {
        must_be_read(request)?;
        return Ok(inactive());
    };
    let found = store::tokens::access::live_for(&mut app.db.read().await?, &request.proof, &hash, now).await?;
    let found = found.filter(|found| may_know(&request.client, found));
    Ok(found.map_or_else(inactive, |found| described(app, &found)))
}

/// Whether a client may know what a token is worth: one of its own, one for a resource of its own, and any where an
/// operator says so (RFC 7662 §4).
fn may_know(client: &Client, token: &AccessToken) -> bool {
    let is_own = |resource: &str| client.metadata.resources.iter().any(|own| own == resource);
    client.metadata.introspect_all || token.client == client.id || token.audience.split(' ').any(is_own)
}

fn described(app: &App, found: &AccessToken) -> Value {
    let audience: Vec<&str> = found.audience.split(' ').filter(|one| !one.is_empty()).collect();
    let mut answer = json!({
        "active": true,
        "iss": app.config.issuer,
        "client_id": found.client_id,
        "scope": found.scope,
        "token_type": "Bearer",
        "iat": Timestamp(found.created_at).seconds(),
        "exp": Timestamp(found.expires_at).seconds(),
        "sub": found.user_id.as_ref().unwrap_or(&found.client_id),
        "aud": if audience.is_empty() { vec![app.config.issuer.as_str()] } else { audience },
    });
    for (name, value) in [
        (
            "username",
            found.login_name.clone().filter(|_| access_token::scope_of(found).has("profile")).map(Value::from),
        ),
        ("acr", found.acr.clone().map(Value::from)),
        ("auth_time", found.auth_time.map(|at| Timestamp(at).seconds().into())),
    ] {
        if let Some(value) = value {
            answer[name] = value;
        }
    }
    answer
}

/// A refresh token is its own client's affair.
async fn of_refresh_token(
    app: &App,
    client: &Client,
    family: &str,
    hash: &str,
    now: Timestamp,
) -> Result<Value, OAuthError> {
    let found = store::tokens::families::live(&mut app.db.read().await?, family, now).await?;
    let is_it = |family: &Family| family.client == client.id && family.refresh_hash.as_deref() == Some(hash);
    let Some(family) = found.filter(is_it) else {
        return Ok(inactive());
    };
    Ok(json!({
        "active": true,
        "iss": app.config.issuer,
        "client_id": client.client_id,
        "scope": family.scope,
        "exp": Timestamp(family.expires_at).seconds(),
        "sub": family.user_id,
    }))
}
