//! Proofs that an admin is here: a handler that takes one of these cannot be reached by anybody else (G15). Whoever is
//! signed in as somebody else is told what everybody is told of a page that is not there.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::model::session::{Method, Session};
use crate::model::tenant::ProviderScope;
use crate::model::user::UserType;
use crate::operations::admin_context::AdminContext;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::session::{SignedIn, act_of};

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
        let proven = session.user_type == UserType::TherapAdmin && session.method == Method::Password;
        if proven { Ok(Self { session }) } else { Err(PageError::NotFound.into_response()) }
    }
}

/// For so long a typed password counts.
const FRESH: Duration = Duration::from_mins(5);

fn act(app: &App, arrival: &Arrival, session: &Session, side: &str) -> AdminContext {
    act_of(app, arrival, session, format!("{side} {}", session.login_name))
}
