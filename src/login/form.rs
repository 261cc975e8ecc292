//! `GET` and `POST /login`: the login page.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::Kind;
use crate::model::provider::ProviderCode;
use crate::operations::interactions::{self, Waiting};
use crate::operations::sign_in::check_password::{Attempt, Typist};
use crate::operations::sign_in::{SignIn, sign_in};
use crate::store::interactions::Interaction;
use crate::time::Timestamp;
use crate::web::answered;
use crate::web::cookies::{Cookie, SHARED_COMPUTER};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::layers::Arrival;
use crate::web::page::{Extras, Page, Shape, respond, respond_padded};
use crate::web::return_to::ReturnTo;
use crate::web::session::{browser, current, unfinished};
use crate::web::sign_in_words::{BUSY, INVALID, LOCKED, too_often};

/// The login page.
#[derive(Template)]
#[template(path = "login/form.html")]
struct LoginPage {
    page: Page,
    error: Option<String>,
    login_name: String,
    login_name_error: Option<String>,
    password_error: Option<String>,
    provider_code: String,
    provider_code_error: Option<String>,
    /// The Provider Code is not to be remembered here.
    shared_computer: bool,
    return_to: String,
    /// The app that sent the user.
    client: Option<ClientView>,
    /// Somebody is signed in, and has to sign in again for the app.
    again: bool,
}

/// An app, as the page names it.
struct ClientView {
    name: String,
    logo: Option<String>,
    policy: Option<String>,
    terms: Option<String>,
    handle: String,
}

/// The query of `GET /login`.
#[derive(Debug, Default, Deserialize)]
pub struct LoginQuery {
    return_to: Option<String>,
}

/// `GET /login`: the page, or onwards for whoever is signed in already.
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(
    app: App,
    arrival: Arrival,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
    told: Told,
) -> Result<Response, PageError> {
    let browser = browser(&headers, &app);
    let return_to = query.return_to.as_deref().and_then(ReturnTo::parse_or_none);
    // An unfinished sign-in does not stand in the way here: somebody else may want to sign in.
    let is_unfinished = unfinished(&app, &browser, arrival.now).await?.is_some();
    let session = if is_unfinished { None } else { current(&app, &browser, arrival.now).await? };
    let waiting = waiting(&app, return_to.as_ref(), arrival.now).await?;
    if let Some(session) = &session {
        if let Some((Waiting { interaction, client }, _)) = &waiting
            && interaction.is_answered_for(&session.user_id)
            && is_of_this_browser(&app, interaction, &headers)
        {
            return Ok(answered::page(&app, client, session));
        }
        // Whoever signed in before the app asked was sent here to sign in again.
        let again = waiting.as_ref().is_some_and(|(waiting, _)| session.id < waiting.interaction.id);
        if !again {
            return Ok(Redirect::to(ReturnTo::or_home(return_to.as_ref())).into_response());
        }
    }
    let mut page = blank(&app, return_to.as_ref());
    page.again = session.is_some();
    page.remembered(Cookie::ProviderCode.read_text(&headers, &app.config));
    if let Some((waiting, handle)) = waiting {
        page.login_name = waiting.interaction.request.login_hint.clone().unwrap_or_default();
        page.client = Some(ClientView::of(&waiting, &handle));
    }
    page.page = page.page.saying(told);
    Ok(page.with_logo(respond(StatusCode::OK, Shape::Entrance, &page)))
}

