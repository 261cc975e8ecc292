//! What ends with a temporary password shown once, whichever admin asks: a new user, and a password that is reset.

use axum::http::StatusCode;
use axum::response::Response;

use super::temporary_password_page::{self, Whose};
use crate::app::App;
use crate::model::claims::Claims;
use crate::model::login_name::LoginName;
use crate::model::session::Session;
use crate::model::user::{Account, UserType};
use crate::operations::admin_context::{AdminContext, ValidationError};
use crate::operations::users::{self, Created, Reset, invitation};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::notice::Notice;
use crate::web::sign_in_words::BUSY;

/// What the form says of a Login Name that somebody has.
const NAME_TAKEN: &str = "Another user has this Login Name already. Please choose another one.";

/// What is typed of a new person.
#[derive(Debug, Default)]
pub struct NewPerson {
    /// Login Name.
    pub login_name: String,
    /// The name.
    pub name: String,
    /// The e-mail address; empty for none.
    pub email: String,
}

/// What was typed, checked.
#[derive(Debug)]
pub struct Checked {
    login_name: LoginName,
    name: String,
    claims: Claims,
}

impl NewPerson {
    /// What was typed; the name stands in the field `name`.
    pub fn typed(fields: &mut Fields, name: &str) -> Self {
        Self { login_name: fields.take("login_name"), name: fields.take(name), email: fields.take("email") }
    }

    /// What was typed as it can be kept, or what is wrong at each field. The name's field is `name`, to people `label`.
    pub fn check(&self, name: &'static str, label: &str, faults: &mut FieldErrors) -> Option<Checked> {
        let login_name = faults
            .need("login-name", &self.login_name, "Please enter a Login Name.")
            .then(|| faults.check("The Login Name", users::parse_login_name(&self.login_name)))
            .flatten();
        let checked = users::check_name(&self.name).map_err(|invalid| ValidationError { key: name, ..invalid });
        let named = faults.need(&name.replace('_', "-"), &self.name, "Please enter the name.")
            && faults.check(label, checked).is_some();
        let claims = faults.check("The e-mail address", users::check_email(&self.email));
        if !named {
            return None;
        }
        Some(Checked { login_name: login_name?, name: self.name.clone(), claims: claims? })
    }
}

/// By whom, for whom of which provider, and where the way leads on.
#[derive(Clone, Copy, Debug)]
pub struct TemporaryPasswords<'a> {
    /// The service.
    pub app: &'a App,
    /// The admin's act.
    pub act: &'a AdminContext,
    /// The admin's session.
    pub session: &'a Session,
    /// The provider's id.
    pub provider_id: &'a str,
    /// Its code.
    pub provider_code: &'a str,
}

impl TemporaryPasswords<'_> {
    /// Makes the user and shows the password; or says at the form what is wrong, and the status to show it with.
    ///
    /// # Errors
    /// When there is no such provider, or the database fails.
    pub async fn create(
        self,
        person: Checked,
        user_type: UserType,
        heading: &'static str,
        back: impl FnOnce(&str) -> String,
        faults: &mut FieldErrors,
    ) -> Result<Result<Response, StatusCode>, PageError> {
        let password = users::generate_password(&self.app.random);
        let Ok(hash) = users::hash(self.app, &password).await else {
            faults.add("login-name", BUSY);
            return Ok(Err(StatusCode::SERVICE_UNAVAILABLE));
        };
        let Checked { login_name, name, claims } = person;
        let user = users::with_temporary_password(self.act, login_name, name, user_type, &claims, hash);
        match users::create(self.act, self.provider_id, &user).await? {
            Created::Yes(id) => {
                let (name, login_name, back) = (&user.name, user.login_name.shown(), &back(&id));
                let whose = Whose { name, login_name, provider_code: self.provider_code, still_locked: false, back };
                let until = users::temporary_until(self.app, self.act.now);
                Ok(Ok(temporary_password_page::show(self.app, self.session, heading, whose, password, until)))
            }
            Created::NameTaken => {
                faults.add("login-name", NAME_TAKEN);
                Ok(Err(StatusCode::UNPROCESSABLE_ENTITY))
            }
            // Nobody can have taken what the form does not ask for.
            Created::ExternalIdTaken | Created::WrongType | Created::NoSuchProvider => Err(PageError::NotFound),
        }
    }

    /// Makes a user who sets the password by a mailed link; the id, or what is wrong at the form and the status to show it
    /// with.
    ///
    /// # Errors
    /// When there is no such provider, or the database fails.
    pub async fn invite(
        self,
        person: Checked,
        user_type: UserType,
        faults: &mut FieldErrors,
    ) -> Result<Result<String, StatusCode>, PageError> {
        let password = invitation::unknown_password(&self.app.random);
        let Ok(hash) = users::hash(self.app, &password).await else {
            faults.add("login-name", BUSY);
            return Ok(Err(StatusCode::SERVICE_UNAVAILABLE));
        };
        let Checked { login_name, name, claims } = person;
        let user = users::with_temporary_password(self.act, login_name, name, user_type, &claims, hash);
        match invitation::create(self.act, self.provider_id, &user).await? {
            Ok(Created::Yes(id)) => Ok(Ok(id)),
            Ok(Created::NameTaken) => {
                faults.add("login-name", NAME_TAKEN);
                Ok(Err(StatusCode::UNPROCESSABLE_ENTITY))
            }
            Ok(Created::ExternalIdTaken | Created::WrongType | Created::NoSuchProvider) => Err(PageError::NotFound),
            Err(why) => {
                faults.add("email", why.message());
                Ok(Err(StatusCode::UNPROCESSABLE_ENTITY))
            }
        }
    }

    /// Resets a password and shows the temporary one, in place of the password that the user was seen with: a page that is
    /// loaded again does not replace the one that was just printed. Then, and of one's own account, the user's page
    /// says why nothing was done.
    ///
    /// # Errors
    /// When there is no such user, or the database fails.
    pub async fn reset(self, user: &Account, back: &str) -> Result<Result<Response, Notice>, PageError> {
        let password = users::generate_password(&self.app.random);
        match users::reset_password(self.act, self.provider_id, &user.id, &password, Some(user.password_version))
            .await?
        {
            Reset::Yes { until, still_locked, .. } => {
                let (name, login_name) = (&user.name, &user.login_name);
                let whose = Whose { name, login_name, provider_code: self.provider_code, still_locked, back };
                let heading = "The password was reset";
                Ok(Ok(temporary_password_page::show(self.app, self.session, heading, whose, password, until)))
            }
            Reset::Before => Ok(Err(Notice::PasswordNotReset)),
            Reset::Own => Ok(Err(Notice::OwnAccount)),
            Reset::NotFound => Err(PageError::NotFound),
            Reset::Busy => Err(PageError::Unavailable("no room to hash".into())),
        }
    }
}
