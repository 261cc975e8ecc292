//! A relying party, the "Care Portal": an app that signs its users in with Therap Connect by OpenID Connect, on the
//! `openidconnect` crate. It shows what it was told, refreshes, logs out, and is told of logouts on both channels.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect_idp::crypto::jws::Unverified;
use connect_idp::crypto::key_set::VerifyingKeys;
use connect_idp::time::{Clock, Random};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AccessToken, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, Scope, TokenResponse as _,
};
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use crate::pages::{CSS, ICON, May, PortalPage, file, page};

const COOKIE: &str = "portal_session";
/// Its `client_id` with Therap Connect, and the secret that the demo gives it.
pub const CLIENT_ID: &str = "care-portal";
const CLIENT_SECRET: &str = "this-secret-is-published-and-for-the-demo-alone";

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The `[[client]]` of the seed.
pub fn client(origin: &str) -> Table {
    let registered = json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "client_name": "Care Portal",
        "client_uri": format!("{origin}/"),
        "redirect_uris": [format!("{origin}/callback")],
        "post_logout_redirect_uris": [format!("{origin}/")],
        "initiate_login_uri": format!("{origin}/start"),
        "backchannel_logout_uri": format!("{origin}/backchannel-logout"),
        "frontchannel_logout_uri": format!("{origin}/frontchannel-logout"),
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email provider offline_access",
        "first_party": false,
    });
    Table::try_from(registered).unwrap_or_default()
}

/// What the site knows.
#[derive(Clone)]
struct Site(Arc<Parts>);

struct Parts {
    issuer: String,
    origin: String,
    visits: Mutex<BTreeMap<String, Visit>>,
}

/// A browser of this site.
#[derive(Clone)]
enum Visit {
    /// On its way to Therap Connect and back.
    Waiting { state: String, nonce: Nonce, verifier: Arc<PkceCodeVerifier> },
    /// Signed in.
    Here(Box<Known>),
    /// It was signed in, and Therap Connect told us that it is over.
    Told(String),
}

/// What the site was told about its user.
#[derive(Clone)]
struct Known {
    sid: String,
    id_token: String,
    access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
    id_claims: Value,
    userinfo: Value,
}

/// The site's routes.
pub fn site(issuer: &str, origin: &str) -> Router {
    let parts = Parts { issuer: issuer.to_owned(), origin: origin.to_owned(), visits: Mutex::default() };
    Router::new()
        .route("/", get(home))
        .route("/start", get(start).post(start))
        .route("/callback", get(callback))
        .route("/refresh", post(refresh))
        .route("/logout", post(logout))
        .route("/backchannel-logout", post(told_by_back_channel))
        .route("/frontchannel-logout", get(told_by_front_channel))
        .route("/therap.css", get(file("text/css; charset=utf-8", CSS)))
        .route("/therap.svg", get(file("image/svg+xml", ICON)))
        .with_state(Site(Arc::new(parts)))
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
        (StatusCode::BAD_GATEWAY, format!("The Care Portal could not do this: {:#}\n", self.0)).into_response()
    }
}

impl Site {
    fn visits(&self) -> MutexGuard<'_, BTreeMap<String, Visit>> {
        self.0.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit(&self, headers: &HeaderMap) -> Option<(String, Visit)> {
        let id = crate::pages::cookie(headers, COOKIE)?;
        Some((id.to_owned(), self.visits().get(id)?.clone()))
    }

    /// The whole of the set-up: discovery, a client id, a secret, a redirect URI.
    async fn client(&self) -> anyhow::Result<Client> {
        let issuer = IssuerUrl::new(self.0.issuer.clone())?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &fetch).await.context("discovery")?;
        let secret = ClientSecret::new(CLIENT_SECRET.to_owned());
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new(CLIENT_ID.to_owned()), Some(secret));
        Ok(client.set_redirect_uri(RedirectUrl::new(format!("{}/callback", self.0.origin))?))
    }

    /// Ends every visit under a session of Therap Connect.
    fn end(&self, sid: &str, told: &str) {
        for visit in self.visits().values_mut() {
            if matches!(visit, Visit::Here(known) if known.sid == sid) {
                *visit = Visit::Told(told.to_owned());
            }
        }
    }
}

