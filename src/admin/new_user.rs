//! `/admin/users/new`: a new user, and the temporary password once.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::view::{parse_user_type, user_types};
use crate::app::App;
use crate::operations::users::{self, Created};
use crate::store::users::NewUser;
use crate::web::admin::ProviderAdmin;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{Choice, Faults};
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::password_slip::{self, Whose};

#[derive(Template)]
#[template(path = "admin/new_user.html")]
struct NewUserPage {
    page: Page,
    faults: Faults,
    login_name: String,
    name: String,
    email: String,
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
    let user_type = fields.take("user_type");
    let mut page = page(&app, &admin, &mut fields);
    page.user_types = user_types(&user_type);
    let faults = &mut page.faults;
    let login_name = faults
        .need("login-name", &page.login_name, "Please enter a Login Name.")
        .then(|| faults.judge("The Login Name", users::parse_login_name(&page.login_name)))
        .flatten();
    if faults.need("name", &page.name, "Please enter the name.") {
        faults.judge("The name", users::check_name(&page.name));
    }
    let claims = faults.judge("The e-mail address", users::check_email(&page.email));
    let user_type = parse_user_type(&user_type);
    if user_type.is_none() {
        faults.add("user-type", "Please choose a User Type.");
    }
    let (Some(login_name), Some(claims), Some(user_type), true) = (login_name, claims, user_type, faults.is_empty())
    else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page));
    };
    let password = users::generate_password(&app.random);
    let Ok(password_hash) = users::hash(&app, &password).await else {
        return Ok(busy(&app, &mut page));
    };
    let act = admin.act(&app, &arrival);
    let until = users::temporary_until(&app, act.now);
    let user = NewUser {
        id: app.random.id(act.now),
        login_name,
        name: page.name.clone(),
        user_type,
        active: true,
        admin_locked: false,
        failures: 0,
        password_hash,
        temporary_until: Some(until),
        claims: claims.to_json(),
    };
    match users::create(&act, admin.scope.provider_id(), &user).await? {
        Created::Yes(id) => {
            let (back, code) = (format!("/admin/users/{id}"), &admin.session.provider_code);
            let (name, login_name) = (&user.name, user.login_name.shown());
            let whose = Whose { name, login_name, provider_code: code, still_locked: false, back: &back };
            Ok(password_slip::show(&app, &admin.session, "The user was created", whose, password, until))
        }
        Created::NameTaken => {
            page.faults.add("login-name", "Another user has this Login Name already. Please choose another one.");
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
        Created::WrongType | Created::NoSuchProvider => Err(PageError::NotFound),
    }
}

fn page(app: &App, admin: &ProviderAdmin, fields: &mut Fields) -> NewUserPage {
    NewUserPage {
        page: Page::of(app, "New user", &admin.session),
        faults: Faults::default(),
        login_name: fields.take("login_name"),
        name: fields.take("name"),
        email: fields.take("email"),
        user_types: user_types("Regular User"),
        temporary_days: app.config.password.temporary_days,
    }
}

fn busy(app: &App, page: &mut NewUserPage) -> Response {
    app.metrics.busy();
    page.faults.add("login-name", "Therap Connect is busy. Please try again in a few seconds.");
    let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, Shape::Inside, page);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}
