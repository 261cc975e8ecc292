//! A form that was sent after its session's time was over. It comes back filled after the sign-in, to the same user
//! alone, once. Until then it is kept sealed in a cookie of the browser: nothing is written for it, and any replica reads
//! it. What is secret is never kept, nor a file.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use hyper::body::Body as _;
use serde::{Deserialize, Serialize};

use super::cookies::Cookie;
use super::fields::Fields;
use super::form_paths::is_filled_again;
use super::group::Forms;
use super::notice::{Notice, TimeUp, Typed};
use crate::app::App;
use crate::crypto::seal;
use crate::model::session::Session;
use crate::time::Timestamp;

/// A form is given back for so long.
pub const KEPT_FOR: Duration = Duration::from_mins(15);
/// The sealed form: browsers keep 4096 bytes of a cookie, its name included.
pub const MAX_SEALED: usize = 4000;

/// A longer form is not even looked at.
const MAX_FORM: usize = 16 * 1024;

/// What a form carries beside what people type.
const CARRIED: [&str; 4] = ["decision", "revision", "seen", "step"];

/// On an answer that leads to the login page: a session's time is over.
#[derive(Clone, Debug)]
pub struct Over {
    user_id: String,
    time_up: TimeUp,
}

impl Over {
    /// Of a session that nobody ended; `None` while it lives.
    #[must_use]
    pub fn of(session: Session, now: Timestamp) -> Option<Self> {
        let whole = |millis: i64, unit: i64| u32::try_from(millis / unit).unwrap_or_default();
        let used_at = session.used_at.unwrap_or(session.created_at);
        let time_up = if session.idle_until <= now.0 && session.idle_until < session.expires_at {
            TimeUp::Idle(whole(session.idle_until - used_at, 60_000))
        } else if session.expires_at <= now.0 {
            TimeUp::Age(whole(session.expires_at - session.created_at, 3_600_000))
        } else {
            return None;
        };
        Some(Self { user_id: session.user_id, time_up })
    }
}

/// As it is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    until: i64,
    path: String,
    fields: Vec<(String, String)>,
}

/// The form that a page may fill again.
#[derive(Debug)]
pub struct KeptForm {
    app: App,
    sealed: Option<String>,
    taken: Taken,
}

/// On a request: whether its page shows the form.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<AtomicBool>);

impl FromRequestParts<App> for KeptForm {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let taken: Option<Taken> = parts.extensions.get().cloned();
        let sealed = taken.as_ref().and_then(|_| Cookie::Form.read_text(&parts.headers, &app.config));
        Ok(Self { app: app.clone(), sealed: sealed.map(str::to_owned), taken: taken.unwrap_or_default() })
    }
}

impl KeptForm {
    /// What this user sent to this path; the page shows it, and it is kept no longer.
    #[must_use]
    pub fn sent_to(&self, session: &Session, path: &str) -> Option<Fields> {
        let bytes = seal::open(&self.app.keys, &purpose(&session.user_id), self.sealed.as_deref()?)?;
        let kept: Kept = serde_json::from_slice(&bytes).ok()?;
        if kept.path != path || kept.until <= self.app.clock.now().0 {
            return None;
        }
        self.taken.0.store(true, Ordering::Relaxed);
        Some(Fields::from_pairs(kept.fields))
    }
}

/// What a request brings along that its answer may need.
#[derive(Debug, Default)]
pub struct Brought {
    /// The form that is sent, and where.
    sent: Option<(HeaderMap, Option<Bytes>, String)>,
    /// Whether the page shows a form that was kept.
    taken: Option<Taken>,
}

impl Brought {
    /// Of a request whose body is there.
    pub async fn with(mut request: Request, app: &App, forms: Forms) -> (Request, Self) {
        let headers = request.headers();
        let has = |cookie: Cookie| cookie.read_text(headers, &app.config).is_some();
        // A page that a browser fetches in advance may never be seen.
        let is_seen = !headers.contains_key("sec-purpose") && !headers.contains_key("purpose");
        if request.method() == Method::GET && is_seen && has(Cookie::Form) {
            let taken = Taken::default();
            request.extensions_mut().insert(taken.clone());
            return (request, Self { sent: None, taken: Some(taken) });
        }
        let is_kept = request.method() == Method::POST
            && forms == Forms::Ours
            && has(Cookie::Session)
            && is_filled_again(request.uri().path());
        if !is_kept {
            return (request, Self::default());
        }
        let (parts, body) = request.into_parts();
        let (body, bytes) = read(body).await;
        let sent = (parts.headers.clone(), bytes, parts.uri.path().to_owned());
        (Request::from_parts(parts, body), Self { sent: Some(sent), taken: None })
    }

    /// Keeps the form where its session was over, and lets the login page say so; clears what a page has shown.
    pub fn carry(self, app: &App, mut response: Response) -> Response {
        if let Some(Over { user_id, time_up }) = response.extensions_mut().remove() {
            let (typed, cookie) = self.sent.map_or((Typed::Nothing, None), |sent| keep(app, &user_id, sent));
            if let Some(sealed) = cookie {
                response.headers_mut().append(header::SET_COOKIE, Cookie::Form.set_text(&sealed, &app.config));
            }
            return Notice::SessionOver(time_up, typed).left_at("/login", response);
        }
        let is_taken = self.taken.is_some_and(|taken| taken.0.load(Ordering::Relaxed));
        if is_taken && response.status().is_success() {
            response.headers_mut().append(header::SET_COOKIE, Cookie::Form.clear(&app.config));
        }
        response
    }
}

/// A body, and its bytes where it is small and whole.
async fn read(body: Body) -> (Body, Option<Bytes>) {
    let is_small = body.size_hint().upper().is_some_and(|length| length <= MAX_FORM as u64);
    if !is_small {
        return (body, None);
    }
    match to_bytes(body, MAX_FORM).await {
        Ok(bytes) => (Body::from(bytes.clone()), Some(bytes)),
        // It broke off: so it does for its reader.
        Err(error) => (Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(error)])), None),
    }
}

fn keep(
    app: &App,
    user_id: &str,
    (headers, bytes, path): (HeaderMap, Option<Bytes>, String),
) -> (Typed, Option<String>) {
    let Some(bytes) = bytes else {
        return (Typed::TooLong, None);
    };
    let Ok(fields) = Fields::parse(&headers, &bytes) else {
        return (Typed::Nothing, None);
    };
    let mut fields = fields.into_pairs();
    fields.retain(|(name, value)| !value.is_empty() && !is_secret(name));
    if fields.iter().all(|(name, _)| CARRIED.contains(&name.as_str())) {
        return (Typed::Nothing, None);
    }
    let kept = Kept { until: app.clock.now().after(KEPT_FOR).0, path, fields };
    let bytes = serde_json::to_vec(&kept).unwrap_or_default();
    match seal::seal(&app.keys, &purpose(user_id), &bytes) {
        Ok(sealed) if sealed.len() <= MAX_SEALED => (Typed::Kept, Some(sealed)),
        Ok(_) => (Typed::TooLong, None),
        Err(error) => {
            tracing::error!(%error, "a form could not be kept");
            (Typed::Nothing, None)
        }
    }
}

fn is_secret(name: &str) -> bool {
    name.contains("password") || name.contains("secret")
}

/// Nobody else's session opens it.
fn purpose(user_id: &str) -> String {
    format!("a form of {user_id}")
}
