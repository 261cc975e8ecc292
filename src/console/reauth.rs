//! The password once more, on the form that it is for: what hands sign-ins to somebody else is saved by whoever proves
//! to be there, and what was typed stays. The session is renewed (U3); a wrong password counts against it alone (G35).

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use zeroize::Zeroizing;

use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::form_again;
use crate::model::activity::Kind;
use crate::operations::sign_in::check_password::{Attempt, Typist};
use crate::operations::sign_in::{SignIn, sign_in};
use crate::web::address::returning_to;
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::session::browser;
use crate::web::sign_in_words::{BUSY, LOCKED, too_often};

/// Whoever sent a form is not known to be the admin.
pub enum Unproven {
    /// The form says why; it is shown again with this status.
    Again(StatusCode),
    /// The session is over; the login page may say why.
    Over(Option<Notice>),
}

impl Unproven {
    /// The answer, by the form that was sent; after a sign-in the way leads back to its page.
    pub fn answer(self, form: &impl Template, its_page: &str) -> Response {
        let said = match self {
            Self::Again(status) => return form_again(status, form),
            Self::Over(said) => said,
        };
        let login = returning_to("/login", its_page);
        said.map_or_else(|| Redirect::to(&login).into_response(), |notice| notice.at(&login))
    }
}

/// The admin typed the password within the last minutes.
#[must_use = "the answer carries the renewed session"]
#[derive(Default)]
pub struct Proof {
    renewed: Option<HeaderValue>,
}

impl Proof {
    /// Puts the renewed session on an answer, also on a fault's: the secret before it is dead.
    pub fn on(self, answered: Result<Response, PageError>) -> Response {
        let mut response = answered.unwrap_or_else(IntoResponse::into_response);
        if let Some(cookie) = self.renewed {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Who sends this request, and from where.
pub struct Sender<'a> {
    pub app: &'a App,
    pub arrival: &'a Arrival,
    pub admin: &'a TherapAdmin,
    pub headers: &'a HeaderMap,
}

impl Sender<'_> {
    /// Checks the sender of a form that is right otherwise: by the time of the last password, or by one in the form.
    pub async fn prove(
        &self,
        fields: &mut Fields,
        faults: &mut FieldErrors,
    ) -> Result<Result<Proof, Unproven>, PageError> {
        if self.admin.typed_lately(self.arrival.now) {
            return Ok(Ok(Proof { renewed: None }));
        }
        let password = fields.take_secret("password");
        if password.is_empty() {
            faults.add("password", "Please enter your password again: you last entered it more than 5 minutes ago.");
            return Ok(Err(Unproven::Again(StatusCode::UNPROCESSABLE_ENTITY)));
        }
        self.check(password, "password", faults).await
    }

    /// Checks a password that was typed into this field.
    pub async fn check(
        &self,
        password: Zeroizing<String>,
        field: &str,
        faults: &mut FieldErrors,
    ) -> Result<Result<Proof, Unproven>, PageError> {
        let (app, session) = (self.app, &self.admin.session);
        if let Err(seconds) = app.throttle.take(self.arrival.ip, self.arrival.now).await {
            faults.add(field, too_often(seconds));
            return Ok(Err(Unproven::Again(StatusCode::TOO_MANY_REQUESTS)));
        }
        let attempt = Attempt {
            provider_code: session.provider_code.clone(),
            login_name: session.login_name.clone(),
            password,
            purpose: Kind::SignIn,
            typist: Typist::SignedIn(session.clone()),
            visitor: self.arrival.visitor.clone(),
            deadline: app.answer_deadline(self.arrival.now),
        };
        let (status, why) = match sign_in(app, attempt, browser(self.headers, app)).await? {
            SignIn::Welcome(secret) => {
                let renewed = Some(Cookie::Session.set(&secret, &app.config));
                return Ok(Ok(Proof { renewed }));
            }
            // Reset meanwhile: the session is over, and the login page knows the way.
            SignIn::MustUpdate(_) | SignIn::SignedOut => {
                return Ok(Err(Unproven::Over(None)));
            }
            SignIn::SessionOver => return Ok(Err(Unproven::Over(Some(Notice::ThreeWrongPasswords)))),
            SignIn::Refused => (StatusCode::FORBIDDEN, "The password is incorrect."),
            SignIn::Locked => (StatusCode::FORBIDDEN, LOCKED),
            SignIn::Busy => (StatusCode::SERVICE_UNAVAILABLE, BUSY),
        };
        faults.add(field, why);
        Ok(Err(Unproven::Again(status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_after_the_proof_keeps_the_renewed_session() {
        let proof = Proof { renewed: Some(HeaderValue::from_static("session=new")) };
        let answer = proof.on(Err(PageError::Unavailable("the database is away".into())));
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["set-cookie"]),
            (503, &HeaderValue::from_static("session=new"))
        );
    }
}
