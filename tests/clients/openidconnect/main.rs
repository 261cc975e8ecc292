//! An app that signs its users in through Therap Connect with the `openidconnect` crate, see docs/relying-party.md.
//!
//! `ISSUER=https://connect.example.org CLIENT_ID=portal CLIENT_SECRET=… APP_URL=http://127.0.0.1:3000 app`
//!
//! Register the client with a secret; `token_endpoint_auth_method` may be left out, or be `"client_secret_basic"`.
// --- shown in docs/relying-party.md ---
use std::collections::HashMap;
use std::env::var;
use std::fmt::Display;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreGenderClaim, CoreIdToken, CoreIdTokenClaims, CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AdditionalClaims, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndSessionUrl,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout,
    RedirectUrl, RefreshToken, Scope, SubjectIdentifier, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

#[derive(Clone)]
struct App {
    url: String,
    client: Client,
    end_session: EndSessionUrl,
    http: reqwest::Client,
    /// By the cookie; a real app keeps them in its database.
    sessions: Arc<Mutex<HashMap<String, Session>>>,
}

/// One browser's.
enum Session {
    SigningIn { verifier: PkceCodeVerifier, state: CsrfToken, nonce: Nonce },
    SignedIn(Box<User>),
}

#[derive(Clone)]
struct User {
    id_token: CoreIdToken,
    refresh_token: Option<RefreshToken>,
    claims: CoreIdTokenClaims,
    userinfo: UserInfoClaims<Agency, CoreGenderClaim>,
    refreshes: u32,
}

/// The claims of the scope `provider`.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Agency {
    provider_code: Option<String>,
    provider_name: Option<String>,
    user_type: Option<String>,
}
impl AdditionalClaims for Agency {}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = var("APP_URL")?;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let ask = |request| ask(http.clone(), request);
    let metadata = ProviderMetadataWithLogout::discover_async(IssuerUrl::new(var("ISSUER")?)?, &ask).await?;
    let end_session = metadata.additional_metadata().end_session_endpoint.clone().ok_or("no end_session_endpoint")?;
    let (id, secret) = (ClientId::new(var("CLIENT_ID")?), ClientSecret::new(var("CLIENT_SECRET")?));
    let client = CoreClient::from_provider_metadata(metadata, id, Some(secret))
        .set_redirect_uri(RedirectUrl::new(format!("{url}/callback"))?);
    let routes = axum::Router::new()
        .route("/", get(index))
        .route("/sign-in", get(sign_in))
        .route("/callback", get(callback))
        .route("/refresh", post(refresh))
        .route("/sign-out", post(sign_out));
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or("APP_URL names no port")?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let app = App { url, client, end_session, http, sessions: Arc::default() };
    Ok(axum::serve(listener, routes.with_state(app)).await?)
}

