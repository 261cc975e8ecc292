//! A form's fields, read once: form-encoded, bounded, no field twice (G16).

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use zeroize::Zeroizing;

use super::error::PageError;
use crate::model::header_text;

/// The fields of a form, each taken once.
#[derive(Debug, Default)]
pub struct Fields(HashMap<String, String>);

/// Why a body is not a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAForm {
    /// Another content type.
    WrongType,
    /// A field stands twice.
    Repeated,
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is no form, or a field stands twice.
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, NotAForm> {
        if !header_text::is_of_type(headers, "application/x-www-form-urlencoded") {
            return Err(NotAForm::WrongType);
        }
        let mut fields = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(NotAForm::Repeated);
            }
        }
        Ok(Self(fields))
    }

    /// Puts a field in; `false` when it stands there already.
    pub(crate) fn put(&mut self, name: String, value: String) -> bool {
        self.0.insert(name, value).is_none()
    }

    /// Every field, sorted by name.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(String, String)> {
        let mut pairs: Vec<_> = self.0.into_iter().collect();
        pairs.sort();
        pairs
    }

    /// The fields that these pairs make; of a repeated name the last.
    #[must_use]
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// A field's value, or nothing typed.
    pub fn take(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }

    /// A field's value, or `None` when it is not there at all.
    pub fn take_if_present(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// What follows a prefix in the names of the fields that begin with it: boxes that were ticked, in order.
    pub fn take_ticked(&mut self, prefix: &str) -> Vec<String> {
        let mut ticked: Vec<_> =
            self.0.keys().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect();
        ticked.sort();
        ticked
    }

    /// A secret field's value.
    pub fn take_secret(&mut self, name: &str) -> Zeroizing<String> {
        Zeroizing::new(self.take(name))
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| PageError::BadForm("The form is too large or broke off."))?;
        Self::parse(&headers, &body).map_err(|fault| match fault {
            NotAForm::WrongType => PageError::BadForm("The form was not sent the way browsers send forms."),
            NotAForm::Repeated => PageError::BadForm("A field of the form was sent twice."),
        })
    }
}
