//! `/admin/users/new`: a new user, and the temporary password once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::temporary::{NewPerson, TemporaryPasswords};
use super::view::{parse_user_type, user_types};
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::answers::form_again;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{Choice, FieldErrors};
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

#[derive(Template)]
#[template(path = "console/users/new.html")]
struct NewUserPage {
    page: Page,
    faults: FieldErrors,
    person: NewPerson,
    user_types: Vec<Choice>,
    temporary_days: u32,
}

/// `GET /admin/users/new`
pub async fn get(app: App, admin: ProviderAdmin) -> Response {
    respond(StatusCode::OK, Shape::Inside, &page(&app, &admin, &mut Fields::default()))
}

/// `POST /admin/users/new`
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, admin: ProviderAdmin, mut fields: Fields) -> Result<Response, PageError> {
    let mut page = page(&app, &admin, &mut fields);
    let user_type = fields.take("user_type");
    page.user_types = user_types(&user_type);
    let person = page.person.check("name", "The name", &mut page.faults);
    let user_type = parse_user_type(&user_type);
    if user_type.is_none() {
        page.faults.add("user-type-choice", "Please choose a User Type.");
    }
    let (Some(person), Some(user_type)) = (person, user_type) else {
        return Ok(form_again(StatusCode::UNPROCESSABLE_ENTITY, &page));
    };
    let act = &admin.act(&app, &arrival);
    let (provider_id, provider_code) = (admin.scope.provider_id(), admin.session.provider_code.as_str());
    let passwords = TemporaryPasswords { app: &app, act, session: &admin.session, provider_id, provider_code };
    let back = |id: &str| format!("/admin/users/{id}");
    let made = passwords.create(person, user_type, "The user was created", back, &mut page.faults).await?;
    Ok(made.unwrap_or_else(|status| form_again(status, &page)))
}

fn page(app: &App, admin: &ProviderAdmin, fields: &mut Fields) -> NewUserPage {
    NewUserPage {
        page: Page::of(app, "New user", &admin.session),
        faults: FieldErrors::default(),
        person: NewPerson::typed(fields, "name"),
        user_types: user_types("Regular User"),
        temporary_days: app.config.password.temporary_days,
    }
}
