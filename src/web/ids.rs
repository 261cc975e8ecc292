//! Ids in paths and fields.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::PageError;
use crate::app::App;

/// The id in a path. What cannot be one is as unknown as any other.
#[derive(Clone, Debug)]
pub struct Id(pub String);

impl FromRequestParts<App> for Id {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| PageError::NotFound)?;
        checked(&text).map(Self).ok_or(PageError::NotFound)
    }
}

/// An id as it is stored, or nothing.
#[must_use]
pub fn checked(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?.to_string();
    (id == text).then_some(id)
}
