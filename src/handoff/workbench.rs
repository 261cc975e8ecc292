//! `GET` and `POST /workbench`: what the service would say of an assertion, check by check with its cures, and a key to try
//! with, for the people who build the sending side. It is open to everybody on a beta site, and to Therap Admins elsewhere.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::explain::{Explanation, Reader, explain};
use super::new_key::new_key;
use super::trail::Outcome;
use crate::app::App;
use crate::cache::issuers::Fetch;
use crate::config::Site;
use crate::crypto::jws::{Algorithm, Unverified};
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::session::SignedIn;

/// Whoever may use the page. On a beta site that is anybody, who is told no more than an issuer itself may know.
#[derive(Debug)]
pub struct Visitor(Reader);

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        if app.config.site == Site::Beta {
            return Ok(Self(Reader::Stranger));
        }
        let SignedIn { session } = SignedIn::from_request_parts(parts, app).await?;
        if session.is_operators() { Ok(Self(Reader::Operator)) } else { Err(PageError::NotFound.into_response()) }
    }
}

#[derive(Template)]
#[template(path = "handoff/workbench.html")]
struct WorkbenchPage {
    page: Page,
    assertion: String,
    error: Option<&'static str>,
    /// The verdict in a sentence, and whether it is a good one.
    verdict: Option<(String, bool)>,
    checks: Vec<Check>,
    key_set: Option<KeySet>,
    new_key: Option<NewKey>,
}

/// A row of the table.
struct Check {
    name: &'static str,
    state: &'static str,
    detail: String,
    cure: &'static str,
}

/// The key set of the issuer that the assertion names.
struct KeySet {
    /// Its address; `None` where the keys themselves were registered.
    jwks_uri: Option<String>,
    /// Of the keys in use: `kid` and algorithm.
    keys: Vec<(String, &'static str)>,
    /// When this server last fetched it.
    fetched: Option<String>,
    /// Why it was not taken then.
    not_taken: Option<String>,
    /// What of it is not used.
    not_used: Vec<String>,
}

/// A key that was just made, as JSON.
struct NewKey {
    private: String,
    public: String,
}

fn blank(app: &App) -> WorkbenchPage {
    WorkbenchPage {
        page: Page::new(app, "Workbench for senders"),
        assertion: String::new(),
        error: None,
        verdict: None,
        checks: Vec::new(),
        key_set: None,
        new_key: None,
    }
}

/// `GET /workbench`
pub async fn get(app: App, _visitor: Visitor) -> Response {
    respond(StatusCode::OK, Shape::Entrance, &blank(&app))
}

/// `POST /workbench`: field `assertion`, or `new_key` with an algorithm. Nothing is written: the assertion is not spent,
/// the key is not kept.
///
/// # Errors
/// When an address asks too often, or the database cannot be asked.
pub async fn post(
    app: App,
    Visitor(reader): Visitor,
    arrival: Arrival,
    mut fields: Fields,
) -> Result<Response, PageError> {
    app.throttle.take(arrival.ip, arrival.now).await.map_err(PageError::TooOften)?;
    let mut page = blank(&app);
    if let Some(alg) = fields.take_if_present("new_key") {
        // An RSA key takes as long as a hundred sign-ins: the command line makes one.
        let alg = alg.parse().ok().filter(|alg| matches!(alg, Algorithm::Es256 | Algorithm::EdDsa));
        let alg = alg.ok_or(PageError::BadForm("the algorithm must be ES256 or EdDSA"))?;
        let both = new_key(alg, None).map_err(|error| PageError::Unavailable(error.to_string()))?;
        page.new_key = Some(NewKey { private: pretty(&both["private"]), public: pretty(&both["public"]) });
        return Ok(respond(StatusCode::OK, Shape::Entrance, &page));
    }
    // A paste ends with a line; what a sender sends must not.
    fields.take("assertion").trim().clone_into(&mut page.assertion);
    if page.assertion.is_empty() {
        page.error = Some("Please paste an assertion.");
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page));
    }
    let explanation = explain(&app, &page.assertion, None, reader).await?;
    page.verdict = Some(verdict(&explanation));
    page.key_set = key_set(&app, &page.assertion);
    page.checks = explanation.checks.into_iter().map(Check::of).collect();
    Ok(respond(StatusCode::OK, Shape::Entrance, &page))
}

fn pretty(json: &Value) -> String {
    format!("{json:#}")
}

fn verdict(explanation: &Explanation) -> (String, bool) {
    match (explanation.refused, explanation.at_its_time) {
        (None, _) => ("It would be accepted, sent from a registered page.".to_owned(), true),
        (Some(_), Some(_)) => ("It is too old now. At its own time it would have been accepted.".to_owned(), true),
        (Some(refusal), None) => (format!("It would be refused: {}.", refusal.label()), false),
    }
}

/// Of the trusted issuer that the assertion names, proven or not.
fn key_set(app: &App, assertion: &str) -> Option<KeySet> {
    let claims = Unverified::parse(assertion, super::assertion::MAX_BYTES).ok()?.claims().ok()?;
    let snapshot = app.issuers.get()?;
    let trusted = snapshot.issuer(claims.get("iss")?.as_str()?)?;
    let jwks_uri = trusted.issuer.jwks_uri.clone();
    let last = jwks_uri.as_deref().and_then(|uri| app.issuers.last_fetch(uri));
    let (fetched, not_taken, not_used) = match last {
        Some(Fetch { at, outcome: Err(why) }) => (Some(at), Some(why), Vec::new()),
        Some(Fetch { at, outcome: Ok(not_used) }) => (Some(at), None, not_used),
        None => (None, None, trusted.keys.skipped().to_vec()),
    };
    let keys = trusted.keys.names();
    Some(KeySet { jwks_uri, keys, fetched: fetched.map(Timestamp::rfc3339), not_taken, not_used })
}

impl Check {
    fn of(step: super::trail::Step) -> Self {
        let state = match step.outcome {
            Outcome::Good => "Good",
            Outcome::Wrong(_) => "Wrong",
            Outcome::Skipped => "Not checked",
        };
        Self { name: step.name, state, cure: step.cure(), detail: step.detail }
    }
}
