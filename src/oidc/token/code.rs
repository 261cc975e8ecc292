//! The authorization code grant (RFC 6749 §4.1.3): spent before it is checked; a second use revokes what was issued for
//! the first.

use std::time::Duration;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::issue::{Speaks, TokenAnswer, access_token, narrowed};
use super::refresh::refresh_secret;
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::client::{Client, GrantType};
use crate::model::scope::{OFFLINE_ACCESS, OPENID, Scope};
use crate::oidc::id_token::{IdToken, about};
use crate::oidc::must_be_read;
use crate::oidc::params::Params;
use crate::operations::clients::authenticate::ClientRequest;
use crate::store::tokens::access::NewAccessToken;
use crate::store::tokens::codes::{Code, Redeemed};
use crate::store::tokens::families::NewFamily;
use crate::store::{self, in_one_statement, in_transaction};
use crate::time::Timestamp;
use crate::web::oauth_error::OAuthError;

/// What a code is exchanged with, beside the client's proof.
#[derive(Clone, Debug)]
struct CodeExchange {
    code_hash: String,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
}

/// Exchanges a code for tokens (RFC 6749 §4.1.3). Whoever sends it spends it, also where the rest of the request is
/// wrong; sent again, it ends the tokens that it was exchanged for (§4.1.2).
pub(super) async fn exchange(
    app: &App,
    request: &ClientRequest<Params>,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    let (client, params) = (&request.client, &request.asked);
    let text = params.get("code").ok_or_else(|| OAuthError::invalid_request("code is missing"))?;
    let code = Secret::parse(text).ok_or_else(|| OAuthError::invalid_grant("the code is not valid"))?;
    let exchange = CodeExchange {
        code_hash: code.digest(),
        redirect_uri: params.get("redirect_uri").map(str::to_owned),
        code_verifier: params.get("code_verifier").map(str::to_owned),
    };
    // Tokens are made before the code is spent, so that one commit spends it and remembers them. What is read here
    // never changes; whether the code is still unspent is what the transaction finds out.
    let seen = store::tokens::codes::unspent(&mut app.db.read().await?, &exchange.code_hash).await?;
    let checked = seen.map(|mut code| {
        check(&code, client, &exchange, now)?;
        code.resources = narrowed(&code.resources, params)?;
        Ok(code)
    });
    if let Some(Ok(code)) = checked {
        return issue(app, request, &exchange.code_hash, &code, now).await;
    }
    must_be_read(request)?;
    let why = spend(app, request, &exchange.code_hash, None, now).await?;
    Err(why.or(checked.and_then(Result::err)).unwrap_or_else(|| {
        // Spent by nobody, and gone since it was looked for.
        OAuthError::invalid_grant("the code is not valid")
    }))
}

/// Spends the code, and remembers what it is exchanged for in the same transaction. A second use revokes what was
/// issued for the first, whoever comes with it. `None` when all is well.
async fn spend(
    app: &App,
    request: &ClientRequest<Params>,
    code_hash: &str,
    bought: Option<(NewFamily, NewAccessToken)>,
    now: Timestamp,
) -> Result<Option<OAuthError>, OAuthError> {
    let (client, deadline) = (&request.client, app.ordinary_deadline(now));
    if let Some(bought) = bought.as_ref().filter(|_| app.db.writes_at_once()) {
        let all = in_one_statement!(app.db, deadline, [bought], |tx| {
            let (family, token) = &bought;
            store::tokens::at_once::exchange(tx, family, token, now).await
        })?;
        if all {
            return Ok(None);
        }
        must_be_read(request)?;
    }
    let (hash, is_read) = (code_hash.to_owned(), request.proof.known.is_none());
    let (redeemed, born) = in_transaction!(app.db, deadline, [hash, bought], |tx| {
        let redeemed = store::tokens::codes::redeem(tx, &hash, now).await?;
        let mut born = true;
        match (&redeemed, &bought) {
            (Redeemed::Reused(family), _) => {
                store::tokens::families::revoke(tx, family, "code_used_twice", now).await?;
            }
            (Redeemed::Fresh, Some((family, token))) => {
                born = store::tokens::families::insert(tx, family, now).await?;
                if born {
                    store::tokens::access::insert(tx, token, now).await?;
                }
            }
            (Redeemed::Fresh, None) | (Redeemed::Unknown, _) => {}
        }
        if is_read || (redeemed == Redeemed::Fresh && born) {
            Ok((redeemed, born))
        } else {
            // Nothing is kept: the client is read first.
            Err(store::Error::NoAuthority)
        }
    })?;
    Ok(match redeemed {
        Redeemed::Fresh if born => None,
        Redeemed::Fresh => {
            let why = "the session or the account that the code was given for has ended";
            Some(OAuthError::invalid_grant(why))
        }
        Redeemed::Unknown => Some(OAuthError::invalid_grant("the code is not valid")),
        Redeemed::Reused(_) => {
            tracing::warn!(client.id = %client.client_id, "a code was used twice, by client {}", client.client_id);
            Some(OAuthError::invalid_grant(
                "the code was spent before, by an exchange or by a try that failed; what it bought is revoked",
            ))
        }
    })
}

