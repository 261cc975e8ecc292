//! A stand-in for Therap Services: its own users, its own sessions, and the button.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::time::Random;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use crate::cast::{Cast, TherapUser};
use crate::misbehave::{self, Trick, Way};
use crate::pages::{
    CSS, FramePage, HomePage, ICON, LoginPage, May, MisbehavePage, NotePage, SEND_JS, SendPage, Top, cookie, file, page,
};
use crate::sender::Sender;

const COOKIE: &str = "ts_session";
const CLIENT_ID: &str = "therap-services";
const CLIENT_SECRET: &str = "this-one-is-published-too-and-for-the-demo-alone";

/// What the site knows.
#[derive(Clone, Debug)]
struct Site(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    issuer: String,
    origin: String,
    foreign: String,
    cast: Arc<Cast>,
    sender: Arc<Sender>,
    visits: Mutex<BTreeMap<String, Visit>>,
}

/// A session of this site.
#[derive(Clone, Debug)]
struct Visit {
    id: String,
    user: TherapUser,
    last_good: Option<String>,
}

/// The site's routes.
pub fn site(issuer: &str, origin: &str, foreign: &str, cast: &Arc<Cast>, sender: &Arc<Sender>) -> Router {
    let site = Site(Arc::new(Parts {
        issuer: issuer.to_owned(),
        origin: origin.to_owned(),
        foreign: foreign.to_owned(),
        cast: Arc::clone(cast),
        sender: Arc::clone(sender),
        visits: Mutex::default(),
    }));
    Router::new()
        .route("/", get(home))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .route("/open-connect", post(open_connect))
        .route("/misbehave", get(misbehave_page))
        .route("/misbehave/{name}", post(misbehave))
        .route("/framed", get(framed))
        .route("/assertion", get(assertion))
        .route("/.well-known/handoff-keys.json", get(keys))
        .route("/other/.well-known/handoff-keys.json", get(other_keys))
        .route("/therap.css", get(file("text/css; charset=utf-8", CSS)))
        .route("/therap.svg", get(file("image/svg+xml", ICON)))
        .route("/send.js", get(file("text/javascript; charset=utf-8", SEND_JS)))
        .layer(from_fn_with_state(site.clone(), own_forms_only))
        .with_state(site)
}

/// Else a foreign page could sign the user in to Therap Connect (docs/handoff.md).
async fn own_forms_only(State(site): State<Site>, request: Request, next: Next) -> Response {
    let own = request.headers().get(header::ORIGIN).is_none_or(|origin| *origin == *site.0.origin);
    if request.method() == Method::POST && !own {
        return (StatusCode::FORBIDDEN, "This form came from another site.").into_response();
    }
    next.run(request).await
}

impl Site {
    fn visits(&self) -> MutexGuard<'_, BTreeMap<String, Visit>> {
        self.0.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit(&self, headers: &HeaderMap) -> Option<Visit> {
        self.visits().get(session_id(headers)?).cloned()
    }

    fn sign(&self, user: &TherapUser) -> Result<String, Broken> {
        let sender = &self.0.sender;
        Ok(sender.sign(&sender.draft(&user.provider, &user.login_name))?)
    }

    /// The page that carries an assertion to Therap Connect.
    fn send(&self, assertion: &str) -> Response {
        let action = format!("{}/unified-login", self.0.issuer);
        let send = SendPage { action: &action, method: "post", assertion, twice: false };
        page(StatusCode::OK, &send, May { send_to: &[&self.0.issuer], ..May::NOTHING })
    }
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// What this site could not do.
struct Broken(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Broken {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}

async fn home(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Broken> {
    let Some(visit) = site.visit(&headers) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let button = unified_login_is_on(&site.0.issuer, &visit.user.provider).await?;
    let home = HomePage { top: Top { user: Some(visit.user.clone()) }, user: visit.user, button };
    Ok(page(StatusCode::OK, &home, May::NOTHING))
}

/// The `[[client]]` of the seed: this product's own credentials with Therap Connect.
pub fn client() -> Table {
    let registered = json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "client_name": "Therap Services",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "scope": "unified-login.read",
    });
    Table::try_from(registered).unwrap_or_default()
}

/// Asks Therap Connect whether to show the button (U9).
async fn unified_login_is_on(issuer: &str, provider_code: &str) -> anyhow::Result<bool> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let form = [("grant_type", "client_credentials"), ("scope", "unified-login.read")];
    let asked = http.post(format!("{issuer}/oauth2/token")).basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&form);
    let token: Value = asked.send().await?.error_for_status()?.json().await?;
    let token = token["access_token"].as_str().unwrap_or_default().to_owned();
    let asked = http.get(format!("{issuer}/unified-login/providers/{provider_code}")).bearer_auth(token);
    let answer: Value = asked.send().await?.error_for_status()?.json().await?;
    Ok(answer["unified_login"] == true)
}