/// One request to Therap Connect.
async fn fetch(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let answer = client.execute(request.try_into()?).await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = HttpResponse::new(answer.bytes().await?.to_vec());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn home(State(site): State<Site>, headers: HeaderMap) -> Response {
    let (known, told) = match site.visit(&headers) {
        Some((_, Visit::Here(known))) => (Some(known), None),
        Some((_, Visit::Told(how))) => (None, Some(how)),
        Some((_, Visit::Waiting { .. })) | None => (None, None),
    };
    let pretty = |claims: &Value| serde_json::to_string_pretty(claims).unwrap_or_default();
    let text = |claims: &Value, name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let template = PortalPage {
        issuer: &site.0.issuer,
        name: known.as_ref().map(|known| text(&known.userinfo, "name")),
        method: known.as_ref().map(|known| text(&known.id_claims, "acr")).unwrap_or_default(),
        id_claims: known.as_ref().map(|known| pretty(&known.id_claims)).unwrap_or_default(),
        userinfo: known.as_ref().map(|known| pretty(&known.userinfo)).unwrap_or_default(),
        can_refresh: known.is_some_and(|known| known.refresh_token.is_some()),
        told,
    };
    page(StatusCode::OK, &template, May { send_to: &[&site.0.issuer], ..May::NOTHING })
}

/// A sign-in begins: by our own button, or because Therap Connect sent the user here (OpenID Connect Core §4).
#[derive(Deserialize)]
struct Start {
    iss: Option<String>,
    prompt: Option<String>,
}

async fn start(State(site): State<Site>, Query(asked): Query<Start>) -> Result<Response, Broken> {
    ensure_issuer(&site, asked.iss.as_deref())?;
    let client = site.client().await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email", "provider"].map(|name| Scope::new(name.to_owned())))
        .set_pkce_challenge(challenge);
    let request = match asked.prompt {
        Some(prompt) => request.add_extra_param("prompt", prompt),
        None => request,
    };
    let (url, state, nonce) = request.url();
    let id = URL_SAFE_NO_PAD.encode(Random::System.bytes::<32>());
    let waiting = Visit::Waiting { state: state.into_secret(), nonce, verifier: Arc::new(verifier) };
    site.visits().insert(id.clone(), waiting);
    let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(url.as_str())).into_response())
}

fn ensure_issuer(site: &Site, iss: Option<&str>) -> anyhow::Result<()> {
    ensure!(iss.is_none_or(|iss| iss == site.0.issuer), "this app knows only {}", site.0.issuer);
    Ok(())
}

#[derive(Deserialize)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

async fn callback(
    State(site): State<Site>,
    headers: HeaderMap,
    Query(answer): Query<Callback>,
) -> Result<Response, Broken> {
    let Some((id, Visit::Waiting { state, nonce, verifier })) = site.visit(&headers) else {
        return Ok(Redirect::to("/").into_response());
    };
    // RFC 6749 §10.12 and RFC 9207: this browser asked, and it is this issuer that answers.
    if answer.state.as_ref() != Some(&state) {
        return Err(anyhow::anyhow!("the answer's state is not the one of this browser").into());
    }
    ensure_issuer(&site, answer.iss.as_deref())?;
    let Some(code) = answer.code else {
        let error = answer.error.unwrap_or_default();
        let why = answer.error_description.unwrap_or_default();
        site.visits()
            .insert(id, Visit::Told(format!("You are not signed in. Therap Connect answered {error}: {why}.")));
        return Ok(Redirect::to("/").into_response());
    };
    let client = site.client().await?;
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))?
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.secret().clone()))
        .request_async(&fetch)
        .await
        .context("the code could not be exchanged")?;
    let id_token = tokens.id_token().context("there is no ID token")?;
    // The whole validation of OpenID Connect Core §3.1.3.7.
    id_token.claims(&client.id_token_verifier(), &nonce).context("the ID token is not valid")?;
    let id_token = id_token.to_string();
    let id_claims = claims(&id_token)?;
    let known = Known {
        sid: id_claims["sid"].as_str().unwrap_or_default().to_owned(),
        id_token,
        userinfo: userinfo(&site, tokens.access_token()).await?,
        access_token: tokens.access_token().clone(),
        refresh_token: tokens.refresh_token().cloned(),
        id_claims,
    };
    site.visits().insert(id, Visit::Here(Box::new(known)));
    Ok(Redirect::to("/").into_response())
}

