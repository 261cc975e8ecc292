//! `GET /`: the Dashboard.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::view::ActivityView;
use crate::app::App;
use crate::model::client::Client;
use crate::operations::passwords::address::email_of_user;
use crate::operations::users::email::send_verification as send;
use crate::store;
use crate::time::Timestamp;
use crate::web::email_state::EmailView;
use crate::web::error::PageError;
use crate::web::flash::Told;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Extras, Page, Shape, respond};
use crate::web::session::SignedIn;
use crate::web::user_agent::browser;

/// How many records the Dashboard shows.
const RECENT: i64 = 5;
/// The number of apps among which the user's own are looked for.
const MAX_APPS: i64 = 500;

#[derive(Template)]
#[template(path = "dashboard/home.html")]
struct HomePage {
    page: Page,
    last_sign_in: Option<SignInView>,
    activity: Vec<ActivityView>,
    apps: Vec<AppView>,
    /// Whom the user can ask for help.
    contact: Option<String>,
    email: Option<EmailView>,
    /// A verification e-mail can be sent.
    by_mail: bool,
}

/// An app to open: one of our own, or one that the user allowed something.
struct AppView {
    name: String,
    url: String,
    logo: Option<String>,
    /// What stands in place of a logo.
    letter: String,
}

impl AppView {
    /// An app that starts sign-ins is opened there (OpenID Connect Core §4), any other at its home page.
    fn of(client: Client, issuer: &str) -> Option<Self> {
        let name = client.name().to_owned();
        let url = client.start_of_sign_in(issuer).or(client.metadata.client_uri)?;
        let letter = name.chars().take(1).flat_map(char::to_uppercase).collect();
        Some(Self { name, url, logo: client.metadata.logo_uri, letter })
    }
}

struct SignInView {
    when: String,
    login_type: &'static str,
    note: Option<&'static str>,
    address: String,
    browser: String,
}

/// `GET /`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, signed_in: SignedIn, told: Told) -> Result<Response, PageError> {
    let session = &signed_in.session;
    let mut conn = app.db.read().await?;
    let at_home = store::sessions::at_home(&mut conn, session).await?;
    let recent = store::activity::of_user(&mut conn, &session.user_id, None, RECENT).await?;
    let clients = store::clients::enabled(&mut conn, &session.user_id, MAX_APPS).await?;
    let email = email_of_user(&mut conn, &session.user_id).await?;
    drop(conn);
    let zone = &session.time_zone;
    let (contact, previous) = at_home.map(|home| (home.contact, home.previous)).unwrap_or_default();
    let mut template = HomePage {
        page: Page::of(&app, "Dashboard", session).saying(told),
        contact,
        email: email.map(|email| EmailView::of(email, zone)).filter(EmailView::is_there),
        by_mail: app.mailer.is_some(),
        last_sign_in: previous.map(|previous| SignInView {
            when: Timestamp(previous.created_at).in_zone(zone),
            login_type: previous.method.login_type(),
            note: previous.method.note(),
            address: previous.address,
            browser: browser(&previous.browser),
        }),
        apps: clients
            .into_iter()
            .filter(|one| one.client.metadata.first_party || one.is_allowed)
            .filter_map(|one| AppView::of(one.client, &app.config.issuer))
            .collect(),
        activity: recent.into_iter().map(|record| ActivityView::of(record, zone)).collect(),
    };
    let extras = Extras::logos(template.apps.iter_mut().map(|app| &mut app.logo));
    Ok(extras.on(respond(StatusCode::OK, Shape::Inside, &template)))
}

/// `POST /email/send-verification`: a link by which the user verifies the address.
///
/// # Errors
/// When the database fails.
pub async fn send_verification(app: App, arrival: Arrival, signed_in: SignedIn) -> Result<Response, PageError> {
    let session = &signed_in.session;
    let sent = send(&signed_in.act(&app, &arrival), &session.provider_id, &session.user_id).await?;
    Ok(sent.map_or_else(Notice::of_not_mailed, |_| Notice::VerificationSent).at("/"))
}
