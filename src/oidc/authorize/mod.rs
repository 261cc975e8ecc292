//! The authorization endpoint (RFC 6749 §3.1): *validate → decide → respond*. A request that needs a person waits as an
//! interaction; login, forced update and consent all come back to [`resume`], and it is checked again.

mod decide;
mod request;
mod request_object;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, RawQuery};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

pub use request::is_registered;
use request::{AuthorizeError, named_client, validate, validate_for};
pub(super) use respond::refusal;

use self::decide::{Decision, Present, decide};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::authorization::AuthorizationRequest;
use crate::model::client::Client;
use crate::model::scope::Scope;
use crate::model::session::Session;
use crate::oidc::params::Params;
use crate::operations::interactions::{self, Waiting, resume_path};
use crate::store::interactions::Interaction;
use crate::store::tokens::codes::NewCode;
use crate::store::{self, in_one_statement, in_transaction};
use crate::time::Timestamp;
use crate::web::address::returning_to;
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::session::{browser, current, unfinished};

/// What a request reads that was begun elsewhere or too long ago.
const GONE: &str = "This sign-in was begun in another browser or too long ago. Go back to the app and start again.";

/// `GET /oauth2/authorize`
///
/// # Errors
/// Our own page, where nothing may be sent to the client.
pub async fn get(
    app: App,
    arrival: Arrival,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    if let Some(answer) = at_once(&app, &params, &arrival, &headers).await? {
        return Ok(answer);
    }
    match validate(&app, &params, arrival.now).await {
        Ok((client, request)) => {
            ValidRequest { client, request, waiting: None }.proceed(&app, &arrival, &headers).await
        }
        Err(error) => answer_error(&app, error),
    }
}

/// The code of a request that needs nobody: a session is there, and the client is known since an earlier one. The statement
/// that makes the code reads the client once more, and finds it as it is known. `None` where anything else comes of it: then
/// it is checked by what is stored.
async fn at_once(
    app: &App,
    params: &Params,
    arrival: &Arrival,
    headers: &HeaderMap,
) -> Result<Option<Response>, PageError> {
    let (now, browser) = (arrival.now, browser(headers, app));
    if browser.session.is_none() || browser.pre_auth.is_some() {
        return Ok(None);
    }
    let known = named_client(params).ok().and_then(|client_id| app.clients.get(client_id));
    let Some(known) = known.filter(|known| known.client.metadata.first_party) else {
        return Ok(None);
    };
    let Ok((client, request)) = validate_for(app, Some(Arc::clone(&known.client)), params, now).await else {
        return Ok(None);
    };
    let Some(session) = current(app, &browser, now).await? else { return Ok(None) };
    let asked = ValidRequest { client, request, waiting: None };
    let present = Present { session: Some(&session), consented: None, interaction: None };
    let Decision::Issue(scope) = decide(&asked.request, &asked.client, present, now) else { return Ok(None) };
    let (code, secret) = asked.code(app, &scope, Some(asked.client.revision), now);
    let (session_id, expires_at) = (session.id, code_ends(app, now));
    let born = in_one_statement!(app.db, app.ordinary_deadline(now), [code, session_id], |tx| {
        store::tokens::codes::insert(tx, &code, &session_id, now, expires_at).await
    })?;
    Ok(born.then(|| respond::code(app, &asked.request, secret.reveal())))
}

/// `POST /oauth2/authorize`: the same (OpenID Connect Core §3.1.2.1). A POST from another site brings no cookie, so the
/// request is remembered and taken up by a GET.
///
/// # Errors
/// As [`get`].
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap, body: Bytes) -> Result<Response, PageError> {
    let Some(params) = Params::of_form(&headers, &body) else {
        return Err(PageError::Authorization("invalid_request", "The request was not sent as a form.".into()));
    };
    match validate(&app, &params, arrival.now).await {
        Ok((client, request)) => {
            app.waiting_throttle.take(arrival.ip, arrival.now).await.map_err(PageError::TooOften)?;
            let handle = interactions::begin(&app, &client, &request, None, None, arrival.now).await?;
            Ok(Redirect::to(&resume_path(&handle)).into_response())
        }
        Err(error) => answer_error(&app, error),
    }
}

/// The query of [`resume`]: the handle.
#[derive(Debug, Default, Deserialize)]
pub struct Handle {
    i: Option<String>,
}

