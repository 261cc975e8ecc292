//! Who an access token speaks for: one look for every resource of ours (RFC 6750).

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::crypto::jws::Unverified;
use crate::crypto::secret::{Secret, digest};
use crate::log;
use crate::model::client::{GrantType, Metadata};
use crate::model::header_text;
use crate::model::scope::Scope;
use crate::operations::keys::in_use;
use crate::store;
use crate::store::tokens::access::AccessToken;
use crate::time::Timestamp;

/// A JWT access token is never longer.
const MAX_BYTES: usize = 8192;

/// What a request brings as its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Nothing.
    Nothing,
    /// A token.
    Token(String),
    /// Something that is no bearer token.
    Malformed,
}

/// The bearer token of the `Authorization` header (RFC 6750 §2.1); the scheme's case does not matter.
#[must_use]
pub fn in_header(headers: &HeaderMap) -> Presented {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else {
        return Presented::Nothing;
    };
    let Some((scheme, token)) = header_text::ascii(value).and_then(|text| text.split_once(' ')) else {
        return Presented::Malformed;
    };
    if second.is_some() || !scheme.eq_ignore_ascii_case("Bearer") || token.trim().is_empty() {
        return Presented::Malformed;
    }
    Presented::Token(token.trim().to_owned())
}

/// The digest under which a token is remembered: of its bytes, or of a JWT's `jti` once its signature is ours.
pub async fn remembered_as(app: &App, token: &str, now: Timestamp) -> Result<Option<String>, store::Error> {
    if !token.contains('.') {
        return Ok(Secret::parse(token).map(|secret| secret.digest()));
    }
    let Ok(jws) = Unverified::parse(token, MAX_BYTES) else {
        return Ok(None);
    };
    // RFC 9068 §4: an ID token must not pass for an access token.
    if jws.header.get("typ").and_then(|typ| typ.as_str()) != Some("at+jwt")
        || !in_use::verify_own(app, &jws, now).await?
    {
        return Ok(None);
    }
    let Ok(claims) = jws.claims() else {
        return Ok(None);
    };
    Ok(claims.get("jti").and_then(|jti| jti.as_str()).map(digest))
}

/// The usable token, if it is one.
pub async fn find(app: &App, token: &str, now: Timestamp) -> Result<Option<AccessToken>, store::Error> {
    let Some(hash) = remembered_as(app, token, now).await? else {
        return Ok(None);
    };
    store::tokens::access::live(&mut app.db.read().await?, &hash, now).await
}

/// The usable token, if it is one and meant for us: one for other resources alone opens nothing here (RFC 8707 §2).
pub async fn find_for_us(app: &App, token: &str, now: Timestamp) -> Result<Option<AccessToken>, store::Error> {
    let is_ours = |found: &AccessToken| {
        found.audience.is_empty() || found.audience.split(' ').any(|one| one == app.config.issuer)
    };
    let found = find(app, token, now).await?.filter(is_ours);
    if let Some(token) = &found {
        log::name_client(&token.client_id);
    }
    Ok(found)
}

/// What a token allows.
#[must_use]
pub fn scope_of(token: &AccessToken) -> Scope {
    Scope::parse(&token.scope).unwrap_or_default()
}

/// What a program's own token allows of what its client may still have: what was taken away is gone at once (G9). A token
/// that speaks for a person opens the person's apps, never the administration of the service.
///
/// # Errors
/// When what is stored of the client cannot be read.
pub fn standing(token: &AccessToken) -> Result<Scope, serde_json::Error> {
    let metadata: Metadata = serde_json::from_str(&token.metadata)?;
    if token.family_id.is_some() || !metadata.may(GrantType::ClientCredentials) {
        return Ok(Scope::default());
    }
    let granted = metadata.scopes();
    Ok(scope_of(token).only(|name| granted.covers(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        let headers = |text: &str| HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())]);
        assert_eq!(in_header(&HeaderMap::new()), Presented::Nothing);
        assert_eq!(in_header(&headers("bEaReR abc")), Presented::Token("abc".into()));
        for bad in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert_eq!(in_header(&headers(bad)), Presented::Malformed, "{bad}");
        }
    }
}
