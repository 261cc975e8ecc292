//! *Respond*: the answer on its way back to the client, in the mode it asked for, with `iss` always (RFC 9207).

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::request::Answer;
use crate::app::App;
use crate::model::authorization::{AuthorizationRequest, ResponseMode};
use crate::web::oauth_error::plain;
use crate::web::page::{Page, Shape, respond};

/// The page that sends an answer as a form (OAuth 2.0 Form Post Response Mode §2).
#[derive(Template)]
#[template(path = "oidc/form_post.html")]
struct FormPost {
    page: Page,
    action: String,
    fields: Vec<(&'static str, String)>,
}

/// A code, to the client.
pub fn code(app: &App, request: &AuthorizationRequest, code: String) -> Response {
    let fields = vec![("code", code)];
    send(app, &request.redirect_uri, request.response_mode, fields, request.state.as_deref())
}

/// An error, to the client.
pub fn error(app: &App, answer: &Answer) -> Response {
    let description = plain(&answer.description);
    tracing::info!(error = answer.code, "answered the client {}: {description}", answer.code);
    let fields = vec![("error", answer.code.to_owned()), ("error_description", description)];
    send(app, &answer.redirect_uri, answer.response_mode, fields, answer.state.as_deref())
}

/// An error of a request that is valid on its own.
pub fn refusal(app: &App, request: &AuthorizationRequest, code: &'static str, why: &'static str) -> Response {
    let answer = Answer {
        redirect_uri: request.redirect_uri.clone(),
        response_mode: request.response_mode,
        state: request.state.clone(),
        code,
        description: why.into(),
    };
    error(app, &answer)
}

fn send(
    app: &App,
    redirect_uri: &str,
    mode: ResponseMode,
    mut fields: Vec<(&'static str, String)>,
    state: Option<&str>,
) -> Response {
    if let Some(state) = state {
        fields.push(("state", state.to_owned()));
    }
    fields.push(("iss", app.config.issuer.clone()));
    if mode == ResponseMode::FormPost {
        let template = FormPost { page: Page::new(app, "Continue"), action: redirect_uri.to_owned(), fields };
        return respond(StatusCode::OK, Shape::Entrance, &template);
    }
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    Redirect::to(&with_parameters(redirect_uri, mode, &text)).into_response()
}

/// A registered query is kept, and the answer appended (RFC 6749 §3.1.2).
fn with_parameters(redirect_uri: &str, mode: ResponseMode, text: &str) -> String {
    let joint = match (mode, redirect_uri.contains('?')) {
        (ResponseMode::Fragment, _) => "#",
        (ResponseMode::Query | ResponseMode::FormPost, false) => "?",
        (ResponseMode::Query | ResponseMode::FormPost, true) if redirect_uri.ends_with(['?', '&']) => "",
        (ResponseMode::Query | ResponseMode::FormPost, true) => "&",
    };
    format!("{redirect_uri}{joint}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_query_is_kept() {
        let with = |uri, mode| with_parameters(uri, mode, "code=1");
        assert_eq!(with("https://a/cb", ResponseMode::Query), "https://a/cb?code=1");
        assert_eq!(with("https://a/cb?x=1", ResponseMode::Query), "https://a/cb?x=1&code=1");
        assert_eq!(with("https://a/cb?", ResponseMode::Query), "https://a/cb?code=1");
        assert_eq!(with("https://a/cb?x=1", ResponseMode::Fragment), "https://a/cb?x=1#code=1");
    }
}