/// `GET /oauth2/authorize/resume?i=<handle>`: a waiting request, checked again.
///
/// # Errors
/// As [`get`]; and when the request is another browser's, or too old.
pub async fn resume(
    app: App,
    arrival: Arrival,
    headers: HeaderMap,
    Query(asked): Query<Handle>,
) -> Result<Response, PageError> {
    let handle = asked.i.as_deref().and_then(Secret::parse);
    let (waiting, handle, cookie) = taken_up(&app, handle, &headers, arrival.now).await?;
    let Waiting { interaction, client } = waiting;
    let mut request = interaction.request.clone();
    // What the client may have lost meanwhile.
    request.scope = request.scope().within(&client.metadata.scopes()).to_string();
    let asked = ValidRequest { client: Arc::new(client), request, waiting: Some((interaction, handle)) };
    let mut response = asked.proceed(&app, &arrival, &headers).await?;
    if let Some(secret) = cookie {
        response.headers_mut().append(header::SET_COOKIE, Cookie::Browser.set(&secret, &app.config));
    }
    Ok(response)
}

/// `POST /oauth2/authorize/cancel`: the person does not want to sign in (`access_denied`).
///
/// # Errors
/// When the request is another browser's, or too old.
pub async fn cancel(app: App, arrival: Arrival, headers: HeaderMap, mut fields: Fields) -> Result<Response, PageError> {
    let (waiting, ..) = taken_up(&app, Secret::parse(&fields.take("i")), &headers, arrival.now).await?;
    interactions::refused(&app, &waiting.interaction, None, arrival.now).await?;
    Ok(refusal(&app, &waiting.interaction.request, "access_denied", "the user cancelled the sign-in"))
}

fn gone() -> PageError {
    PageError::Authorization("invalid_request", GONE.into())
}

