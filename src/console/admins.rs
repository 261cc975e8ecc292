//! Proofs that an admin is here: a handler that takes one of these cannot be reached by anybody else (G15). Whoever is
//! signed in as somebody else is told what everybody is told of a page that is not there.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::model::provider::{Provider, ProviderKind};
use crate::model::session::Session;
use crate::model::tenant::ProviderScope;
use crate::operations::admin_context::AdminContext;
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::session::{SignedIn, act_of};

/// An admin who is signed in, of whichever kind.
pub trait Admin: FromRequestParts<App, Rejection = Response> + Send + Sync + 'static {
    /// The session.
    fn session(&self) -> &Session;

    /// An act of this admin.
    fn act(&self, app: &App, arrival: &Arrival) -> AdminContext;

    /// Whoever types the password again for what is confirmed (G34), if this admin does.
    fn types_password(&self) -> Option<&TherapAdmin>;
}

/// Whoever looks after the users of one provider.
pub trait UsersAdmin: Admin {
    /// The one provider.
    fn scope(&self) -> &ProviderScope;

    /// Where the list of its users stands; below it is each user's page.
    fn list(&self) -> String;

    /// The provider, for whoever comes from outside of it.
    fn visited(&self) -> Option<&Provider>;
}

/// A Provider Admin is signed in, by either sign-in method.
#[derive(Debug)]
pub struct ProviderAdmin {
    /// The session.
    pub session: Session,
    /// The one provider that it may look into.
    pub scope: ProviderScope,
}

impl ProviderAdmin {
    /// An act of this admin.
    #[must_use]
    pub fn act(&self, app: &App, arrival: &Arrival) -> AdminContext {
        act(app, arrival, &self.session, "admin")
    }
}

impl Admin for ProviderAdmin {
    fn session(&self) -> &Session {
        &self.session
    }

    fn act(&self, app: &App, arrival: &Arrival) -> AdminContext {
        Self::act(self, app, arrival)
    }

    fn types_password(&self) -> Option<&TherapAdmin> {
        None
    }
}

impl UsersAdmin for ProviderAdmin {
    fn scope(&self) -> &ProviderScope {
        &self.scope
    }

    fn list(&self) -> String {
        "/admin/users".to_owned()
    }

    fn visited(&self) -> Option<&Provider> {
        None
    }
}

impl FromRequestParts<App> for ProviderAdmin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let SignedIn { session } = SignedIn::from_request_parts(parts, app).await?;
        match ProviderScope::of(&session) {
            Some(scope) => Ok(Self { session, scope }),
            None => Err(PageError::NotFound.into_response()),
        }
    }
}

/// A Therap Admin is signed in, by password: no handoff ever leads here.
#[derive(Debug)]
pub struct TherapAdmin {
    /// The session.
    pub session: Session,
}

impl TherapAdmin {
    /// An act of this admin.
    #[must_use]
    pub fn act(&self, app: &App, arrival: &Arrival) -> AdminContext {
        act(app, arrival, &self.session, "therap admin")
    }

    /// Whether the password was typed within the last minutes.
    #[must_use]
    pub fn typed_lately(&self, now: Timestamp) -> bool {
        now < Timestamp(self.session.auth_time).after(FRESH)
    }
}

impl FromRequestParts<App> for TherapAdmin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let SignedIn { session } = SignedIn::from_request_parts(parts, app).await?;
        if !session.is_operators() {
            return Err(PageError::NotFound.into_response());
        }
        count_pending(app).await.map_err(|error| PageError::from(error).into_response())?;
        Ok(Self { session })
    }
}

impl Admin for TherapAdmin {
    fn session(&self) -> &Session {
        &self.session
    }

    fn act(&self, app: &App, arrival: &Arrival) -> AdminContext {
        Self::act(self, app, arrival)
    }

    fn types_password(&self) -> Option<&TherapAdmin> {
        Some(self)
    }
}

/// A Therap Admin who opened the agency that the path's `id` names. The operator realm is none.
#[derive(Debug)]
pub struct AgencyVisitor {
    /// Who.
    admin: TherapAdmin,
    /// The agency.
    agency: Provider,
    /// It, as the one provider that the pages below it look into.
    scope: ProviderScope,
}

impl Admin for AgencyVisitor {
    fn session(&self) -> &Session {
        &self.admin.session
    }

    fn act(&self, app: &App, arrival: &Arrival) -> AdminContext {
        self.admin.act(app, arrival)
    }

    fn types_password(&self) -> Option<&TherapAdmin> {
        Some(&self.admin)
    }
}

impl UsersAdmin for AgencyVisitor {
    fn scope(&self) -> &ProviderScope {
        &self.scope
    }

    fn list(&self) -> String {
        format!("/operator/providers/{}/users", self.agency.id)
    }

    fn visited(&self) -> Option<&Provider> {
        Some(&self.agency)
    }
}

impl FromRequestParts<App> for AgencyVisitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let admin = TherapAdmin::from_request_parts(parts, app).await?;
        let Id(id) = Id::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let agency = agency(app, &id).await.map_err(IntoResponse::into_response)?;
        Ok(Self { admin, scope: ProviderScope::granted(&agency), agency })
    }
}

/// The agency with this id; the operator realm is none.
pub(super) async fn agency(app: &App, id: &str) -> Result<Provider, PageError> {
    let found = store::providers::by_id(&mut app.db.read().await?, id).await?;
    found.filter(|provider| provider.kind == ProviderKind::Agency).ok_or(PageError::NotFound)
}

/// What waits for operators, for the navigation of the page that follows.
async fn count_pending(app: &App) -> Result<(), store::Error> {
    let pending = store::statistics::pending(&mut app.db.read().await?).await?;
    app.badges.take(pending);
    Ok(())
}

/// For so long a typed password counts.
const FRESH: Duration = Duration::from_mins(5);

fn act(app: &App, arrival: &Arrival, session: &Session, side: &str) -> AdminContext {
    act_of(app, arrival, session, format!("{side} {}", session.login_name))
}
