//! The ID token (OpenID Connect Core §2).

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::crypto::jws::{Algorithm, Unverified};
use crate::crypto::signing::half_hash;
use crate::model::client::Client;
use crate::model::scope::Scope;
use crate::oidc::claims::{Subject, wishes};
use crate::operations::keys::in_use;
use crate::store;
use crate::time::Timestamp;
use crate::web::oauth_error::OAuthError;

/// What it is made of.
#[derive(Clone, Debug)]
pub(super) struct IdToken<'a> {
    pub(super) sub: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) acr: &'a str,
    /// A JSON array, where the sign-in method says how.
    pub(super) amr: Option<&'a str>,
    pub(super) auth_time: Timestamp,
    pub(super) sid: &'a str,
    /// The access token beside it.
    pub(super) access_token: &'a str,
    /// What it says of the user.
    pub(super) about: Map<String, Value>,
}

impl IdToken<'_> {
    /// Signs it for a client (OpenID Connect Core §2) with the algorithm the client registered: a compact JWS that
    /// lives `tokens.id_token_minutes`.
    pub(super) async fn sign(&self, app: &App, client: &Client, now: Timestamp) -> Result<String, OAuthError> {
        let alg = client.metadata.id_token_signed_response_alg;
        let life = Duration::from_mins(app.config.tokens.id_token_minutes.into());
        let mut claims = self.about.clone();
        for (name, value) in [
            ("iss", json!(app.config.issuer)),
            ("sub", json!(self.sub)),
            ("aud", json!(client.client_id)),
            ("exp", json!(now.after(life).seconds())),
            ("iat", json!(now.seconds())),
            ("auth_time", json!(self.auth_time.seconds())),
            ("acr", json!(self.acr)),
            ("sid", json!(self.sid)),
            ("at_hash", json!(half_hash(alg, self.access_token))),
        ] {
            claims.insert(name.to_owned(), value);
        }
        if let Some(nonce) = self.nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        if let Some(amr) = self.amr.and_then(|amr| serde_json::from_str(amr).ok()) {
            claims.insert("amr".into(), amr);
        }
        sign(app, alg, "JWT", &Value::Object(claims), now).await
    }
}

/// What an `id_token_hint` proves.
#[derive(Clone, Debug)]
pub(super) struct Hint {
    pub(super) sub: String,
    pub(super) aud: String,
    pub(super) sid: String,
}

/// An ID token of ours, however old; `None` for everything else, also where we signed it.
pub(super) async fn read_hint(app: &App, text: &str, now: Timestamp) -> Result<Option<Hint>, store::Error> {
    // One that holds the claims of scopes too.
    const MAX_BYTES: usize = 16 * 1024;
    let Ok(jws) = Unverified::parse(text, MAX_BYTES) else {
        return Ok(None);
    };
    if jws.header.get("typ").and_then(Value::as_str) != Some("JWT") || !in_use::verify_hint(app, &jws, now).await? {
        return Ok(None);
    }
    let claims = jws.claims().unwrap_or_default();
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    // A signed userinfo answer has our signature too, and neither of these.
    if text("iss").as_ref() != Some(&app.config.issuer) || !claims.contains_key("exp") {
        return Ok(None);
    }
    let (Some(sub), Some(aud), Some(sid)) = (text("sub"), text("aud"), text("sid")) else {
        return Ok(None);
    };
    Ok(Some(Hint { sub, aud, sid }))
}

/// Signs claims with our key of an algorithm.
pub(super) async fn sign(
    app: &App,
    alg: Algorithm,
    typ: &str,
    claims: &Value,
    now: Timestamp,
) -> Result<String, OAuthError> {
    let key = in_use::signer(app, alg, now).await?;
    key.sign(typ, claims)
        .map_err(|error| OAuthError::temporarily_unavailable("the token could not be signed; try again").because(error))
}

/// What the ID token says of the user: what `claims` asks for there, and for a client that reads nothing else the
/// claims of the scopes.
pub(in crate::oidc) async fn about(
    app: &App,
    client: &Client,
    user_id: &str,
    scope: &Scope,
    claims: Option<&str>,
) -> Result<Map<String, Value>, OAuthError> {
    let wished = wishes(claims).id_token;
    if wished.is_empty() && !client.metadata.id_token_claims {
        return Ok(Map::new());
    }
    let mut conn = app.db.read().await?;
    let account = store::users::by_id(&mut conn, user_id).await?;
    let claims = store::users::claims(&mut conn, user_id).await?;
    let (Some(account), Some(claims)) = (account, claims) else {
        return Err(OAuthError::invalid_grant("the account is gone"));
    };
    let subject = Subject {
        name: &account.name,
        login_name: &account.login_name,
        user_type: account.user_type.as_str(),
        provider_code: &account.provider_code,
        provider_name: &account.provider_name,
        claims: &claims,
    };
    let mut about = if client.metadata.id_token_claims { subject.of_scope(scope) } else { Map::new() };
    about.extend(subject.wished(&wished, &client.metadata.scopes()));
    Ok(about)
}
