//! `Idempotency-Key` on what creates: a program whose connection broke sends the same request again under the same key
//! and gets the answer of the first time, status, headers and all, for 24 hours.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::caller::Caller;
use super::etag::etag;
use super::problem::{Kind, Problem};
use crate::app::App;
use crate::crypto::seal;
use crate::crypto::secret::digest;
use crate::model::header_text;
use crate::model::validation_error::ValidationError;
use crate::operations::idempotent_create::{CreateOutcome, Creation, create};
use crate::store::idempotency::Keyed;

/// The key of a request, if it has one.
#[derive(Debug)]
pub struct IdempotencyKey(Option<String>);

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let text = header_text::ascii(value).unwrap_or_default();
        let good = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !good || values.next().is_some() {
            let detail = "Idempotency-Key must be 1 to 255 visible ASCII characters, once.";
            return Err(Problem::new(Kind::Malformed, detail));
        }
        Ok(Self(Some(text.to_owned())))
    }
}

/// What is created, and how it is answered.
#[derive(Debug)]
pub struct New {
    /// The thing.
    pub creation: Creation,
    /// Where it can be read from now on, below the issuer.
    pub location: String,
    /// What the answer shows.
    pub body: Value,
    /// The revision that is shown.
    pub revision: i64,
    /// Which member is in the way when there is one of the same name already.
    pub name: &'static str,
}

/// An answer as it is kept for a repeat.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    location: String,
    body: Value,
    revision: i64,
}

impl IdempotencyKey {
    /// Creates it, once.
    ///
    /// # Errors
    /// 409 when there is one of the same name, or the key belongs to another request.
    pub async fn create(&self, app: &App, caller: &Caller, request: &[u8], new: New) -> Result<Response, Problem> {
        let New { creation, location, body, revision, name } = new;
        let kept = Kept { location, body, revision };
        let keyed = self.0.as_ref().map(|key| seal_under(app, caller, key, request, &kept)).transpose()?;
        let kept = match create(&caller.act(app), &creation, keyed.as_ref()).await? {
            CreateOutcome::Yes => kept,
            CreateOutcome::Before(sealed) => {
                let opened = keyed.and_then(|keyed| seal::open(&app.keys, &purpose(&keyed.key_hash), &sealed));
                let kept = opened.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                kept.ok_or_else(|| {
                    Problem::new(Kind::Conflict, "It was created before; its answer is not kept any more.")
                })?
            }
            CreateOutcome::NameTaken => {
                let detail = format!("There is one of this {name} already. Nothing was created.");
                return Err(Problem::new(Kind::Conflict, detail));
            }
            CreateOutcome::ExternalIdTaken => return Err(external_id_taken()),
            CreateOutcome::WrongType => return Err(ValidationError::new("user_type", "cannot be had here").into()),
            CreateOutcome::NotMailed(why) => return Err(why.into()),
            CreateOutcome::KeyTaken => {
                let detail = "This Idempotency-Key was used for another request. Nothing was created.";
                return Err(Problem::new(Kind::Conflict, detail));
            }
        };
        Ok(answer(app, kept))
    }
}

/// Another user of the provider has the external id.
pub(super) fn external_id_taken() -> Problem {
    Problem::new(Kind::Conflict, "Another user of this provider has this external_id. Nothing was done.")
}

fn answer(app: &App, kept: Kept) -> Response {
    let mut response = (StatusCode::CREATED, Json(kept.body)).into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("{}{}", app.config.issuer, kept.location)) {
        headers.insert(header::LOCATION, value);
    }
    if let Ok(value) = HeaderValue::from_str(&etag(kept.revision)) {
        headers.insert(header::ETAG, value);
    }
    response
}

fn purpose(key_hash: &str) -> String {
    format!("answer under {key_hash}")
}

/// A request may hold a password that somebody chose: its hash is keyed.
fn seal_under(app: &App, caller: &Caller, key: &str, request: &[u8], kept: &Kept) -> Result<Keyed, Problem> {
    let key_hash = digest(key);
    let kept_text = serde_json::to_vec(kept).map_err(Problem::unavailable)?;
    let sealed_answer = seal::seal(&app.keys, &purpose(&key_hash), &kept_text).map_err(Problem::unavailable)?;
    let hashing = app.keys.oldest().derive("requests under a key");
    let request_hash = hashing.keyed_hash(&[kept.location_kind(), &String::from_utf8_lossy(request)]);
    Ok(Keyed { client: caller.client.clone(), key_hash, request_hash, sealed_answer })
}

impl Kept {
    /// What kind of thing it is, and of whom: the location without the last part.
    fn location_kind(&self) -> &str {
        self.location.rsplit_once('/').map_or("", |(above, _)| above)
    }
}
