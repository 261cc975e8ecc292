//! Style, script and pictures: embedded in the binary, named by their content, cached for ever, and sent compressed.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::unchanging::Unchanging;
use crate::crypto::secret::digest;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    body: Unchanging,
    fingerprinted: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |name: &'static str, media_type, bytes: &'static [u8]| {
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let fingerprint: String = digest(bytes).chars().take(16).collect();
        let body = Unchanging::new(bytes);
        Asset { name, media_type, body, fingerprinted: format!("{stem}.{fingerprint}.{ending}") }
    };
    vec![
        asset("pico.min.css", "text/css; charset=utf-8", include_bytes!("../../templates/assets/pico.min.css")),
        asset("app.css", "text/css; charset=utf-8", include_bytes!("../../templates/assets/app.css")),
        asset("app.js", "text/javascript; charset=utf-8", include_bytes!("../../templates/assets/app.js")),
        asset("onwards.js", "text/javascript; charset=utf-8", include_bytes!("../../templates/assets/onwards.js")),
        asset("favicon.svg", "image/svg+xml", include_bytes!("../../templates/assets/favicon.svg")),
        asset("logo.svg", "image/svg+xml", include_bytes!("../../templates/assets/logo.svg")),
    ]
});

/// What browsers and crawlers ask for by a name of their own.
static BY_NAME: LazyLock<[(&str, &str, Unchanging); 2]> = LazyLock::new(|| {
    [
        ("favicon.ico", "image/x-icon", Unchanging::new(&include_bytes!("../../templates/assets/favicon.ico")[..])),
        ("robots.txt", "text/plain; charset=utf-8", Unchanging::new(ROBOTS)),
    ]
});

/// A sign-in page is nothing to look for by its words.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The URL of an asset, with its fingerprint.
#[must_use]
pub fn url(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    format!("/assets/{}", found.map_or(name, |asset| &asset.fingerprinted))
}

/// `GET /assets/{file}`
pub async fn get(Path(file): Path<String>, asked: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.fingerprinted == file) {
        Some(asset) => {
            let cache = "public, max-age=31536000, immutable";
            let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, cache)];
            asset.body.answer(&asked, headers.map(|(name, value)| (name, HeaderValue::from_static(value)))).await
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `GET /favicon.ico`: for whoever does not read the page's own link.
pub async fn favicon(asked: HeaderMap) -> Response {
    by_name("favicon.ico", &asked).await
}

/// `GET /robots.txt` (RFC 9309)
pub async fn robots(asked: HeaderMap) -> Response {
    by_name("robots.txt", &asked).await
}

async fn by_name(name: &str, asked: &HeaderMap) -> Response {
    let Some((_, media_type, body)) = BY_NAME.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "public, max-age=86400")];
    body.answer(asked, headers.map(|(name, value)| (name, HeaderValue::from_static(value)))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_a_template_names_is_there() {
        for name in ["pico.min.css", "app.css", "app.js", "onwards.js", "favicon.svg", "logo.svg"] {
            assert_ne!(url(name), format!("/assets/{name}"));
        }
    }
}
