//! The refresh token grant (RFC 6749 §6; G14). A token is `<family>.<secret>`. Public clients get a new one each time:
//! the replaced one is answered alike for 10 seconds, and its use after that, or of any older one, revokes the family
//! (RFC 9700 §4.14.2). What was never a token of ours revokes nothing. Clients with credentials keep theirs.

use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::issue::{Speaks, TokenAnswer, access_token, narrowed};
use super::paid::Paid;
use crate::app::App;
use crate::crypto::seal;
use crate::crypto::secret::Secret;
use crate::model::client::Client;
use crate::model::scope::{OPENID, Scope};
use crate::oidc::id_token::{IdToken, about};
use crate::oidc::must_be_read;
use crate::oidc::params::Params;
use crate::operations::clients::authenticate::ClientRequest;
use crate::store::tokens::access::NewAccessToken;
use crate::store::tokens::at_once::Rotation;
use crate::store::tokens::families::Family;
use crate::store::{self, in_one_statement, in_transaction};
use crate::time::Timestamp;
use crate::web::oauth_error::{OAuthError, data};

/// How long a replaced token gets the same answer again.
pub const GRACE: Duration = Duration::from_secs(10);

/// The number of access tokens of one family that live at once; one more ends the oldest.
pub const LIVE_TOKENS: i64 = 20;

/// Which token of its family was presented.
enum Place {
    Live,
    Replaced,
    Spent,
    NeverOurs,
}

/// Exchanges a refresh token for new tokens (RFC 6749 §6). A token that was replaced within [`GRACE`] gets the same
/// answer once more; one that was replaced before ends its family (RFC 9700 §4.14.2).
pub(super) async fn refresh(
    app: &App,
    request: &ClientRequest<Params>,
    paid: &mut Paid,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    let (client, params) = (&request.client, &request.asked);
    let text = params.get("refresh_token").ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let (family_id, secret) = parts(text).ok_or_else(not_valid)?;
    let hash = secret.digest();
    // Once more where another request replaced the token between our look and our change.
    for _ in 0..2 {
        let found = store::tokens::families::live(&mut app.db.read().await?, family_id, now).await?;
        let family = found.filter(|family| family.client == client.id).ok_or_else(not_valid)?;
        match place(app, &family, &secret) {
            Place::Live => {
                paid.once(&app.family_throttle, &family.id, now).await?;
                let answer = answer(app, request, &family, now).await?;
                if let Some(response) = give(app, request, &family, &hash, answer, now).await? {
                    return Ok(response);
                }
            }
            // No statement of theirs reads the client again.
            Place::Replaced | Place::Spent if request.proof.known.is_some() => must_be_read(request)?,
            Place::Replaced if Timestamp(family.rotated_at.unwrap_or(0)).after(GRACE) > now => {
                return answer_again(app, &family);
            }
            Place::Replaced | Place::Spent => return revoke(app, client, &family, now).await,
            Place::NeverOurs => return Err(not_valid()),
        }
    }
    Err(not_valid())
}

fn not_valid() -> OAuthError {
    OAuthError::invalid_grant("the refresh token is not valid, or not this client's, or has ended")
}

/// The family and the secret's digest of a token.
pub(in crate::oidc) fn read(text: &str) -> Option<(&str, String)> {
    let (family, secret) = parts(text)?;
    Some((family, secret.digest()))
}

fn parts(text: &str) -> Option<(&str, Secret)> {
    let (family, secret) = text.split_once('.')?;
    Some((family, Secret::parse(secret)?))
}

/// The secret of a family's next refresh token. It is known again when the row has forgotten it, so that a reuse can be
/// told from a guess by somebody who saw no more than the family's id.
pub(super) fn refresh_secret(app: &App, family: &str) -> Secret {
    Secret::recognizable(&app.random, &app.refresh_token_key, family)
}

fn place(app: &App, family: &Family, secret: &Secret) -> Place {
    let hash = secret.digest();
    if family.refresh_hash.as_ref() == Some(&hash) {
        Place::Live
    } else if family.previous_hash.as_ref() == Some(&hash) {
        Place::Replaced
    } else if secret.is_of(&app.refresh_token_key, &family.id) {
        Place::Spent
    } else {
        Place::NeverOurs
    }
}

/// The answer, before anything is written.
struct Answer {
    tokens: TokenAnswer,
    row: NewAccessToken,
}

