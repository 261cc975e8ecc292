//! What every page has, and how a page becomes an answer.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::assets;
use super::flash::Told;
use super::notice::Notice;
pub use super::shape::{Extras, Shape};
use crate::app::App;
use crate::config::Site;
use crate::model::session::Session;
use crate::model::user::{UserType, initials};

/// What the frame around every page shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// The title, before "· Therap Connect".
    pub title: &'static str,
    /// This is a site for training and testing (L11).
    pub beta: bool,
    /// Where the link "Therap Services" leads.
    pub therap_services_url: String,
    /// Who is signed in.
    pub who: Option<Who>,
    /// What is said this once.
    pub notice: Option<Notice>,
}

/// The person in the profile panel (L10).
#[derive(Clone, Debug)]
pub struct Who {
    /// On the button.
    pub initials: String,
    /// The person's name.
    pub name: String,
    /// Login Name.
    pub login_name: String,
    /// The provider's name.
    pub provider_name: String,
    /// The provider's code.
    pub provider_code: String,
    /// For admins only.
    pub user_type: Option<String>,
    /// Sees the pages of a Provider Admin.
    pub provider_admin: bool,
    /// Sees the pages of a Therap Admin.
    pub therap_admin: bool,
}

impl Who {
    /// Where the handbook for this person is.
    #[must_use]
    pub const fn handbook(&self) -> &'static str {
        match (self.therap_admin, self.provider_admin) {
            (true, _) => "/help/therap-admins",
            (false, true) => "/help/provider-admins",
            (false, false) => "/help/signing-in",
        }
    }
}

impl Page {
    /// A page for nobody in particular.
    #[must_use]
    pub fn new(app: &App, title: &'static str) -> Self {
        Self {
            title,
            beta: app.config.site == Site::Beta,
            therap_services_url: app.config.therap_services_url.clone(),
            who: None,
            notice: None,
        }
    }

    /// The same, which also says what was left for it to say.
    #[must_use]
    pub fn saying(self, told: Told) -> Self {
        Self { notice: told.show(), ..self }
    }

    /// A page for whoever is signed in.
    #[must_use]
    pub fn of(app: &App, title: &'static str, session: &Session) -> Self {
        let who = Who {
            initials: initials(&session.name),
            name: session.name.clone(),
            login_name: session.login_name.clone(),
            provider_name: session.provider_name.clone(),
            provider_code: session.provider_code.clone(),
            user_type: (session.user_type != UserType::Regular).then(|| session.user_type.to_string()),
            provider_admin: session.user_type == UserType::ProviderAdmin,
            therap_admin: session.user_type == UserType::TherapAdmin,
        };
        Self { who: Some(who), ..Self::new(app, title) }
    }

    /// The fingerprinted URL of an asset.
    #[must_use]
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}

/// A page as an answer.
pub fn respond(status: StatusCode, shape: Shape, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => with_shape((status, Html(html)).into_response(), shape),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page whose length says nothing about what is on it: filled up with spaces to a multiple of 8 KiB (L3).
pub fn respond_padded(status: StatusCode, shape: Shape, template: &impl Template) -> Response {
    const STEP: usize = 8 * 1024;
    match template.render() {
        Ok(mut html) => {
            let length = html.len().next_multiple_of(STEP);
            html.extend(std::iter::repeat_n(' ', length - html.len()));
            with_shape((status, Html(html)).into_response(), shape)
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer that is a page of this shape.
#[must_use]
pub fn with_shape(mut response: Response, shape: Shape) -> Response {
    response.extensions_mut().insert(shape);
    response
}
