//! The confirmation of an act that cannot be undone, or hands out trust (G34). The button on a page leads to it; it names
//! the act, the object and the effect in numbers, and its form does the act. It has an address of its own, at which it is
//! asked and done: a reload, the Back button and a sign-in in between lose nothing.

use std::str::FromStr;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use crate::app::App;
use crate::console::answers::form_again;
use crate::console::reauth::{Proof, Sender};
use crate::model::session::Session;
use crate::model::validation_error::ValidationError;
use crate::store::sessions::Usable;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors};
use crate::web::page::{Page, Shape, respond};

/// What is asked, and what the form of the answer holds.
pub(super) struct Question {
    /// The page's title.
    pub title: &'static str,
    /// The act and its object, as a question.
    pub heading: String,
    /// The object: what is called how.
    pub object: Vec<(&'static str, String)>,
    /// What the act does, a sentence each.
    pub effects: Vec<String>,
    /// What else is typed or chosen.
    pub input: Input,
    /// On the button.
    pub button: &'static str,
    /// Where it is asked, and done.
    pub address: String,
    /// Where one came from.
    pub back: String,
    /// Which version of the object the page shows; the form carries it.
    pub seen: String,
    /// What is wrong with the answer.
    pub faults: FieldErrors,
}

/// What is typed or chosen beside the confirmation.
pub(super) enum Input {
    /// Nothing.
    Nothing,
    /// One line, under this id, which is its name too.
    Line { id: &'static str, label: &'static str, hint: &'static str, value: String },
    /// Several lines.
    Lines { id: &'static str, label: &'static str, hint: &'static str, value: String },
    /// Yes or no.
    Tick { id: &'static str, name: &'static str, label: String, ticked: bool },
    /// One of several.
    One { id: &'static str, name: &'static str, label: &'static str, choices: Vec<Choice> },
}

#[derive(Template)]
#[template(path = "console/confirm.html")]
struct ConfirmPage<'a> {
    page: Page,
    asked: &'a Question,
    faults: &'a FieldErrors,
    ask_password: bool,
    /// It is not the version that was confirmed.
    changed: bool,
}

/// Which of a subject's acts the last part of a path names.
#[derive(Clone, Copy, Debug)]
pub struct PathAction<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for PathAction<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let last = parts.uri.path().rsplit('/').next().unwrap_or_default();
        last.parse().map(Self).map_err(|_| PageError::NotFound)
    }
}

impl Question {
    /// The page, for a Provider Admin.
    pub fn for_provider_admin(&self, app: &App, session: &Session) -> Response {
        respond(StatusCode::OK, Shape::Inside, &self.page(app, session, false))
    }

    /// The page, for a Therap Admin: with the password.
    pub fn for_therap_admin(&self, app: &App, session: &Session) -> Response {
        respond(StatusCode::OK, Shape::Inside, &self.page(app, session, true))
    }

    /// Takes a rule's judgement of what was typed beside the confirmation.
    pub fn check<T>(&mut self, label: &str, checked: Result<T, ValidationError>) -> Option<T> {
        self.faults.check(label, checked)
    }

    /// The page again, unless a Provider Admin's form confirms what stands here.
    pub fn refused_to_provider_admin(&self, app: &App, session: &Session, fields: &mut Fields) -> Option<Response> {
        self.refused(self.page(app, session, false), fields)
    }

    /// Whether a Therap Admin's form confirms what stands here, and whether its password is right; otherwise the page again.
    pub async fn confirmed_by_therap_admin(
        &mut self,
        sender: &Sender<'_>,
        fields: &mut Fields,
    ) -> Result<Result<Proof, Response>, PageError> {
        const PASSWORD: &str = "confirm-password";
        let (app, session) = (sender.app, &sender.admin.session);
        if let Some(again) = self.refused(self.page(app, session, true), fields) {
            return Ok(Err(again));
        }
        let password = fields.take_secret("password");
        if password.is_empty() {
            self.faults.add(PASSWORD, "Please enter your Password.");
            return Ok(Err(form_again(StatusCode::UNPROCESSABLE_ENTITY, &self.page(app, session, true))));
        }
        let checked = sender.check(password, PASSWORD, &mut self.faults).await?;
        Ok(checked.map_err(|unproven| unproven.answer(&self.page(app, session, true), &self.address)))
    }

    fn refused(&self, page: ConfirmPage<'_>, fields: &mut Fields) -> Option<Response> {
        if fields.take("seen") != self.seen {
            return Some(form_again(StatusCode::CONFLICT, &ConfirmPage { changed: true, ..page }));
        }
        (!self.faults.is_empty()).then(|| form_again(StatusCode::UNPROCESSABLE_ENTITY, &page))
    }

    fn page(&self, app: &App, session: &Session, ask_password: bool) -> ConfirmPage<'_> {
        let page = Page::of(app, self.title, session);
        ConfirmPage { page, asked: self, faults: &self.faults, ask_password, changed: false }
    }
}

/// A number and what is counted: `1 user`, `12 users`.
pub(super) fn counted(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// What ending the sessions of several users does.
pub(super) fn ends(usable: Usable) -> String {
    match usable.sessions {
        0 => "No sessions are open now.".to_owned(),
        _ => format!("Ends {} of {}.", counted(usable.sessions, "session"), counted(usable.users, "user")),
    }
}

/// What ending the sessions of one user does.
pub(super) fn ends_of_user(usable: Usable) -> String {
    match usable.sessions {
        0 => "The user has no open sessions.".to_owned(),
        number => format!("Ends {} of the user.", counted(number, "open session")),
    }
}

/// An address with one pair in its query.
pub(super) fn with_query(path: &str, name: &str, value: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{path}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_say_them() {
        assert_eq!(ends(Usable { sessions: 214, users: 12 }), "Ends 214 sessions of 12 users.");
        assert_eq!(ends(Usable { sessions: 1, users: 1 }), "Ends 1 session of 1 user.");
        assert_eq!(ends(Usable::default()), "No sessions are open now.");
        assert_eq!(ends_of_user(Usable { sessions: 1, users: 1 }), "Ends 1 open session of the user.");
    }

    #[test]
    fn what_a_query_names_is_escaped() {
        assert_eq!(with_query("/x", "kid", "a b&c"), "/x?kid=a+b%26c");
    }
}
