//! What a request still sends when its answer is known: it is taken in before the answer leaves.
//!
//! HTTP/1.1 cannot stop a sender. Whoever still writes into a connection that was closed sees it break, and may never
//! read the answer, however clear it is (RFC 9112 §9.6). A refusal for want of a token or for a body's size is such an
//! answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::web::body::is_given_up;

/// As much is taken in; whoever sends more may see the connection break.
const MOST: u64 = 2 * 1024 * 1024;
/// For so long; who sends nothing more is answered then.
const PATIENCE: Duration = Duration::from_secs(2);

/// A body that can be read on after its reader has dropped it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn with<T>(&self, read: impl FnOnce(Pin<&mut Body>) -> T) -> T {
        read(Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| body.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// Answers a request, and takes in what of its body was not read.
///
/// # Errors
/// As `answer` fails.
pub(super) async fn drain_body<F, E>(request: Request, answer: impl FnOnce(Request) -> F) -> Result<Response, E>
where
    F: Future<Output = Result<Response, E>>,
{
    if request.body().is_end_stream() {
        return answer(request).await;
    }
    let (head, body) = request.into_parts();
    let version = head.version;
    let body = Shared(Arc::new(Mutex::new(body)));
    let mut answered = answer(Request::from_parts(head, Body::new(body.clone()))).await?;
    if is_given_up(&answered) {
        if version <= Version::HTTP_11 {
            answered.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        return Ok(answered);
    }
    // Whatever happens to it, the answer stands.
    let _ = tokio::time::timeout(PATIENCE, drain(body)).await;
    Ok(answered)
}

async fn drain(mut body: Shared) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}
