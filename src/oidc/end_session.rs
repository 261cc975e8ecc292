//! Logout asked for by a relying party (OpenID Connect RP-Initiated Logout §2): with a valid hint the session of its
//! `sid` at once, whoever brings it; otherwise after a question. Back to the client only where a valid hint proves it
//! and the address is registered; a client that is merely named has a link.

use askama::Template;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::id_token::{Hint, read_hint};
use crate::app::App;
use crate::log;
use crate::model::client::Client;
use crate::model::session::Session;
use crate::model::user::Account;
use crate::oidc::params::Params;
use crate::operations::sessions::end::{LoggedOut, held, log_out};
use crate::operations::sessions::open::Browser;
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::oauth_error::plain;
use crate::web::page::{Extras, Page, Shape, respond};
use crate::web::session::{browser, current, unfinished};
use crate::web::signed_out::{self, End};

/// What a request may hold; the confirm page carries it along.
const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

#[derive(Template)]
#[template(path = "oidc/end_session.html")]
struct ConfirmPage {
    page: Page,
    client_name: Option<String>,
    held: Held,
    fields: Vec<(&'static str, String)>,
    frames: Vec<String>,
}

/// What the browser holds and the person is asked about: a session, or a sign-in that is not finished.
struct Held {
    finished: bool,
    login_name: String,
    provider_name: String,
}

/// A request that was checked.
struct LogoutRequest {
    client: Option<Client>,
    hint: Option<Hint>,
    end: End,
}

/// `GET /oauth2/end_session`
///
/// # Errors
/// Our own page that names what is wrong.
pub async fn get(
    app: App,
    arrival: Arrival,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let asked = check(&app, &params, arrival.now).await?;
    let browser = browser(&headers, &app);
    let session = match current(&app, &browser, arrival.now).await? {
        Some(session) => Some(session),
        None => held(&app, &browser, arrival.now).await?,
    };
    // An idle one too: what was born of it lives on until it is ended (R4), and no foreign page ends it unasked.
    let asks = |session: &Session| !asked.is_for(session);
    let held = match session.filter(asks) {
        Some(session) => Held { finished: true, login_name: session.login_name, provider_name: session.provider_name },
        None => match half_done(&app, &browser, arrival.now).await?.filter(|_| asked.hint.is_none()) {
            Some(account) => {
                Held { finished: false, login_name: account.login_name, provider_name: account.provider_name }
            }
            // A hint speaks for its session, and nobody for a sign-in that is not finished.
            None => return end(&app, &arrival, &Browser { pre_auth: None, ..browser }, asked).await,
        },
    };
    // Only of what this browser holds is anybody asked. The apps of the hinted session hear of its end here.
    let frames = match asked.hint {
        Some(_) => asked.log_out(&app, &arrival, &Browser::default()).await?.frames,
        None => Vec::new(),
    };
    let given = |name| params.get(name).map(|value: &str| (name, value.to_owned()));
    let extras = Extras::frames(&frames);
    let template = ConfirmPage {
        page: Page::new(&app, "Log out?"),
        client_name: asked.client.map(|client| client.name().to_owned()),
        held,
        fields: PARAMETERS.into_iter().filter_map(given).collect(),
        frames,
    };
    Ok(extras.on(respond(StatusCode::OK, Shape::Entrance, &template)))
}

/// Whose sign-in this browser has not finished.
async fn half_done(app: &App, browser: &Browser, now: Timestamp) -> Result<Option<Account>, store::Error> {
    match unfinished(app, browser, now).await? {
        Some(pre_auth) => store::users::by_id(&mut app.db.read().await?, &pre_auth.user_id).await,
        None => Ok(None),
    }
}

/// `POST /oauth2/end_session`: the same. From another site it brings no cookie, so a GET takes it up.
///
/// # Errors
/// As [`get`].
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap, body: Bytes) -> Result<Response, PageError> {
    let Some(params) = Params::of_form(&headers, &body) else {
        return Err(PageError::Logout("The request was not sent as a form.".into()));
    };
    check(&app, &params, arrival.now).await?;
    let pairs = PARAMETERS.into_iter().filter_map(|name| Some((name, params.get(name)?)));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(Redirect::to(&format!("/oauth2/end_session?{query}")).into_response())
}

