//! Ids in paths and fields.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::error::PageError;
use crate::app::App;

/// The id in a path, its parameter `id`. What cannot be one is as unknown as any other.
#[derive(Clone, Debug)]
pub struct Id(pub String);

/// A user's id in a path: the last one there, after a provider's.
#[derive(Clone, Debug)]
pub struct UserId(pub String);

impl FromRequestParts<App> for Id {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| PageError::NotFound)?;
        let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, text)| checked(text));
        id.map(Self).ok_or(PageError::NotFound)
    }
}

impl FromRequestParts<App> for UserId {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| PageError::NotFound)?;
        let id = params.iter().last().and_then(|(_, text)| checked(text));
        id.map(Self).ok_or(PageError::NotFound)
    }
}

/// An id as it is stored, or nothing.
#[must_use]
pub fn checked(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?.to_string();
    (id == text).then_some(id)
}