/// `POST /login`: in, or the page again with what is wrong.
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap, mut fields: Fields) -> Result<Response, PageError> {
    let return_to = ReturnTo::parse_or_none(&fields.take("return_to"));
    let mut page = blank(&app, return_to.as_ref());
    page.client = waiting(&app, return_to.as_ref(), arrival.now)
        .await?
        .map(|(waiting, handle)| ClientView::of(&waiting, &handle));
    page.login_name = fields.take("login_name");
    page.provider_code = fields.take("provider_code");
    page.shared_computer = fields.take("shared_computer") == "yes";
    let password = fields.take_secret("password");
    if name_empty_fields(&mut page, &password) {
        return Ok(page.with_logo(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page)));
    }
    if let Err(seconds) = app.throttle.take(arrival.ip, arrival.now).await {
        page.error = Some(too_often(seconds));
        let answer = respond_padded(StatusCode::TOO_MANY_REQUESTS, Shape::Entrance, &page);
        return Ok(later(page.with_logo(answer), seconds));
    }
    let attempt = Attempt {
        provider_code: page.provider_code.clone(),
        login_name: page.login_name.clone(),
        password,
        purpose: Kind::SignIn,
        typist: Typist::Stranger,
        visitor: arrival.visitor.clone(),
        deadline: app.answer_deadline(arrival.now),
    };
    match sign_in(&app, attempt, browser(&headers, &app)).await? {
        SignIn::Welcome(secret) => {
            let mut response = Redirect::to(ReturnTo::or_home(return_to.as_ref())).into_response();
            response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&secret, &app.config));
            response.headers_mut().append(header::SET_COOKIE, page.remember(&app));
            if Cookie::PreAuth.read(&headers, &app.config).is_some() {
                response.headers_mut().append(header::SET_COOKIE, Cookie::PreAuth.clear(&app.config));
            }
            Ok(response)
        }
        SignIn::MustUpdate(secret) => {
            let mut response = Redirect::to(&super::update_password::address(return_to.as_ref())).into_response();
            response.headers_mut().append(header::SET_COOKIE, Cookie::PreAuth.set(&secret, &app.config));
            response.headers_mut().append(header::SET_COOKIE, page.remember(&app));
            Ok(response)
        }
        SignIn::Refused | SignIn::SessionOver | SignIn::SignedOut => Ok(refused(page, StatusCode::FORBIDDEN, INVALID)),
        SignIn::Locked => Ok(refused(page, StatusCode::FORBIDDEN, LOCKED)),
        SignIn::Busy => Ok(later(refused(page, StatusCode::SERVICE_UNAVAILABLE, BUSY), 2)),
    }
}

fn blank(app: &App, return_to: Option<&ReturnTo>) -> LoginPage {
    LoginPage {
        page: Page::new(app, "Sign in"),
        error: None,
        login_name: String::new(),
        login_name_error: None,
        password_error: None,
        provider_code: String::new(),
        provider_code_error: None,
        shared_computer: false,
        return_to: return_to.map(ToString::to_string).unwrap_or_default(),
        client: None,
        again: false,
    }
}

/// The app's request that waits for this sign-in, and its handle.
/// Whether a request waits in this browser: somebody else's link tells nothing of it here.
fn is_of_this_browser(app: &App, interaction: &Interaction, headers: &HeaderMap) -> bool {
    let held = Cookie::Browser.read(headers, &app.config);
    held.is_some_and(|secret| interaction.browser_hash == Some(secret.digest()))
}

async fn waiting(
    app: &App,
    return_to: Option<&ReturnTo>,
    now: Timestamp,
) -> Result<Option<(Waiting, Secret)>, PageError> {
    let Some(handle) = return_to.and_then(|path| interactions::handle_in(path.as_str())) else {
        return Ok(None);
    };
    Ok(interactions::find(app, &handle, now).await?.map(|waiting| (waiting, handle)))
}

impl LoginPage {
    /// Fills in the Provider Code that was last used in this browser, unless it is a shared computer's.
    fn remembered(&mut self, held: Option<&str>) {
        match held {
            Some(SHARED_COMPUTER) => self.shared_computer = true,
            Some(code) => {
                self.provider_code = ProviderCode::parse(code).map_or(String::new(), |code| code.as_str().to_owned());
            }
            None => {}
        }
    }

    /// The cookie that remembers a right Provider Code, or that none is to be.
    fn remember(&self, app: &App) -> HeaderValue {
        let held = if self.shared_computer { SHARED_COMPUTER } else { self.provider_code.as_str() };
        Cookie::ProviderCode.set_text(held, &app.config)
    }

    /// The app's logo may be shown.
    fn with_logo(&self, response: Response) -> Response {
        let logo = self.client.as_ref().and_then(|client| client.logo.as_deref());
        Extras::logo(logo).on(response)
    }
}

impl ClientView {
    fn of(waiting: &Waiting, handle: &Secret) -> Self {
        let metadata = &waiting.client.metadata;
        Self {
            name: waiting.client.name().to_owned(),
            logo: metadata.logo_uri.clone(),
            policy: metadata.policy_uri.clone(),
            terms: metadata.tos_uri.clone(),
            handle: handle.reveal(),
        }
    }
}

fn name_empty_fields(page: &mut LoginPage, password: &Zeroizing<String>) -> bool {
    let message = |empty: bool, text: &str| empty.then(|| text.to_owned());
    page.login_name_error = message(page.login_name.is_empty(), "Please enter your Login Name.");
    page.password_error = message(password.is_empty(), "Please enter your Password.");
    page.provider_code_error = message(page.provider_code.is_empty(), "Please enter your Provider Code.");
    page.login_name_error.is_some() || page.password_error.is_some() || page.provider_code_error.is_some()
}

fn refused(mut page: LoginPage, status: StatusCode, message: &str) -> Response {
    page.error = Some(message.to_owned());
    page.with_logo(respond_padded(status, Shape::Entrance, &page))
}

fn later(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