/// The claims of a token that was validated.
fn claims(jwt: &str) -> anyhow::Result<Value> {
    let payload = jwt.split('.').nth(1).context("no JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

async fn userinfo(site: &Site, token: &AccessToken) -> anyhow::Result<Value> {
    let address = format!("{}/oauth2/userinfo", site.0.issuer);
    let answer = reqwest::Client::new().get(address).bearer_auth(token.secret()).send().await?;
    ensure!(answer.status().is_success(), "userinfo answered {}", answer.status());
    Ok(answer.json().await?)
}

async fn refresh(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Broken> {
    let Some((id, Visit::Here(mut known))) = site.visit(&headers) else {
        return Ok(Redirect::to("/").into_response());
    };
    let client = site.client().await?;
    let token = known.refresh_token.clone().context("there is no refresh token")?;
    let Ok(tokens) = client.exchange_refresh_token(&token)?.request_async(&fetch).await else {
        site.visits().insert(id, Visit::Told("Therap Connect refused to refresh: the sign-in is over.".into()));
        return Ok(Redirect::to("/").into_response());
    };
    if let Some(id_token) = tokens.id_token() {
        id_token
            .claims(&client.id_token_verifier(), |_: Option<&Nonce>| Ok(()))
            .context("the ID token is not valid")?;
        known.id_token = id_token.to_string();
        known.id_claims = claims(&known.id_token)?;
    }
    known.access_token = tokens.access_token().clone();
    known.userinfo = userinfo(&site, &known.access_token).await?;
    if let Some(next) = tokens.refresh_token() {
        known.refresh_token = Some(next.clone());
    }
    site.visits().insert(id, Visit::Here(known));
    Ok(Redirect::to("/").into_response())
}

/// Out here and, by OpenID Connect RP-Initiated Logout, out of Therap Connect.
async fn logout(State(site): State<Site>, headers: HeaderMap) -> Response {
    let Some((id, Visit::Here(known))) = site.visit(&headers) else {
        return Redirect::to("/").into_response();
    };
    site.visits().remove(&id);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("id_token_hint", &known.id_token)
        .append_pair("post_logout_redirect_uri", &format!("{}/", site.0.origin))
        .finish();
    Redirect::to(&format!("{}/oauth2/end_session?{query}", site.0.issuer)).into_response()
}

#[derive(Deserialize)]
struct BackChannel {
    logout_token: String,
}

/// OpenID Connect Back-Channel Logout §2.6.
async fn told_by_back_channel(State(site): State<Site>, Form(told): Form<BackChannel>) -> Response {
    match check_logout(&site, &told.logout_token).await {
        Ok(sid) => {
            site.end(&sid, "Therap Connect told this app that the session is over (back channel).");
            StatusCode::OK.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")).into_response(),
    }
}

async fn check_logout(site: &Site, token: &str) -> anyhow::Result<String> {
    let keys = reqwest::get(format!("{}/oauth2/jwks", site.0.issuer)).await?.text().await?;
    let keys = VerifyingKeys::parse(&keys).map_err(anyhow::Error::msg)?;
    let jws = Unverified::parse(token, 8192).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
    let text = |name: &str| jws.header.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let key = keys.get(&text("kid")).context("the key is unknown")?;
    ensure!(key.algorithm().name() == text("alg") && key.verify(&jws), "the signature is not right");
    ensure!(text("typ") == "logout+jwt", "it is no logout token");
    let claims = Value::Object(jws.claims()?);
    let now = Clock::System.now().seconds();
    ensure!(claims["iss"] == site.0.issuer && claims["aud"] == CLIENT_ID, "it is not for this app");
    ensure!(claims["exp"].as_i64().is_some_and(|exp| now < exp), "it is too old");
    let event = &claims["events"]["http://schemas.openid.net/event/backchannel-logout"];
    ensure!(event.is_object() && claims.get("nonce").is_none(), "it is no logout token");
    Ok(claims["sid"].as_str().context("it names no session")?.to_owned())
}

#[derive(Deserialize)]
struct FrontChannel {
    iss: String,
    sid: String,
}

/// OpenID Connect Front-Channel Logout §3: in a frame, perhaps without our cookie; the `sid` says whom it is about.
async fn told_by_front_channel(State(site): State<Site>, Query(told): Query<FrontChannel>) -> Response {
    if told.iss == site.0.issuer {
        site.end(&told.sid, "Therap Connect told this app that the session is over (front channel).");
    }
    let csp = format!("default-src 'none'; frame-ancestors {}", site.0.issuer);
    ([(header::CONTENT_SECURITY_POLICY, csp)], "signed out\n").into_response()
}
