//! The security headers of every answer (docs/rules.md, *After every request*, 6).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use super::page::{Extras, Shape};
use crate::config::Config;

/// What every policy begins with.
macro_rules! csp {
    ($($rest:literal)?) => {
        concat!("default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'" $(, $rest)?)
    };
}
const CSP: &str = csp!();
/// The policies of a page that needs nothing of others: before and around a sign-in, and after it.
const ENTRANCE: &str = csp!("; img-src 'self'");
const INSIDE: &str = csp!("; img-src 'self'; form-action 'self'; connect-src 'self'");

/// Puts the headers on an answer. What a handler set itself (an asset's caching) stays.
pub fn secure(response: &mut Response, config: &Config) {
    let shape = response.extensions().get::<Shape>().copied();
    let policy = policy(shape, response.extensions().get::<Extras>());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, header::REFERRER_POLICY, "strict-origin");
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(headers, HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    if !headers.contains_key(header::CACHE_CONTROL) {
        set(headers, header::CACHE_CONTROL, "no-store");
    }
    if shape == Some(Shape::Inside) {
        set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    }
    if config.is_https() {
        set(headers, header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
}

fn policy(shape: Option<Shape>, extras: Option<&Extras>) -> HeaderValue {
    let Some(extras) = extras.filter(|extras| !extras.images.is_empty() || !extras.frames.is_empty()) else {
        return HeaderValue::from_static(if shape == Some(Shape::Entrance) { ENTRANCE } else { INSIDE });
    };
    let mut text = format!("{CSP}; img-src 'self'");
    for origin in &extras.images {
        text.push(' ');
        text.push_str(origin);
    }
    // Chrome applies form-action to every redirect that follows the form, and would kill the way to a relying party.
    if shape != Some(Shape::Entrance) {
        text.push_str("; form-action 'self'; connect-src 'self'");
    }
    if !extras.frames.is_empty() {
        text.push_str("; frame-src ");
        text.push_str(&extras.frames.join(" "));
    }
    // Origins are ASCII; whatever else came here would be our own mistake, and the strict policy is right then.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(CSP))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
