//! The pages of the sites that are not the product.

use askama::Template;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::cast::TherapUser;
use crate::misbehave::Trick;

/// Who is signed in, for the top of a page.
#[derive(Clone, Debug)]
pub struct Top {
    pub user: Option<TherapUser>,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/login.html")]
pub struct LoginPage<'a> {
    pub top: Top,
    pub users: &'a [TherapUser],
    pub issuer: &'a str,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/home.html")]
pub struct HomePage {
    pub top: Top,
    pub user: TherapUser,
    /// Whether Therap Connect says that Unified Login is on here (U9).
    pub button: bool,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/misbehave.html")]
pub struct MisbehavePage<'a> {
    pub top: Top,
    pub tricks: &'static [Trick],
    pub issuer: &'a str,
    pub foreign: &'a str,
}

/// A form that sends itself.
#[derive(Template)]
#[template(path = "../examples/demo/pages/send.html")]
pub struct SendPage<'a> {
    pub action: &'a str,
    pub method: &'a str,
    pub assertion: &'a str,
    pub twice: bool,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/frame.html")]
pub struct FramePage {
    pub top: Top,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/note.html")]
pub struct NotePage {
    pub top: Top,
    pub title: &'static str,
    pub text: String,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/stranger.html")]
pub struct StrangerPage<'a> {
    pub issuer: &'a str,
    pub foreign: &'a str,
}

#[derive(Template)]
#[template(path = "../examples/demo/pages/portal.html")]
pub struct PortalPage<'a> {
    pub issuer: &'a str,
    pub name: Option<String>,
    pub method: String,
    pub id_claims: String,
    pub userinfo: String,
    pub can_refresh: bool,
    pub told: Option<String>,
}

/// What a page may do besides being shown.
#[derive(Clone, Copy, Debug)]
pub struct May<'a> {
    /// Where its forms may go, besides its own site.
    pub send_to: &'a [&'a str],
    /// What it may frame, besides its own site.
    pub frame: Option<&'a str>,
    /// Whether its own site may frame it.
    pub be_framed: bool,
}

impl May<'_> {
    pub const NOTHING: May<'static> = May { send_to: &[], frame: None, be_framed: false };
}

/// A page with the headers that docs/handoff.md asks of a sender.
pub fn page(status: StatusCode, template: &impl Template, may: May<'_>) -> Response {
    let Ok(html) = template.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let send_to = may.send_to.join(" ");
    let frame = may.frame.map(|origin| format!("; frame-src 'self' {origin}")).unwrap_or_default();
    let framed = if may.be_framed { "'self'" } else { "'none'" };
    let csp = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self' {send_to}; \
         frame-ancestors {framed}{frame}"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::REFERRER_POLICY, "strict-origin".into()),
        (header::CACHE_CONTROL, "no-store".into()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
    ];
    (status, headers, Html(html)).into_response()
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    std::str::from_utf8(value?).ok()
}

/// A file of this folder.
pub fn file(media_type: &'static str, text: &'static str) -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, media_type)], text)
}

pub const CSS: &str = include_str!("pages/therap.css");
pub const ICON: &str = include_str!("pages/therap.svg");
pub const SEND_JS: &str = include_str!("pages/send.js");
