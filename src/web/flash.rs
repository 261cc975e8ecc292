//! The way of a [`Notice`] from the answer to a form to the page that follows, which says it once. It travels in a
//! cookie of that page's own, sealed to the session: no address can make a page say what was not done, no other page
//! takes it, any replica reads it, and nothing is written for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cookies::Cookie;
use super::notice::Notice;
use crate::app::App;
use crate::crypto::secret::Secret;

impl Notice {
    /// On to a page of ours, which says it.
    #[must_use]
    pub fn at(self, address: &str) -> Response {
        self.left_at(address, Redirect::to(address).into_response())
    }

    /// An answer after which a page of ours says it.
    #[must_use]
    pub fn left_at(self, address: &str, mut response: Response) -> Response {
        let path = address.split_once('?').map_or(address, |(path, _)| path);
        response.extensions_mut().insert(Left { notice: self, path: path.to_owned() });
        response
    }
}

/// On an answer: what a page will say.
#[derive(Clone, Debug)]
struct Left {
    notice: Notice,
    path: String,
}

/// What the page that is asked for has to say.
#[derive(Clone, Debug)]
pub struct Told {
    notice: Option<Notice>,
    shown: Shown,
}

impl Told {
    /// What the page shows from now on: it is not left for another.
    #[must_use]
    pub fn show(self) -> Option<Notice> {
        self.shown.0.store(true, Ordering::Relaxed);
        self.notice
    }
}

/// On a request: whether its page shows what was left for it.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<AtomicBool>);

impl FromRequestParts<App> for Told {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let shown = parts.extensions.get().cloned().unwrap_or_default();
        // A page that a browser fetches in advance may never be seen: the notice waits for one that is.
        let in_advance = parts.headers.get("sec-purpose").or_else(|| parts.headers.get("purpose"));
        let in_advance = in_advance.is_some_and(|purpose| purpose.as_bytes().starts_with(b"prefetch"));
        if in_advance {
            return Ok(Self { notice: None, shown: Shown::default() });
        }
        Ok(Self { notice: read(app, &parts.headers, parts.uri.path()), shown })
    }
}

fn read(app: &App, headers: &HeaderMap, path: &str) -> Option<Notice> {
    let held = cookie_of(path).read_text(headers, &app.config)?;
    let (word, mac) = held.split_once('.')?;
    let session = Cookie::Session.read(headers, &app.config);
    if mac != seal(app, session.as_ref(), path, word) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(word).ok()?).ok()
}

/// What a request brings along that its answer may need.
#[derive(Debug, Default)]
pub struct Brought {
    session: Option<Secret>,
    /// The cookie of what this very page is to say, and whether it does: not every answer at its address shows it.
    told: Option<(Cookie, Shown)>,
}

impl Brought {
    /// Of the cookies of this request; most have none.
    #[must_use]
    pub fn with(request: &mut Request, app: &App) -> Self {
        let headers = request.headers();
        if !headers.contains_key(header::COOKIE) {
            return Self::default();
        }
        let session = Cookie::Session.read(headers, &app.config);
        let told = Some(cookie_of(request.uri().path()))
            .filter(|cookie| request.method() == Method::GET && cookie.read_text(headers, &app.config).is_some())
            .map(|cookie| (cookie, Shown::default()));
        if let Some((_, shown)) = &told {
            request.extensions_mut().insert(shown.clone());
        }
        Self { session, told }
    }

    /// Sets the cookie of what was left for a page, and clears it when the page was shown.
    pub fn carry(self, app: &App, response: &mut Response) {
        let is_shown = |shown: &Shown| shown.0.load(Ordering::Relaxed) && response.status().is_success();
        let told = self.told.filter(|(_, shown)| is_shown(shown));
        let cookie = if let Some(Left { notice, path }) = response.extensions_mut().remove() {
            // The answer may renew the session or end it.
            let session = Cookie::Session.after(self.session, response.headers(), &app.config);
            let word = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&notice).unwrap_or_default());
            let sealed = format!("{word}.{}", seal(app, session.as_ref(), &path, &word));
            cookie_of(&path).set_text(&sealed, &app.config)
        } else if let Some((told, _)) = told {
            told.clear(&app.config)
        } else {
            return;
        };
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn cookie_of(path: &str) -> Cookie {
    Cookie::Notice(path.to_owned())
}

/// Good for this page and this session alone; before a sign-in there is none.
fn seal(app: &App, session: Option<&Secret>, path: &str, word: &str) -> String {
    let session = session.map(Secret::digest).unwrap_or_default();
    app.name_key.derive("what a page says once").keyed_hash(&[&session, path, word])
}