async fn login_page(State(site): State<Site>, headers: HeaderMap) -> Response {
    if site.visit(&headers).is_some() {
        return Redirect::to("/").into_response();
    }
    let users = &site.0.cast.therap_users;
    page(StatusCode::OK, &LoginPage { top: Top { user: None }, users, issuer: &site.0.issuer }, May::NOTHING)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(State(site): State<Site>, Form(form): Form<Login>) -> Response {
    let Some(user) = site.0.cast.therap_users.iter().find(|user| user.key() == form.user) else {
        return Redirect::to("/login").into_response();
    };
    let id = URL_SAFE_NO_PAD.encode(Random::System.bytes::<32>());
    site.visits().insert(id.clone(), Visit { id: id.clone(), user: user.clone(), last_good: None });
    let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn logout(State(site): State<Site>, headers: HeaderMap) -> Response {
    if let Some(visit) = site.visit(&headers) {
        site.visits().remove(&visit.id);
    }
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

/// The click: the assertion is minted now, for whoever is signed in here.
async fn open_connect(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Broken> {
    let Some(visit) = site.visit(&headers) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let assertion = site.sign(&visit.user)?;
    if let Some(visit) = site.visits().get_mut(&visit.id) {
        visit.last_good = Some(assertion.clone());
    }
    Ok(site.send(&assertion))
}

async fn misbehave_page(State(site): State<Site>, headers: HeaderMap) -> Response {
    let Some(visit) = site.visit(&headers) else {
        return Redirect::to("/login").into_response();
    };
    let (issuer, foreign) = (&site.0.issuer, &site.0.foreign);
    let tricks = MisbehavePage { top: Top { user: Some(visit.user) }, tricks: &misbehave::ALL, issuer, foreign };
    page(StatusCode::OK, &tricks, May { send_to: &[issuer], ..May::NOTHING })
}

async fn misbehave(State(site): State<Site>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Broken> {
    let (Some(visit), Some(trick)) = (site.visit(&headers), misbehave::find(&name)) else {
        return Ok(Redirect::to("/misbehave").into_response());
    };
    let assertion = trick.assertion(&site.0.sender, &visit.user.provider, &visit.user.login_name)?;
    Ok(carry(&site, trick, visit, &assertion))
}

fn carry(site: &Site, trick: &Trick, visit: Visit, assertion: &str) -> Response {
    let (issuer, foreign) = (site.0.issuer.as_str(), site.0.foreign.as_str());
    let ours = format!("{issuer}/unified-login");
    let form = |action: &str, method: &str, twice: bool, to: &str| {
        let may = May { send_to: &[to], ..May::NOTHING };
        page(StatusCode::OK, &SendPage { action, method, assertion, twice }, may)
    };
    match trick.way {
        Way::Post => form(&ours, "post", false, issuer),
        Way::Twice => form(&ours, "post", true, issuer),
        Way::Get => form(&ours, "get", false, issuer),
        Way::Foreign => form(&format!("{foreign}/send"), "post", false, foreign),
        Way::Frame => {
            let frame = FramePage { top: Top { user: Some(visit.user) } };
            page(StatusCode::OK, &frame, May { frame: Some(issuer), ..May::NOTHING })
        }
        Way::Again => visit.last_good.as_deref().map_or_else(|| nothing_to_replay(visit.user), |last| site.send(last)),
    }
}

fn nothing_to_replay(user: TherapUser) -> Response {
    let text = "There is none yet. Press the Therap Connect button on the home page, then come back.".into();
    page(
        StatusCode::CONFLICT,
        &NotePage { top: Top { user: Some(user) }, title: "Nothing to replay", text },
        May::NOTHING,
    )
}

/// What the frame of [`Way::Frame`] holds.
async fn framed(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Broken> {
    let Some(visit) = site.visit(&headers) else {
        return Ok(StatusCode::FORBIDDEN.into_response());
    };
    let action = format!("{}/unified-login", site.0.issuer);
    let send = SendPage { action: &action, method: "post", assertion: &site.sign(&visit.user)?, twice: false };
    Ok(page(StatusCode::OK, &send, May { send_to: &[&site.0.issuer], be_framed: true, ..May::NOTHING }))
}

/// An assertion to order, as text: for tests, and for `connect-idp handoff explain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// `SUNRISE-IL/amina`, or a Login Name that is known here.
    user: String,
    #[serde(default)]
    iat_offset: i64,
    lifetime: Option<i64>,
    sub: Option<String>,
    aud: Option<String>,
    target: Option<String>,
}

async fn assertion(State(site): State<Site>, Query(order): Query<Order>) -> Result<Response, Broken> {
    let known = site.0.cast.therap_users.iter().find(|user| user.login_name == order.user);
    let named = order.user.split_once('/').or_else(|| known.map(|u| (u.provider.as_str(), u.login_name.as_str())));
    let Some((provider_code, login_name)) = named else {
        return Ok((StatusCode::NOT_FOUND, "There is no such user: write PROVIDER-CODE/login-name.\n").into_response());
    };
    let mut draft = site.0.sender.draft(provider_code, login_name);
    draft.iat_offset = order.iat_offset;
    draft.lifetime = order.lifetime.unwrap_or(draft.lifetime);
    draft.sub = order.sub.unwrap_or(draft.sub);
    draft.aud = order.aud.unwrap_or(draft.aud);
    draft.target = order.target;
    Ok(([(header::CACHE_CONTROL, "no-store")], site.0.sender.sign(&draft)?).into_response())
}

async fn keys(State(site): State<Site>) -> Result<Response, Broken> {
    Ok(([(header::CONTENT_TYPE, "application/jwk-set+json")], site.0.sender.jwks()?).into_response())
}

async fn other_keys(State(site): State<Site>) -> Result<Response, Broken> {
    Ok(([(header::CONTENT_TYPE, "application/jwk-set+json")], site.0.sender.other_jwks()?).into_response())
}
