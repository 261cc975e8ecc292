//! What is the same for everybody and asked most: the discovery documents and the key set. Answered before the layers
//! that ordinary requests go through, with headers that are made once, since nothing about the asker matters.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::discovery;
use crate::app::App;
use crate::operations::keys::in_use;
use crate::web::headers::secure;
use crate::web::oauth_error::{OAuthError, data};

/// The documents, and the headers of their answers.
struct Published {
    app: App,
    discovery: Bytes,
    headers: HeaderMap,
}

/// Their routes.
pub fn routes<S: Clone + Send + Sync + 'static>(app: &App) -> Router<S> {
    let mut pattern = data(StatusCode::OK);
    let headers = pattern.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    secure(&mut pattern, &app.config);
    let published = Published {
        app: app.clone(),
        discovery: discovery::document(&app.config.issuer).to_string().into(),
        headers: pattern.headers().clone(),
    };
    Router::new()
        .route("/.well-known/openid-configuration", only(get(document)))
        .route("/.well-known/oauth-authorization-server", only(get(document)))
        .route("/oauth2/jwks", only(get(jwks)))
        .with_state(Arc::new(published))
}

type Shared = State<Arc<Published>>;

fn only(route: MethodRouter<Arc<Published>>) -> MethodRouter<Arc<Published>> {
    route.options(preflight).fallback(async |State(published): Shared| {
        let error = OAuthError::invalid_request("this endpoint does not take this method");
        let mut response = published.secured(error.into_response());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        response
    })
}

impl Published {
    fn answer(&self, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        *response.headers_mut() = self.headers.clone();
        response
    }

    fn secured(&self, mut response: Response) -> Response {
        secure(&mut response, &self.app.config);
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    }
}

async fn document(State(published): Shared) -> Response {
    published.answer(published.discovery.clone())
}

/// Our public keys (RFC 7517 §5): cached no longer than a new key is announced ahead of its use (G20).
async fn jwks(State(published): Shared) -> Response {
    let set = match in_use::jwks(&published.app, published.app.clock.now()).await {
        Ok(set) => set,
        Err(error) => return published.secured(OAuthError::from(error).into_response()),
    };
    let mut response = published.answer(set.json.clone());
    let age = format!("public, max-age={}", set.max_age.as_secs());
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_str(&age).unwrap_or(HeaderValue::from_static("no-store")));
    response
}

async fn preflight(State(published): Shared) -> Response {
    let mut response = published.secured(data(StatusCode::OK));
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    response
}
