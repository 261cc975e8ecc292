//! *Issue*: access tokens, opaque or as a JWT (RFC 9068), and the answer that carries them (RFC 6749 §5.1).

use std::time::Duration;

use axum::Json;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::crypto::jws::Algorithm;
use crate::crypto::secret::{Secret, digest};
use crate::model::client::AccessTokenFormat;
use crate::oidc::id_token::sign;
use crate::oidc::params::Params;
use crate::operations::clients::authenticate::ClientRequest;
use crate::store::tokens::access::NewAccessToken;
use crate::time::Timestamp;
use crate::web::oauth_error::{OAuthError, data};

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: String,
    pub(super) token_type: &'static str,
    /// Seconds.
    pub(super) expires_in: i64,
    pub(super) scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id_token: Option<String>,
}

impl TokenAnswer {
    /// As an answer.
    pub(super) fn respond(&self) -> Response {
        data(Json(self))
    }
}

/// What an access token speaks of, beside its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaks<'a> {
    /// The user, or the client itself.
    pub(super) sub: &'a str,
    pub(super) scope: &'a str,
    /// The resources, space-separated; nothing: our own userinfo.
    pub(super) resources: &'a str,
    /// `acr` and when credentials were checked.
    pub(super) sign_in: Option<(&'a str, Timestamp)>,
    /// No later than this.
    pub(super) at_most: Timestamp,
}

/// The resources a token is asked for: those that were granted, or fewer (RFC 8707 §2.2).
pub(super) fn narrowed(granted: &str, params: &Params) -> Result<String, OAuthError> {
    let asked: Vec<&str> = params.all("resource").collect();
    if asked.is_empty() {
        return Ok(granted.to_owned());
    }
    let was_granted = |one: &&str| granted.split(' ').any(|resource| resource == *one);
    if asked.iter().all(was_granted) {
        Ok(asked.join(" "))
    } else {
        Err(OAuthError::invalid_target("resource is not one that was granted"))
    }
}

/// A token in hand, and its row.
#[derive(Clone, Debug)]
pub(super) struct IssuedToken {
    pub(super) token: String,
    pub(super) row: NewAccessToken,
}

impl IssuedToken {
    /// `expires_in`: whole seconds from `now`, at least 1.
    pub(super) fn expires_in(&self, now: Timestamp) -> i64 {
        (self.row.expires_at.0 - now.0).max(1000) / 1000
    }
}

/// Makes an access token, opaque or a JWT (RFC 9068) as the client is registered; it lives `tokens.access_minutes`, and
/// no longer than `speaks.at_most`. Nothing is stored: the caller writes its row in the transaction that gives it.
pub(super) async fn access_token(
    app: &App,
    request: &ClientRequest<Params>,
    family_id: Option<&str>,
    speaks: Speaks<'_>,
    now: Timestamp,
) -> Result<IssuedToken, OAuthError> {
    let client = &request.client;
    let life = Duration::from_mins(app.config.tokens.access_minutes.into());
    let expires_at = now.after(life).min(speaks.at_most);
    let secret = Secret::random(&app.random);
    let mut row = NewAccessToken {
        hash: secret.digest(),
        family_id: family_id.map(str::to_owned),
        proof: request.proof.clone(),
        scope: speaks.scope.to_owned(),
        audience: speaks.resources.to_owned(),
        expires_at,
    };
    if client.metadata.access_token_format == AccessTokenFormat::Opaque {
        return Ok(IssuedToken { token: secret.reveal(), row });
    }
    let jti = secret.reveal();
    row.hash = digest(&jti);
    let resources: Vec<&str> = speaks.resources.split(' ').filter(|one| !one.is_empty()).collect();
    let audience = match resources.as_slice() {
        [] => json!(app.config.issuer),
        [one] => json!(one),
        many => json!(many),
    };
    let mut claims = json!({
        "iss": app.config.issuer, "sub": speaks.sub, "aud": audience, "client_id": client.client_id, "jti": jti,
        "iat": now.seconds(), "exp": expires_at.seconds(), "scope": speaks.scope,
    });
    if let Some((acr, auth_time)) = speaks.sign_in {
        claims["acr"] = acr.into();
        claims["auth_time"] = auth_time.seconds().into();
    }
    // RFC 9068 §2.1: RS256 is what every resource can read.
    Ok(IssuedToken { token: sign(app, Algorithm::Rs256, "at+jwt", &claims, now).await?, row })
}
