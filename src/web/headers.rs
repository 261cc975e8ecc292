//! The security headers of every answer (security.md, *Seven things*, 6).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use super::page::Shape;
use crate::config::Config;

const CSP_ENTRANCE: &str =
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";
const CSP_INSIDE: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; \
                          form-action 'self'; frame-ancestors 'none'";

/// Puts the headers on an answer. What a handler set itself (an asset's caching) stays.
pub fn secure(response: &mut Response, config: &Config) {
    let shape = response.extensions().get::<Shape>().copied();
    // Chrome applies form-action to every redirect that follows the form, and would kill the way to a relying party.
    let csp = if shape == Some(Shape::Entrance) { CSP_ENTRANCE } else { CSP_INSIDE };
    let headers = response.headers_mut();
    set(headers, header::CONTENT_SECURITY_POLICY, csp);
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

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