/// A waiting request in the browser it is bound to; and the cookie that this browser still needs.
pub(super) async fn taken_up(
    app: &App,
    handle: Option<Secret>,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(Waiting, Secret, Option<Secret>), PageError> {
    let handle = handle.ok_or_else(gone)?;
    let waiting = interactions::find(app, &handle, now).await?.ok_or_else(gone)?;
    if !is_registered(&waiting.client, &waiting.interaction.request.redirect_uri) {
        return Err(gone());
    }
    let held = Cookie::Browser.read(headers, &app.config);
    let secret = held.clone().unwrap_or_else(|| Secret::random(&app.random));
    if !interactions::bind(app, &waiting.interaction, &secret, now).await? {
        return Err(gone());
    }
    Ok((waiting, handle, held.is_none().then_some(secret)))
}

fn answer_error(app: &App, error: AuthorizeError) -> Result<Response, PageError> {
    match error {
        AuthorizeError::Page(code, why) => Err(PageError::Authorization(code, why.into_owned())),
        AuthorizeError::Redirect(answer) => Ok(respond::error(app, &answer)),
        AuthorizeError::Failed(error) => Err(error.into()),
    }
}

/// A good request, and its waiting if it has waited.
struct ValidRequest {
    client: Arc<Client>,
    request: AuthorizationRequest,
    waiting: Option<(Interaction, Secret)>,
}

impl ValidRequest {
    async fn proceed(mut self, app: &App, arrival: &Arrival, headers: &HeaderMap) -> Result<Response, PageError> {
        let now = arrival.now;
        let browser = browser(headers, app);
        // Half signed in is not signed in: the update comes first (L7).
        let must_update = unfinished(app, &browser, now).await?.is_some();
        let session = if must_update { None } else { current(app, &browser, now).await? };
        if let (Some(session), Some((interaction, _))) = (&session, &mut self.waiting) {
            interactions::keep_to_its_person(app, interaction, session, now).await?;
        }
        let consented = match &session {
            Some(session) => self.consented(app, session).await?,
            None => None,
        };
        let present = Present {
            session: session.as_ref(),
            consented: consented.as_ref(),
            interaction: self.waiting.as_ref().map(|(interaction, _)| interaction),
        };
        match (decide(&self.request, &self.client, present, now), &session) {
            (Decision::Issue(scope), Some(session)) => self.issue(app, session, &scope, now).await,
            (Decision::Refuse(code, why), _) => {
                if let Some((interaction, _)) = &self.waiting {
                    interactions::refused(app, interaction, session.as_ref(), now).await?;
                }
                Ok(respond::refusal(app, &self.request, code, why))
            }
            (Decision::Consent, Some(session)) => {
                self.wait(app, arrival, headers, Some(session), |i| format!("/consent?i={i}")).await
            }
            (Decision::SignIn | Decision::Consent | Decision::Issue(_), _) => {
                let page = if must_update { "/password/update" } else { "/login" };
                self.wait(app, arrival, headers, session.as_ref(), |i| {
                    returning_to(page, &format!("{}?i={i}", interactions::RESUME))
                })
                .await
            }
        }
    }

    async fn consented(&self, app: &App, session: &Session) -> Result<Option<Scope>, store::Error> {
        if self.client.metadata.first_party {
            return Ok(None);
        }
        let scope = store::consents::scope(&mut app.db.read().await?, &session.user_id, &self.client.id).await?;
        Ok(scope.and_then(|scope| Scope::parse(&scope)))
    }

    /// To a page, and back here by the handle.
    async fn wait(
        &self,
        app: &App,
        arrival: &Arrival,
        headers: &HeaderMap,
        session: Option<&Session>,
        page: impl FnOnce(&str) -> String,
    ) -> Result<Response, PageError> {
        if let Some((_, handle)) = &self.waiting {
            return Ok(Redirect::to(&page(&handle.reveal())).into_response());
        }
        // Whoever is a stranger writes a row here (G22).
        app.waiting_throttle.take(arrival.ip, arrival.now).await.map_err(PageError::TooOften)?;
        let held = Cookie::Browser.read(headers, &app.config);
        let secret = held.clone().unwrap_or_else(|| Secret::random(&app.random));
        let whose = session.map(|session| session.user_id.as_str());
        let handle = interactions::begin(app, &self.client, &self.request, Some(&secret), whose, arrival.now).await?;
        let mut response = Redirect::to(&page(&handle.reveal())).into_response();
        if held.is_none() {
            response.headers_mut().append(header::SET_COOKIE, Cookie::Browser.set(&secret, &app.config));
        }
        Ok(response)
    }

    /// A code that is not stored yet. What is checked of a client that was not read for this request rests on the revision.
    fn code(&self, app: &App, scope: &Scope, known: Option<i64>, now: Timestamp) -> (NewCode, Secret) {
        let (request, secret) = (&self.request, Secret::random(&app.random));
        let code = NewCode {
            hash: secret.digest(),
            family_id: app.random.id(now),
            client: self.client.id.clone(),
            client_epoch: self.client.epoch,
            client_known: known,
            redirect_uri: request.redirect_uri.clone(),
            code_challenge: request.code_challenge.clone(),
            nonce: request.nonce.clone(),
            scope: scope.to_string(),
            resources: request.resources.join(" "),
            claims: (!request.claims.is_empty()).then(|| serde_json::to_string(&request.claims).unwrap_or_default()),
        };
        (code, secret)
    }

    /// A code, born of the session in the transaction that finds it alive.
    async fn issue(&self, app: &App, session: &Session, scope: &Scope, now: Timestamp) -> Result<Response, PageError> {
        let request = &self.request;
        let ((code, secret), expires_at) = (self.code(app, scope, None, now), code_ends(app, now));
        let (session_id, user_id) = (session.id.clone(), session.user_id.clone());
        let allowed = (!self.client.metadata.first_party).then(|| request.asks_for());
        // What was answered asks again: its sign-in and its consent were for this answer.
        let waited = self.waiting.as_ref().map(|(interaction, _)| (interaction.id.clone(), app.random.id(now)));
        let captured = (code, session_id, user_id, allowed, waited);
        let born = in_transaction!(app.db, app.ordinary_deadline(now), [captured], |tx| {
            let (code, session_id, user_id, allowed, waited) = captured;
            if let Some(allowed) = &allowed {
                let consented = store::consents::lock_for_update(tx, &user_id, &code.client).await?;
                let consented = consented.and_then(|scope| Scope::parse(&scope)).unwrap_or_default();
                if !allowed.is_within(&consented) {
                    return Ok(Born::NotAllowed);
                }
            }
            let born = store::tokens::codes::insert(tx, &code, &session_id, now, expires_at).await?;
            if let Some((id, new_id)) = waited.as_ref().filter(|_| born) {
                store::interactions::ask_again(tx, id, new_id, &user_id).await?;
                store::interactions::note_answer(tx, new_id, Some(&user_id), now).await?;
            }
            Ok(if born { Born::Yes } else { Born::SessionOver })
        })?;
        Ok(match born {
            Born::Yes => respond::code(app, request, secret.reveal()),
            // Since it was read.
            Born::SessionOver => respond::refusal(app, request, "login_required", "the session just ended"),
            Born::NotAllowed => respond::refusal(app, request, "access_denied", "the user just withdrew this"),
        })
    }
}

/// When a code that is made now is over.
fn code_ends(app: &App, now: Timestamp) -> Timestamp {
    now.after(Duration::from_secs(app.config.tokens.code_seconds.into()))
}

/// Whether a code was issued.
enum Born {
    Yes,
    SessionOver,
    NotAllowed,
}
