//! `/admin/users/new`: a new user, and the temporary password once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::temporary::{NewPerson, TemporaryPasswords};
use super::view::{parse_user_type, user_types};
use crate::app::App;
use crate::console::admins::{ProviderAdmin, UsersAdmin as _};
use crate::console::answers::{back, form_again};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors, choices};
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// How a user can come in: the words of the form's choice.
const INVITATION: &str = "invitation";
const WAYS_IN: [(&str, &str); 2] = [
    ("temporary_password", "Temporary password, shown to you once"),
    (INVITATION, "Invitation by e-mail, with a link to set a password"),
];
/// Where it stands.
const PATH: &str = "/admin/users/new";

#[derive(Template)]
#[template(path = "console/users/new.html")]
struct NewUserPage {
    page: Page,
    faults: FieldErrors,
    person: NewPerson,
    user_types: Vec<Choice>,
    /// How the user comes in; nothing to choose where no e-mail can be sent.
    ways_in: Vec<Choice>,
    temporary_days: u32,
}

/// `GET /admin/users/new`
pub async fn get(app: App, admin: ProviderAdmin, kept: KeptForm) -> Response {
    let kept = kept.sent_to(&admin.session, PATH);
    let notice = kept.is_some().then_some(Notice::FormIsBack);
    let mut fields = kept.unwrap_or_default();
    let mut page = page(&app, &admin, &mut fields);
    if let Some(user_type) = fields.take_if_present("user_type") {
        page.user_types = user_types(&user_type);
    }
    page.page.notice = notice;
    respond(StatusCode::OK, Shape::Inside, &page)
}

/// `POST /admin/users/new`
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, admin: ProviderAdmin, mut fields: Fields) -> Result<Response, PageError> {
    let mut page = page(&app, &admin, &mut fields);
    let user_type = fields.take("user_type");
    page.user_types = user_types(&user_type);
    let is_invited = page.ways_in.iter().any(|way| way.chosen && way.value == INVITATION);
    let person = page.person.check("name", "The name", &mut page.faults);
    if is_invited {
        page.faults.need("email", &page.person.email, "Please enter the e-mail address to send the invitation to.");
    }
    let user_type = parse_user_type(&user_type);
    if user_type.is_none() {
        page.faults.add("user-type-choice", "Please choose a User Type.");
    }
    let (Some(person), Some(user_type), true) = (person, user_type, page.faults.is_empty()) else {
        return Ok(form_again(StatusCode::UNPROCESSABLE_ENTITY, &page));
    };
    let act = &admin.act(&app, &arrival);
    let (provider_id, provider_code) = (admin.scope.provider_id(), admin.session.provider_code.as_str());
    let passwords = TemporaryPasswords { app: &app, act, session: &admin.session, provider_id, provider_code };
    if is_invited {
        let invited = passwords.invite(person, user_type, &mut page.faults).await?;
        return Ok(match invited {
            Ok(id) => back(&admin.list(), &id, Notice::UserInvited),
            Err(status) => form_again(status, &page),
        });
    }
    let back = |id: &str| format!("{}/{id}", admin.list());
    let made = passwords.create(person, user_type, "The user was created", back, &mut page.faults).await?;
    Ok(made.unwrap_or_else(|status| form_again(status, &page)))
}

fn page(app: &App, admin: &ProviderAdmin, fields: &mut Fields) -> NewUserPage {
    NewUserPage {
        page: Page::of(app, "New user", &admin.session),
        faults: FieldErrors::default(),
        person: NewPerson::typed(fields, "name"),
        user_types: user_types("Regular User"),
        ways_in: if app.mailer.is_some() { choices(&WAYS_IN, &fields.take("way_in")) } else { Vec::new() },
        temporary_days: app.config.password.temporary_days,
    }
}
