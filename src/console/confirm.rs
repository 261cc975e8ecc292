//! The confirmation of an act that cannot be undone, or hands out trust (G34). The button on a page leads to it; it names
//! the act, the object and the effect in numbers, and its form does the act. It has an address of its own, at which it is
//! asked and done: a reload, the Back button and a sign-in in between lose nothing.

use std::str::FromStr;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use crate::app::App;
use crate::console::admins::Admin;
use crate::console::answers::form_again;
use crate::console::reauth::{Proof, Sender};
use crate::operations::admin_context::{AdminContext, ValidationError, Version};
use crate::store::sessions::Usable;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors};
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::session::AtItsOwnAddress;

/// What is asked, and what the form of the answer holds.
pub struct Question {
    /// The page's title, after the object.
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
    /// Which version of the object the page shows.
    pub version: Version,
    /// It, and whatever else must not have changed; the form carries it.
    pub seen: String,
    /// What is wrong with the answer.
    pub faults: FieldErrors,
}

/// What is typed or chosen beside the confirmation.
#[expect(missing_docs, reason = "each is what a field of a form has: id, name, label, hint, value")]
pub enum Input {
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

/// An act that is confirmed: what is asked about it, and how it is done.
pub trait Confirmation: Sized + Send + 'static {
    /// Who confirms it.
    type Admin: Admin;
    /// What of the address names it.
    type Named: FromRequestParts<App> + Send + 'static;

    /// What is asked, with what was typed beside it, and the act; or the answer where there is nothing to ask.
    fn question(
        app: &App,
        now: Timestamp,
        admin: &Self::Admin,
        named: Self::Named,
        typed: &mut Fields,
    ) -> impl Future<Output = Result<Result<(Question, Self), Response>, PageError>> + Send;

    /// Does it, of the version that was confirmed.
    fn carry_out(
        self,
        admin: &Self::Admin,
        by: &AdminContext,
    ) -> impl Future<Output = Result<Response, PageError>> + Send;
}

/// `GET` of a confirmation: what the act would do.
///
/// # Errors
/// When there is no such object, or the database cannot be asked.
pub async fn ask<C: Confirmation>(
    app: App,
    arrival: Arrival,
    AtItsOwnAddress(admin): AtItsOwnAddress<C::Admin>,
    named: C::Named,
    kept: KeptForm,
    uri: Uri,
) -> Result<Response, PageError> {
    let mut typed = kept.sent_to(admin.session(), uri.path()).unwrap_or_default();
    Ok(match C::question(&app, arrival.now, &admin, named, &mut typed).await? {
        Ok((question, _)) => {
            // Nothing was sent yet, so nothing is wrong.
            let question = Question { faults: FieldErrors::default(), ..question };
            respond(StatusCode::OK, Shape::Inside, &question.page(&app, &admin))
        }
        Err(instead) => instead,
    })
}

/// `POST` of a confirmation: does what was confirmed, or asks again.
///
/// # Errors
/// When there is no such object, or the database fails.
pub async fn answer<C: Confirmation>(
    app: App,
    arrival: Arrival,
    AtItsOwnAddress(admin): AtItsOwnAddress<C::Admin>,
    named: C::Named,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (mut question, act) = match C::question(&app, arrival.now, &admin, named, &mut fields).await? {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let proof = match question.confirmed(&app, &arrival, &admin, &headers, &mut fields).await? {
        Ok(proof) => proof,
        Err(again) => return Ok(again),
    };
    let by = admin.act(&app, &arrival).of(question.version);
    Ok(proof.on(act.carry_out(&admin, &by).await))
}

impl Question {
    /// Takes a rule's judgement of what was typed beside the confirmation.
    pub fn check<T>(&mut self, label: &str, checked: Result<T, ValidationError>) -> Option<T> {
        self.faults.check(label, checked)
    }

    /// Whether the form confirms what stands here, and a Therap Admin's password in it is right; otherwise the page again.
    async fn confirmed(
        &mut self,
        app: &App,
        arrival: &Arrival,
        admin: &impl Admin,
        headers: &HeaderMap,
        fields: &mut Fields,
    ) -> Result<Result<Proof, Response>, PageError> {
        const PASSWORD: &str = "confirm-password";
        if fields.take("seen") != self.seen {
            let page = ConfirmPage { changed: true, ..self.page(app, admin) };
            return Ok(Err(form_again(StatusCode::CONFLICT, &page)));
        }
        let unproven = |question: &Self| form_again(StatusCode::UNPROCESSABLE_ENTITY, &question.page(app, admin));
        if !self.faults.is_empty() {
            return Ok(Err(unproven(self)));
        }
        let Some(therap_admin) = admin.types_password() else {
            return Ok(Ok(Proof::default()));
        };
        let password = fields.take_secret("password");
        if password.is_empty() {
            self.faults.add(PASSWORD, "Please enter your Password.");
            return Ok(Err(unproven(self)));
        }
        let sender = Sender { app, arrival, admin: therap_admin, headers };
        let checked = sender.check(password, PASSWORD, &mut self.faults).await?;
        Ok(checked.map_err(|unproven| unproven.answer(&self.page(app, admin), &self.address)))
    }

    fn page(&self, app: &App, admin: &impl Admin) -> ConfirmPage<'_> {
        let object = self.object.first().map(|(_, name)| format!("{name} · ")).unwrap_or_default();
        let page = Page::of(app, format!("{object}{}", self.title), admin.session());
        let ask_password = admin.types_password().is_some();
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
}
