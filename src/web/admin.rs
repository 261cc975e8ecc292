//! Proofs that an admin is here: a handler that takes one of these cannot be reached by anybody else (G15). Whoever is
//! signed in as somebody else is told what everybody is told of a page that is not there.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::error::PageError;
use super::layers::Arrival;
use super::session::SignedIn;
use crate::app::App;
use crate::model::session::{Method, Session};
use crate::model::tenant::ProviderScope;
use crate::model::user::UserType;
use crate::operations::Actor;
use crate::operations::act::Act;

/// A Provider Admin is signed in, by either door.
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
    pub fn act(&self, app: &App, arrival: &Arrival) -> Act {
        act(app, arrival, format!("admin {}", self.session.login_name))
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
    pub fn act(&self, app: &App, arrival: &Arrival) -> Act {
        act(app, arrival, format!("therap admin {}", self.session.login_name))
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

fn act(app: &App, arrival: &Arrival, name: String) -> Act {
    let actor = Actor { name, visitor: arrival.visitor.clone() };
    Act { app: app.clone(), actor, now: arrival.now, deadline: app.ordinary_deadline(arrival.now) }
}

/// The id in a path. What cannot be one is as unknown as one that is nobody's.
#[derive(Clone, Debug)]
pub struct Id(pub String);

impl FromRequestParts<App> for Id {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| PageError::NotFound)?;
        checked(&text).map(Self).ok_or(PageError::NotFound)
    }
}

/// An id as it is stored, or nothing.
#[must_use]
pub fn checked(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?.to_string();
    (id == text).then_some(id)
}
