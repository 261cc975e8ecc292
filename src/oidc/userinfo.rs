//! The userinfo endpoint (OpenID Connect Core §5.3): GET and POST, the token in the header or the form.

use axum::Json;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::claims::{Subject, wishes};
use super::id_token::sign;
use crate::app::App;
use crate::model::client::Metadata;
use crate::model::scope::OPENID;
use crate::oidc::params::Params;
use crate::operations::clients::access_token::{Presented, find_for_us, in_header, scope_of};
use crate::store::tokens::access::AccessToken;
use crate::web::layers::Arrival;
use crate::web::oauth_error::{OAuthError, data};

/// `GET` and `POST /oauth2/userinfo`
///
/// # Errors
/// RFC 6750 §3.1.
pub async fn any(
    app: App,
    arrival: Arrival,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let token = presented(&headers, query.as_deref(), &body)?;
    let found = find_for_us(&app, &token, arrival.now).await?;
    let found = found.ok_or_else(|| {
        OAuthError::invalid_token("the access token is unknown, expired, revoked or for another resource")
            .challenging("Bearer")
    })?;
    if !scope_of(&found).has(OPENID) {
        return Err(OAuthError::insufficient_scope("the access token has no scope openid").challenging("Bearer"));
    }
    let metadata: Metadata = serde_json::from_str(&found.metadata)
        .map_err(|error| OAuthError::temporarily_unavailable("the client cannot be read").because(error))?;
    let mut claims = claims(&found, &metadata)?;
    let Some(alg) = metadata.userinfo_signed_response_alg else {
        return Ok(data(Json(claims)));
    };
    claims.insert("iss".into(), app.config.issuer.clone().into());
    claims.insert("aud".into(), found.client_id.into());
    let jwt = sign(&app, alg, "JWT", &Value::Object(claims), arrival.now).await?;
    Ok(data(([(header::CONTENT_TYPE, "application/jwt")], jwt).into_response()))
}

/// The one token of a request (RFC 6750 §2): never in the query, and not twice.
fn presented(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<String, OAuthError> {
    let malformed = |why: &'static str| Err(OAuthError::invalid_request(why).challenging("Bearer"));
    if Params::parse(query.unwrap_or_default().as_bytes()).get("access_token").is_some() {
        return malformed("access_token may not be in the query: use the Authorization header");
    }
    let form = Params::of_form(headers, body).unwrap_or_default();
    match (in_header(headers), form.get("access_token")) {
        (Presented::Token(token), None) => Ok(token),
        (Presented::Nothing, Some(token)) if form.repeated().is_none() => Ok(token.to_owned()),
        (Presented::Nothing, Some(_)) => malformed("access_token was sent twice"),
        (Presented::Token(_), Some(_)) => malformed("the access token was sent in more than one way"),
        (Presented::Malformed, _) => malformed("the Authorization header holds no bearer token"),
        // RFC 6750 §3.1: nothing is said to who brought nothing.
        (Presented::Nothing, None) => Err(OAuthError::missing_token()),
    }
}

fn claims(token: &AccessToken, metadata: &Metadata) -> Result<Map<String, Value>, OAuthError> {
    let subject = (|| {
        Some(Subject {
            name: token.name.as_deref()?,
            login_name: token.login_name.as_deref()?,
            user_type: token.user_type.as_deref()?,
            provider_code: token.provider_code.as_deref()?,
            provider_name: token.provider_name.as_deref()?,
            claims: token.claims.as_deref()?,
        })
    })();
    let (Some(subject), Some(sub)) = (subject, &token.user_id) else {
        return Err(OAuthError::insufficient_scope("the access token speaks for no user").challenging("Bearer"));
    };
    let scope = scope_of(token);
    let mut claims = subject.of_scope(&scope);
    claims.extend(subject.wished(&wishes(token.wishes.as_deref()).userinfo, &metadata.scopes()));
    claims.insert("sub".into(), sub.clone().into());
    Ok(claims)
}
