//! A file that is written while it is sent: a page of rows is in memory at a time, however many there are.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::operations::csv::file::Head;
use crate::store;

/// A CSV file that is there already.
pub fn whole_csv(name: &str, bytes: Vec<u8>) -> Response {
    as_file(name, "text/csv; charset=utf-8", Body::from(bytes))
}

/// A CSV file, as [`file()`] makes one of its first line and the rest.
pub fn csv<S, F>(name: &str, head: Head, state: S, more: impl Fn(S) -> F + Clone + Send + 'static) -> Response
where
    S: Send + 'static,
    F: Future<Output = Result<Option<(Vec<u8>, S)>, store::Error>> + Send + 'static,
{
    file(name, "text/csv; charset=utf-8", head.into_bytes(), state, more)
}

/// A file: its head, and then whatever `more` gives for a state and the next one, until it gives nothing. A fault
/// breaks the file off, so that no reader takes it for whole.
pub fn file<S, F>(
    name: &str,
    media_type: &'static str,
    head: Vec<u8>,
    state: S,
    more: impl Fn(S) -> F + Clone + Send + 'static,
) -> Response
where
    S: Send + 'static,
    F: Future<Output = Result<Option<(Vec<u8>, S)>, store::Error>> + Send + 'static,
{
    let rows = stream::unfold(Some(state), move |state| {
        let more = more.clone();
        async move {
            let state = state?;
            match more(state).await {
                Ok(Some((bytes, next))) => Some((Ok(Bytes::from(bytes)), Some(next))),
                Ok(None) => None,
                Err(error) => {
                    tracing::error!(%error, "a file broke off: {error}");
                    Some((Err(error), None))
                }
            }
        }
    });
    let first = stream::iter([Ok(Bytes::from(head))]);
    let body = Body::from_stream(stream::StreamExt::chain(first, rows));
    as_file(name, media_type, body)
}

fn as_file(name: &str, media_type: &'static str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
