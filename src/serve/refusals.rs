//! What is refused before any route: a request whose headers no route should see. The answer says in one line what to
//! do.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};

use crate::config::Config;
use crate::web::headers::secure;
use crate::web::shape::data;

/// All headers of a request together.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

const NO_HOST: &str = "The request has to name one host, in one Host header (RFC 9112, section 3.2).\n";
const LONG: &str = "The headers of the request are larger than 32 KiB. In a browser: delete the cookies of this site, and try \
                    again. A program: send fewer or shorter headers, or a shorter address.\n";

/// What stands on each of these answers.
pub(super) fn headers(config: &Config) -> HeaderMap {
    let mut pattern = data(StatusCode::OK);
    secure(&mut pattern, config);
    pattern.headers().clone()
}

/// The refusal of this request, if it is one to refuse.
pub(super) fn of(request: &Request<Body>, headers: &HeaderMap) -> Option<Response> {
    let (status, words) = if names_no_host(request) {
        (StatusCode::BAD_REQUEST, NO_HOST)
    } else if has_long_headers(request) {
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, LONG)
    } else {
        return None;
    };
    let mut refusal = (status, words).into_response();
    refusal.headers_mut().extend(headers.clone());
    if request.version() <= Version::HTTP_11 {
        refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Some(refusal)
}

/// RFC 9112 §3.2: one `Host` and no other; HTTP/2 has `:authority` for it.
fn names_no_host(request: &Request<Body>) -> bool {
    request.version() == Version::HTTP_11 && request.headers().get_all(header::HOST).iter().count() != 1
}

/// HTTP/1.1 reads into a buffer that may hold more than it is to: what came is counted, each line with what parts it.
fn has_long_headers(request: &Request<Body>) -> bool {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let lines = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    target + lines.sum::<usize>() > MAX_HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_the_limit() {
        assert!(LONG.contains(&format!("{} KiB", MAX_HEADER_BYTES / 1024)));
    }
}
