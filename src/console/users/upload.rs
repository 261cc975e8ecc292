//! A form that may carry a file: `multipart/form-data` as browsers send it with one, or an ordinary form.

use axum::extract::{FromRequest, Multipart, Request};

use crate::model::header_text;
use crate::web::error::PageError;
use crate::web::fields::Fields;

/// A form and its file.
#[derive(Debug, Default)]
pub struct Upload {
    /// The fields, each once.
    pub fields: Fields,
    /// What is in the file, if one was chosen and is not empty.
    pub file: Option<Vec<u8>>,
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        if !header_text::is_of_type(request.headers(), "multipart/form-data") {
            return Ok(Self { fields: Fields::from_request(request, state).await?, file: None });
        }
        let unreadable = PageError::BadForm("The form cannot be read, or the file is too large.");
        let mut parts = Multipart::from_request(request, state).await.map_err(|_| unreadable.clone())?;
        let mut upload = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|_| unreadable.clone())? {
            let (name, is_file) = (part.name().unwrap_or_default().to_owned(), part.file_name().is_some());
            let bytes = part.bytes().await.map_err(|_| unreadable.clone())?;
            if is_file {
                upload.file = Some(bytes.to_vec()).filter(|bytes| !bytes.is_empty());
            } else {
                let text = String::from_utf8(bytes.to_vec()).map_err(|_| unreadable.clone())?;
                if !upload.fields.put(name, text) {
                    return Err(PageError::BadForm("A field of the form was sent twice."));
                }
            }
        }
        Ok(upload)
    }
}