async fn answer(
    app: &App,
    request: &ClientRequest<Params>,
    family: &Family,
    now: Timestamp,
) -> Result<Answer, OAuthError> {
    let (client, params) = (&request.client, &request.asked);
    // What the client lost since it was granted is not granted any more.
    let granted = Scope::parse(&family.scope).unwrap_or_default().within(&client.metadata.scopes());
    let resources = narrowed(&family.resources, params)?;
    let scope = match params.get("scope") {
        None => granted,
        // RFC 6749 §6: it may be narrowed and not widened.
        Some(text) => Scope::parse(text)
            .filter(|asked| asked.is_within(&granted))
            .ok_or_else(|| OAuthError::invalid_scope(format!("scope is wider than what was granted: {granted}")))?,
    };
    let scope_text = scope.to_string();
    let auth_time = Timestamp(family.auth_time);
    let speaks = Speaks {
        sub: &family.user_id,
        scope: &scope_text,
        resources: &resources,
        sign_in: Some((&family.acr, auth_time)),
        at_most: Timestamp(family.expires_at),
    };
    let made = access_token(app, request, Some(&family.id), speaks, now).await?;
    let id_token = if scope.has(OPENID) {
        let about = about(app, client, &family.user_id, &scope, family.claims.as_deref()).await?;
        // OpenID Connect Core §12.2: the same sign-in, a new iat, no nonce.
        let token = IdToken {
            sub: &family.user_id,
            nonce: None,
            acr: &family.acr,
            amr: family.amr.as_deref(),
            auth_time,
            sid: &family.sid,
            access_token: &made.token,
            about,
        };
        Some(token.sign(app, client, now).await?)
    } else {
        None
    };
    let tokens = TokenAnswer {
        access_token: made.token.clone(),
        token_type: "Bearer",
        expires_in: made.expires_in(now),
        scope: scope_text,
        refresh_token: None,
        id_token,
    };
    Ok(Answer { tokens, row: made.row })
}

/// Writes what is given; `None` when another request came first.
async fn give(
    app: &App,
    request: &ClientRequest<Params>,
    family: &Family,
    hash: &str,
    answer: Answer,
    now: Timestamp,
) -> Result<Option<Response>, OAuthError> {
    let Answer { mut tokens, row } = answer;
    let (id, is_public) = (family.id.clone(), request.client.metadata.is_public());
    let rotation = is_public.then(|| rotation(app, &id, hash, &mut tokens)).transpose()?;
    let deadline = app.ordinary_deadline(now);
    if app.db.writes_at_once() {
        let all = in_one_statement!(app.db, deadline, [id, rotation, row], |tx| {
            store::tokens::at_once::refresh(tx, &id, rotation.as_ref(), &row, LIVE_TOKENS, now).await
        })?;
        if all {
            return Ok(Some(tokens.respond()));
        }
        must_be_read(request)?;
    }
    // Looked at once more where it counts: an ID token that is answered cannot be called back (G9).
    let given = in_transaction!(app.db, deadline, [id, rotation, row], |tx| {
        let mut given = store::tokens::families::live(tx, &id, now).await?.is_some();
        if let Some(Rotation { old_hash, new_hash, sealed_answer }) = rotation.as_ref().filter(|_| given) {
            given = store::tokens::families::rotate(tx, &id, old_hash, new_hash, sealed_answer, now).await?;
        }
        if given {
            store::tokens::access::insert(tx, &row, now).await?;
            store::tokens::access::keep_newest(tx, &id, LIVE_TOKENS).await?;
        }
        Ok(given)
    })?;
    match given {
        true => Ok(Some(tokens.respond())),
        false if is_public => Ok(None),
        false => Err(not_valid()),
    }
}

/// Puts the next refresh token into an answer, which is kept sealed.
fn rotation(app: &App, family: &str, hash: &str, tokens: &mut TokenAnswer) -> Result<Rotation, OAuthError> {
    let next = refresh_secret(app, family);
    tokens.refresh_token = Some(format!("{family}.{}", next.reveal()));
    let text = serde_json::to_string(&tokens).unwrap_or_default();
    let sealed_answer = seal::seal(&app.keys, &purpose(family), text.as_bytes()).map_err(|error| {
        OAuthError::temporarily_unavailable("the answer could not be kept; try again").because(error)
    })?;
    Ok(Rotation { old_hash: hash.to_owned(), new_hash: next.digest(), sealed_answer })
}

/// What a kept answer is sealed for: this one family.
fn purpose(family: &str) -> String {
    format!("refresh answer {family}")
}

/// The same answer again: a retry of the same client whose first answer was lost on the way.
fn answer_again(app: &App, family: &Family) -> Result<Response, OAuthError> {
    let sealed = family.sealed_answer.as_deref().ok_or_else(not_valid)?;
    let text = seal::open(&app.keys, &purpose(&family.id), sealed).ok_or_else(|| {
        OAuthError::temporarily_unavailable("the answer cannot be given again; sign in again")
            .because("it cannot be unsealed")
    })?;
    let response = ([(header::CONTENT_TYPE, "application/json")], text.to_vec()).into_response();
    Ok(data(response))
}

/// A token that was replaced long ago is in somebody's hands who should not have it.
async fn revoke(app: &App, client: &Client, family: &Family, now: Timestamp) -> Result<Response, OAuthError> {
    let id = family.id.clone();
    in_one_statement!(app.db, app.ordinary_deadline(now), [id], |tx| {
        store::tokens::families::revoke(tx, &id, "refresh_token_used_twice", now).await
    })?;
    tracing::warn!(client.id = %client.client_id, "a refresh token of client {} was used twice: its family is revoked", client.client_id);
    Err(not_valid())
}
