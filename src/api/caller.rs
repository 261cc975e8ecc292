//! Proofs that a program may do this: a handler that takes one of these cannot be reached by any other (G15).
//!
//! A scope is held whole (`users.read`), as the operator's programs hold it, or narrowed to one provider
//! (`users.read:SUNRISE-IL`), as an agency's own programs hold it. To the latter, every other provider is as unknown as
//! one that is not there.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::problem::Problem;
use crate::app::App;
use crate::model::provider::{Provider, ProviderCode, ProviderKind};
use crate::model::scope::Scope;
use crate::model::tenant::ProviderScope;
use crate::operations::Actor;
use crate::operations::activity::browse::Reach;
use crate::operations::admin_context::{AdminContext, Authority};
use crate::operations::clients::access_token::{Presented, find_for_us, in_header, standing};
use crate::store;
use crate::time::Timestamp;
use crate::web::layers::Arrival;

/// A program with a usable token of its own.
#[derive(Debug)]
pub struct Caller {
    /// The client's row.
    pub client: String,
    client_id: String,
    scope: Scope,
    /// It does what an agency's own admins may, by a scope that is narrowed to the agency.
    of_provider: bool,
    arrival: Arrival,
    authority: Authority,
}

impl Caller {
    /// Counts one more against what a client may ask for in a minute.
    ///
    /// # Errors
    /// 429 when that was too much.
    pub async fn take_one(&self, app: &App) -> Result<(), Problem> {
        app.client_throttle.take(self.client_id.clone(), self.arrival.now).await.map_err(Problem::throttled)
    }

    /// Whether this is the program's own client: switching that off cannot be undone by it.
    #[must_use]
    pub fn is(&self, client_id: &str) -> bool {
        self.client_id == client_id
    }

    /// The one present of this request.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.arrival.now
    }

    /// Whether it acts as an agency's own admins may, and not as the operator's.
    #[must_use]
    pub const fn is_of_provider(&self) -> bool {
        self.of_provider
    }

    /// An act of this program.
    #[must_use]
    pub fn act(&self, app: &App) -> AdminContext {
        let side = if self.of_provider { "client" } else { "operator client" };
        let actor = Actor { name: format!("{side} {}", self.client_id), visitor: self.arrival.visitor.clone() };
        let now = self.arrival.now;
        let (app, authority) = (app.clone(), self.authority.clone());
        AdminContext { deadline: app.ordinary_deadline(now), app, actor, authority, now, seen: None }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let arrival = Arrival::from_request_parts(parts, app).await.map_err(|_| Problem::unavailable("no arrival"))?;
        let token = match in_header(&parts.headers) {
            Presented::Token(token) => token,
            Presented::Nothing => {
                let how = "Send an access token of the client credentials grant in the Authorization header.";
                return Err(Problem::unauthenticated(how, false));
            }
            Presented::Malformed => {
                return Err(Problem::unauthenticated("The Authorization header holds no bearer token.", true));
            }
        };
        let found = find_for_us(app, &token, arrival.now).await?;
        let found = found.ok_or_else(|| {
            Problem::unauthenticated("The access token is unknown, expired, revoked or for another resource.", true)
        })?;
        let scope = standing(&found).map_err(Problem::unavailable)?;
        let authority = Authority::Token { hash: found.hash, metadata: found.metadata };
        let (client, client_id) = (found.client, found.client_id);
        let caller = Self { client, client_id, scope, of_provider: false, arrival, authority };
        caller.take_one(app).await?;
        Ok(caller)
    }
}

/// Something that a scope allows.
pub trait Right: Send + Sync + 'static {
    /// The scope.
    const SCOPE: &'static str;
}

macro_rules! rights {
    ($($(#[$meta:meta])* $name:ident = $scope:literal),* $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Right for $name {
            const SCOPE: &'static str = $scope;
        }
    )*};
}
rights! {
    /// `providers.read`
    ReadProviders = "providers.read",
    /// `providers.write`
    WriteProviders = "providers.write",
    /// `users.read`
    ReadUsers = "users.read",
    /// `users.write`
    WriteUsers = "users.write",
    /// `activity.read`
    ReadActivity = "activity.read",
    /// `clients.read`
    ReadClients = "clients.read",
    /// `clients.write`
    WriteClients = "clients.write",
    /// `issuers.read`
    ReadIssuers = "issuers.read",
    /// `issuers.write`
    WriteIssuers = "issuers.write",
    /// `keys.read`
    ReadKeys = "keys.read",
    /// `keys.write`
    WriteKeys = "keys.write",
}

/// May do this everywhere, as a Therap Admin may.
#[derive(Debug)]
pub struct Everywhere<R> {
    /// The program.
    pub caller: Caller,
    right: PhantomData<R>,
}

impl<R: Right> FromRequestParts<App> for Everywhere<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.scope.has(R::SCOPE) {
            Ok(Self { caller, right: PhantomData })
        } else {
            Err(Problem::insufficient_scope(R::SCOPE))
        }
    }
}

/// May do this in the provider of the path, as its Provider Admins may.
#[derive(Debug)]
pub struct InProvider<R> {
    /// The program.
    pub caller: Caller,
    /// The provider.
    pub provider: Provider,
    /// The same, for statements that look into one provider.
    pub scope: ProviderScope,
    right: PhantomData<R>,
}

impl<R> InProvider<R> {
    /// How far it looks into the record.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.caller.of_provider {
            Reach::Own(self.scope.clone())
        } else {
            Reach::Operator(Some(self.provider.id.clone()))
        }
    }
}

impl<R: Right> FromRequestParts<App> for InProvider<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut caller = Caller::from_request_parts(parts, app).await?;
        let of_one = |name: &str| name.split_once(':').is_some_and(|(whole, _)| whole == R::SCOPE);
        if !caller.scope.has(R::SCOPE) && !caller.scope.names().any(of_one) {
            return Err(Problem::insufficient_scope(R::SCOPE));
        }
        let code = param(parts, app, "provider_code").await?;
        // What cannot be a code is no provider.
        let code = ProviderCode::parse(&code).ok_or_else(Problem::not_found)?;
        let found = store::providers::by_code(&mut app.db.read().await?, code.as_str()).await?;
        let provider = found.filter(|provider| provider.kind == ProviderKind::Agency).ok_or_else(Problem::not_found)?;
        // Nobody of an inactive provider does anything, its programs included.
        let own = provider.active && caller.scope.has(&format!("{}:{}", R::SCOPE, provider.code));
        caller.of_provider = !caller.scope.has(R::SCOPE);
        if caller.of_provider && !own {
            return Err(Problem::not_found());
        }
        let scope = ProviderScope::granted(&provider);
        Ok(Self { caller, provider, scope, right: PhantomData })
    }
}

/// May do this to the provider of the path as a Therap Admin may.
#[derive(Debug)]
pub struct OverProvider<R> {
    /// The program.
    pub caller: Caller,
    /// The provider.
    pub provider: Provider,
    right: PhantomData<R>,
}

impl<R: Right> FromRequestParts<App> for OverProvider<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let InProvider::<R> { caller, provider, .. } = InProvider::from_request_parts(parts, app).await?;
        if caller.of_provider {
            Err(Problem::insufficient_scope(R::SCOPE))
        } else {
            Ok(Self { caller, provider, right: PhantomData })
        }
    }
}

/// A part of the path.
pub(super) async fn param(parts: &mut Parts, app: &App, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Problem::not_found())?;
    let found = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    found.ok_or_else(Problem::not_found)
}