/// Each line a clause.
fn check(code: &Code, client: &Client, exchange: &CodeExchange, now: Timestamp) -> Result<(), OAuthError> {
    let refuse = |why: &'static str| Err(OAuthError::invalid_grant(why));
    // RFC 6749 §4.1.3: issued to this client.
    if code.client != client.id {
        return refuse("the code was given to another client");
    }
    // RFC 6749 §4.1.2: short-lived.
    if Timestamp(code.expires_at) <= now {
        return refuse("the code is expired");
    }
    // RFC 6749 §4.1.3: identical to the one of the request.
    match &exchange.redirect_uri {
        None => return refuse("redirect_uri is missing"),
        Some(given) if *given != code.redirect_uri => return refuse("redirect_uri is not the one of the request"),
        Some(_) => {}
    }
    // RFC 7636 §4.6; RFC 9700 §2.1.1: no verifier where there was no challenge.
    match (&code.code_challenge, &exchange.code_verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if verify(challenge, verifier) => Ok(()),
        (Some(_), Some(_)) => refuse("code_verifier is not right"),
        (Some(_), None) => refuse("code_verifier is missing"),
        (None, Some(_)) => refuse("code_verifier was sent although the request had no code_challenge"),
    }
}

/// Whether this verifier is the one the challenge was made from (RFC 7636 §4.6).
fn verify(challenge: &str, verifier: &str) -> bool {
    let good = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
    let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    good && bool::from(made.as_bytes().ct_eq(challenge.as_bytes()))
}

async fn issue(
    app: &App,
    request: &ClientRequest<Params>,
    code_hash: &str,
    code: &Code,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    let client = &request.client;
    let scope = Scope::parse(&code.scope).unwrap_or_default();
    let offline = scope.has(OFFLINE_ACCESS);
    let refresh = client.metadata.may(GrantType::RefreshToken).then(|| refresh_secret(app, &code.family_id));
    let expires_at = if offline {
        now.after(Duration::from_secs(u64::from(app.config.tokens.offline_days) * 86_400))
    } else {
        Timestamp(code.session_expires_at)
    };
    let family = NewFamily {
        code_hash: code_hash.to_owned(),
        refresh_hash: refresh.as_ref().map(Secret::digest),
        offline,
        expires_at,
    };
    let auth_time = Timestamp(code.auth_time);
    let speaks = Speaks {
        sub: &code.user_id,
        scope: &code.scope,
        resources: &code.resources,
        sign_in: Some((&code.acr, auth_time)),
        at_most: expires_at,
    };
    let made = access_token(app, request, Some(&code.family_id), speaks, now).await?;
    let about = about(app, client, &code.user_id, &scope, code.claims.as_deref()).await?;
    let id_token = IdToken {
        sub: &code.user_id,
        nonce: code.nonce.as_deref(),
        acr: &code.acr,
        amr: code.amr.as_deref(),
        auth_time,
        sid: &code.sid,
        access_token: &made.token,
        about,
    };
    let answer = TokenAnswer {
        access_token: made.token.clone(),
        token_type: "Bearer",
        expires_in: made.expires_in(now),
        scope: code.scope.clone(),
        refresh_token: refresh.map(|secret| format!("{}.{}", code.family_id, secret.reveal())),
        id_token: if scope.has(OPENID) { Some(id_token.sign(app, client, now).await?) } else { None },
    };
    match spend(app, request, code_hash, Some((family, made.row)), now).await? {
        None => Ok(answer.respond()),
        Some(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_verifier_of_the_rfc_fits_its_challenge() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(verify(challenge, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!verify(challenge, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(!verify(challenge, "short"));
    }
}
