//! The proof that a directory may provision the users of one provider: its token has the scope `scim:CODE`, which says
//! which provider that is. To it, every other provider's user is as unknown as one that is not there (G15).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::ScimError;
use crate::app::App;
use crate::model::activity::Visitor;
use crate::model::provider::{Provider, ProviderCode, ProviderKind};
use crate::model::scope::SCIM;
use crate::operations::Actor;
use crate::operations::admin_context::{AdminContext, Authority};
use crate::operations::clients::access_token::{Presented, find_for_us, in_header, standing};
use crate::store;
use crate::time::Timestamp;
use crate::web::layers::Arrival;

/// A directory, and the provider whose users it provisions.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The provider.
    pub provider: Provider,
    /// From where it asks, and under which reference number.
    pub visitor: Visitor,
    client_id: String,
    now: Timestamp,
    authority: Authority,
}

impl Directory {
    /// Counts one more against what a client may ask for in a minute.
    ///
    /// # Errors
    /// 429 when that was too much.
    pub async fn take_one(&self, app: &App) -> Result<(), ScimError> {
        app.client_throttle.take(self.client_id.clone(), self.now).await.map_err(ScimError::throttled)
    }

    /// The same a moment later: a part of a long request.
    pub fn again(&self, app: &App) -> Self {
        Self { now: app.clock.now(), ..self.clone() }
    }

    /// An act of it.
    pub fn act(&self, app: &App) -> AdminContext {
        let actor = Actor { name: format!("client {}", self.client_id), visitor: self.visitor.clone() };
        let (app, authority, now) = (app.clone(), self.authority.clone(), self.now);
        AdminContext { deadline: app.ordinary_deadline(now), app, actor, authority, now, seen: None }
    }
}

impl FromRequestParts<App> for Directory {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ScimError> {
        let arrival =
            Arrival::from_request_parts(parts, app).await.map_err(|_| ScimError::unavailable("no arrival"))?;
        let token = match in_header(&parts.headers) {
            Presented::Token(token) => token,
            Presented::Nothing => {
                let how = "Send an access token of the client credentials grant in the Authorization header.";
                return Err(ScimError::unauthenticated(how, false));
            }
            Presented::Malformed => {
                return Err(ScimError::unauthenticated("The Authorization header holds no bearer token.", true));
            }
        };
        let found = find_for_us(app, &token, arrival.now).await?.ok_or_else(|| {
            ScimError::unauthenticated("The access token is unknown, expired, revoked or for another resource.", true)
        })?;
        let scope = standing(&found).map_err(ScimError::unavailable)?;
        let codes: Vec<_> =
            scope.names().filter_map(|name| name.split_once(':')).filter(|(whole, _)| *whole == SCIM).collect();
        let code = match codes.as_slice() {
            [(_, code)] => ProviderCode::parse(code),
            [] => return Err(ScimError::forbidden("The access token needs the scope scim:CODE of one provider.")),
            [_, _, ..] => {
                return Err(ScimError::forbidden(
                    "The access token has the scope of several providers: ask for one with one.",
                ));
            }
        };
        let provider = match code {
            Some(code) => store::providers::by_code(&mut app.db.read().await?, code.as_str()).await?,
            None => None,
        };
        // Nobody of an inactive provider does anything, its programs included.
        let stands = |provider: &Provider| provider.kind == ProviderKind::Agency && provider.active;
        let provider = provider.filter(stands);
        let provider = provider
            .ok_or_else(|| ScimError::forbidden("The provider of the scope is not there, or is not active."))?;
        let authority = Authority::Token { hash: found.hash, metadata: found.metadata };
        let directory =
            Self { provider, visitor: arrival.visitor, client_id: found.client_id, now: arrival.now, authority };
        directory.take_one(app).await?;
        Ok(directory)
    }
}