/// `POST /oauth2/end_session/confirm`: the person said yes on our own page.
///
/// # Errors
/// As [`get`].
pub async fn confirm(app: App, arrival: Arrival, headers: HeaderMap, body: Bytes) -> Result<Response, PageError> {
    let params = Params::of_form(&headers, &body).unwrap_or_default();
    let asked = check(&app, &params, arrival.now).await?;
    end(&app, &arrival, &browser(&headers, &app), asked).await
}

impl LogoutRequest {
    fn is_for(&self, session: &Session) -> bool {
        self.hint.as_ref().is_some_and(|hint| hint.sid == session.sid)
    }

    /// Ends what the browser holds, and what the hint of a client that is switched on names. Only a hint proves whose
    /// request it is; anybody may name a client.
    async fn log_out(&self, app: &App, arrival: &Arrival, browser: &Browser) -> Result<LoggedOut, store::Error> {
        let proven = self.hint.as_ref().zip(self.client.as_ref());
        let hinted = proven.filter(|(_, client)| client.enabled).map(|(hint, _)| hint.sid.as_str());
        let note = proven.map(|(_, client)| format!("asked for by {}", client.name()));
        log_out(app, browser, hinted, &arrival.visitor, note, arrival.now).await
    }
}

async fn check(app: &App, params: &Params, now: Timestamp) -> Result<LogoutRequest, PageError> {
    let wrong = PageError::Logout;
    if let Some(name) = params.repeated() {
        let shown: String = plain(name).chars().take(40).collect();
        return Err(wrong(format!("{shown} was sent twice.")));
    }
    let hint = match params.get("id_token_hint") {
        None => None,
        Some(text) => {
            Some(read_hint(app, text, now).await?.ok_or_else(|| wrong("id_token_hint is not valid.".into()))?)
        }
    };
    let named = params.get("client_id");
    if let (Some(hint), Some(named)) = (&hint, named)
        && hint.aud != named
    {
        return Err(wrong("client_id is not the app of id_token_hint.".into()));
    }
    let client = match hint.as_ref().map(|hint| hint.aud.as_str()).or(named) {
        None => None,
        Some(client_id) => store::clients::by_client_id(&mut app.db.read().await?, client_id).await?,
    };
    if let Some(client) = &client {
        log::name_client(&client.client_id);
    }
    if client.is_none() && hint.is_some() {
        return Err(wrong("id_token_hint is not valid: its app is not registered.".into()));
    }
    if client.is_none() && named.is_some() {
        return Err(wrong("client_id is not registered.".into()));
    }
    let end = match (params.get("post_logout_redirect_uri"), &client) {
        (None, _) | (Some(_), None) => End::Here,
        (Some(uri), Some(client)) if client.metadata.post_logout_redirect_uris.iter().any(|one| one == uri) => {
            match &hint {
                // Its address may be somebody else's by now.
                _ if !client.enabled => End::Here,
                Some(_) => End::Onwards(with_state(uri, params.get("state"))),
                // Nobody has proven that it is this client who asks.
                None => End::Link { name: client.name().to_owned(), address: uri.to_owned() },
            }
        }
        (Some(_), Some(_)) => return Err(wrong("post_logout_redirect_uri is not registered.".into())),
    };
    Ok(LogoutRequest { client, hint, end })
}

/// `state` as it came, and nothing else (§3).
fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else {
        return uri.to_owned();
    };
    let joint = if uri.contains('?') { '&' } else { '?' };
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    format!("{uri}{joint}{query}")
}

async fn end(app: &App, arrival: &Arrival, browser: &Browser, asked: LogoutRequest) -> Result<Response, PageError> {
    let ended = asked.log_out(app, arrival, browser).await?;
    Ok(signed_out::page(app, ended, asked.end))
}
