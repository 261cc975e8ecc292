//! Our own forms are sent by our own pages: checked by `Sec-Fetch-Site`, else by `Origin`, without state (G27). A page
//! left open overnight still works.

use axum::extract::Request;
use axum::http::{HeaderMap, Method};

use super::group::Forms;

/// Whether this is a form that another site sent, where the routes take our own alone.
pub fn is_foreign(request: &Request, forms: Forms, issuer: &str) -> bool {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    !safe && forms == Forms::Ours && !is_ours(request.headers(), issuer)
}

/// Browsers say where a form comes from; what says nothing is no browser and has no cookies to abuse.
fn is_ours(headers: &HeaderMap, issuer: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    headers.get("origin").is_none_or(|origin| origin == issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_send_our_forms() {
        let ours = |pairs: &[(&'static str, &str)]| {
            let headers = pairs.iter().map(|(k, v)| ((*k).parse().unwrap(), v.parse().unwrap())).collect();
            is_ours(&headers, "https://connect.example.org")
        };
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(ours(&[("origin", "https://connect.example.org")]));
        assert!(ours(&[]));
        assert!(!ours(&[("sec-fetch-site", "cross-site"), ("origin", "https://connect.example.org")]));
        assert!(!ours(&[("sec-fetch-site", "same-site")]));
        assert!(!ours(&[("origin", "null")]));
        assert!(!ours(&[("origin", "https://evil.example")]));
    }
}