async fn index(State(app): State<App>, headers: HeaderMap) -> Result<Html<String>, Failure> {
    let body = match app.user(&headers) {
        None => r#"<a id="sign-in" href="/sign-in">Sign in</a>"#.to_owned(),
        Some(User { claims, userinfo, refreshes, .. }) => {
            let shown = serde_json::json!({ "id_token": claims, "userinfo": userinfo, "refreshes": refreshes });
            let shown =
                serde_json::to_string_pretty(&shown).map_err(failed)?.replace('&', "&amp;").replace('<', "&lt;");
            format!(
                r#"<pre id="who">{shown}</pre>
                <form method="post" action="/refresh"><button id="refresh">Refresh</button></form>
                <form method="post" action="/sign-out"><button id="sign-out">Sign out</button></form>"#
            )
        }
    };
    Ok(Html(format!(r#"<!doctype html><html lang="en"><title>Rust app</title><body>{body}</body></html>"#)))
}

async fn sign_in(State(app): State<App>, headers: HeaderMap) -> Response {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let request = app.client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
    let scopes = ["profile", "email", "provider"].map(|name| Scope::new(name.into()));
    let (url, state, nonce) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
    app.remember(&headers, Some(Session::SigningIn { verifier, state, nonce }), url.as_str())
}

async fn callback(
    State(app): State<App>,
    headers: HeaderMap,
    Query(answer): Query<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let Some(Session::SigningIn { verifier, state, nonce }) = app.forget(&headers) else {
        return Err(failed("no sign-in was begun in this browser"));
    };
    if answer.get("state") != Some(state.secret()) {
        return Err(failed("this is the answer to another request"));
    }
    let Some(code) = answer.get("code") else {
        return match answer.get("error").map(String::as_str) {
            Some("access_denied") => Ok(Redirect::to("/").into_response()), // the user pressed Cancel
            other => Err(failed(other.unwrap_or("no code came"))),
        };
    };
    let exchange = app.client.exchange_code(AuthorizationCode::new(code.clone())).map_err(failed)?;
    let ask = |request| ask(app.http.clone(), request);
    let tokens = exchange.set_pkce_verifier(verifier).request_async(&ask).await.map_err(failed)?;
    let id_token = tokens.id_token().ok_or_else(|| failed("no ID token came"))?;
    // Checks the signature, issuer, audience, times and nonce.
    let claims = id_token.claims(&app.client.id_token_verifier(), &nonce).map_err(failed)?.clone();
    let user = app.signed_in(&tokens, claims, None).await?;
    Ok(app.remember(&headers, Some(Session::SignedIn(user)), "/"))
}

async fn refresh(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    let old = app.user(&headers).ok_or_else(|| failed("nobody is signed in"))?;
    let refresh_token = old.refresh_token.as_ref().ok_or_else(|| failed("there is no refresh token"))?;
    let exchange = app.client.exchange_refresh_token(refresh_token).map_err(failed)?;
    let ask = |request| ask(app.http.clone(), request);
    let tokens = exchange.request_async(&ask).await.map_err(failed)?; // fails: signed out over there
    let id_token = tokens.id_token().ok_or_else(|| failed("no ID token came"))?;
    let no_nonce = |_: Option<&Nonce>| Ok(());
    let claims = id_token.claims(&app.client.id_token_verifier(), no_nonce).map_err(failed)?.clone();
    let user = app.signed_in(&tokens, claims, Some(old)).await?;
    Ok(app.remember(&headers, Some(Session::SignedIn(user)), "/"))
}

async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    let user = app.user(&headers).ok_or_else(|| failed("nobody is signed in"))?;
    let back = PostLogoutRedirectUrl::new(format!("{}/", app.url)).map_err(failed)?;
    let request = LogoutRequest::from(app.end_session.clone()).set_id_token_hint(&user.id_token);
    Ok(app.remember(&headers, None, request.set_post_logout_redirect_uri(back).http_get_url().as_str()))
}

impl App {
    /// Who tokens are for, by the userinfo endpoint too.
    async fn signed_in(
        &self,
        tokens: &CoreTokenResponse,
        claims: CoreIdTokenClaims,
        before: Option<User>,
    ) -> Result<Box<User>, Failure> {
        let id_token = tokens.id_token().ok_or_else(|| failed("no ID token came"))?.clone();
        let userinfo = self.userinfo(tokens.access_token(), claims.subject()).await?;
        let (kept, refreshes) = before.map_or((None, 0), |user| (user.refresh_token, user.refreshes + 1));
        // Without a new refresh token the old one stays.
        let refresh_token = tokens.refresh_token().cloned().or(kept);
        Ok(Box::new(User { id_token, refresh_token, claims, userinfo, refreshes }))
    }

    async fn userinfo(
        &self,
        token: &AccessToken,
        sub: &SubjectIdentifier,
    ) -> Result<UserInfoClaims<Agency, CoreGenderClaim>, Failure> {
        let request = self.client.user_info(token.clone(), Some(sub.clone())).map_err(failed)?;
        request.request_async(&|request| ask(self.http.clone(), request)).await.map_err(failed)
    }

    fn user(&self, headers: &HeaderMap) -> Option<User> {
        match self.sessions.lock().ok()?.get(&cookie(headers)?)? {
            Session::SignedIn(user) => Some((**user).clone()),
            Session::SigningIn { .. } => None,
        }
    }

    fn forget(&self, headers: &HeaderMap) -> Option<Session> {
        self.sessions.lock().ok()?.remove(&cookie(headers)?)
    }

    /// A new session in place of the one before, and on to another page.
    fn remember(&self, headers: &HeaderMap, session: Option<Session>, to: &str) -> Response {
        self.forget(headers);
        let id = CsrfToken::new_random().into_secret();
        let secure = if self.url.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!("session={id}; Path=/; HttpOnly; SameSite=Lax{secure}");
        if let (Some(session), Ok(mut sessions)) = (session, self.sessions.lock()) {
            sessions.insert(id, session);
        }
        ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(header::COOKIE)?.as_bytes());
    text.split("; ").find_map(|pair| pair.strip_prefix("session=")).map(str::to_owned)
}

type Failure = (StatusCode, String);

fn failed(why: impl Display) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("Signing in failed: {why}"))
}

/// How the crate reaches Therap Connect: with our own HTTP client, which follows no redirects.
async fn ask(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut response = HttpResponse::default();
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}
// --- end ---
