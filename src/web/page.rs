//! What every page has, and how a page becomes an answer.

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::assets;
use super::flash::Told;
use super::notice::Notice;
use super::session_end::SessionEnd;
pub use super::shape::{Extras, Shape};
use crate::app::App;
use crate::config::Site;
use crate::model::session::Session;
use crate::model::user::{UserType, initials};
use crate::store::statistics::{MOST_PENDING, Pending};

/// What the frame around every page shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// The title, before "· Therap Connect".
    pub title: Cow<'static, str>,
    /// This is a site for training and testing (L11).
    pub beta: bool,
    /// Where the link "Therap Services" leads.
    pub therap_services_url: String,
    /// Who is signed in.
    pub who: Option<Who>,
    /// What is said this once.
    pub notice: Option<Notice>,
    /// When the session of whoever is signed in ends.
    pub session_end: Option<SessionEnd>,
    /// What waits for a Therap Admin.
    pub pending: Pending,
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
    pub fn new(app: &App, title: impl Into<Cow<'static, str>>) -> Self {
        Self {
            title: title.into(),
            beta: app.config.site == Site::Beta,
            therap_services_url: app.config.therap_services_url.clone(),
            who: None,
            notice: None,
            session_end: None,
            pending: Pending::default(),
        }
    }

    /// The same, which also says what was left for it to say.
    #[must_use]
    pub fn saying(self, told: Told) -> Self {
        Self { notice: told.show(), ..self }
    }

    /// A page for whoever is signed in.
    #[must_use]
    pub fn of(app: &App, title: impl Into<Cow<'static, str>>, session: &Session) -> Self {
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
        let session_end = Some(SessionEnd::of(app, session, app.clock.now()));
        let pending = if who.therap_admin { app.badges.get() } else { Pending::default() };
        Self { who: Some(who), session_end, pending, ..Self::new(app, title) }
    }

    /// A number in the navigation: what was counted up to a limit.
    #[must_use]
    pub fn badge(&self, count: &i64) -> String {
        if *count >= MOST_PENDING { format!("{}+", MOST_PENDING - 1) } else { count.to_string() }
    }

    /// The fingerprinted URL of an asset.
    #[must_use]
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}

/// A page as an answer. A form that was refused says so in its title.
pub fn respond(status: StatusCode, shape: Shape, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => with_shape((status, Html(titled(html, status))).into_response(), shape),
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
        Ok(html) => {
            let mut html = titled(html, status);
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

/// A page that is no form: its heading says why it is shown.
pub fn respond_without_form(status: StatusCode, shape: Shape, template: &impl Template) -> Response {
    let mut response = respond(StatusCode::OK, shape, template);
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    response
}

/// What a screen reader reads first says whether the form was taken; the beta site names itself before all else (L11).
fn titled(html: String, status: StatusCode) -> String {
    const TITLE: &str = "<title>";
    const BETA: &str = "[BETA] ";
    if status.is_success() {
        return html;
    }
    let Some((head, rest)) = html.split_once(TITLE) else { return html };
    let (beta, rest) = rest.strip_prefix(BETA).map_or(("", rest), |rest| (BETA, rest));
    format!("{head}{TITLE}{beta}Error: {rest}")
}

/// An answer that is a page of this shape.
#[must_use]
pub fn with_shape(mut response: Response, shape: Shape) -> Response {
    response.extensions_mut().insert(shape);
    response
}
