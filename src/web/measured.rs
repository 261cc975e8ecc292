//! How long each request took, and how many are not answered yet: around everything but the line in the log.

use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::metrics::labels::Route;

/// Counts one request when it is answered, or when nobody waits for the answer any more.
pub async fn measured(app: &App, route: Route, answer: impl Future<Output = Response>) -> Response {
    let measured = app.metrics.request(route);
    let response = answer.await;
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => app.metrics.busy(),
        StatusCode::TOO_MANY_REQUESTS => app.metrics.throttled(),
        _ => {}
    }
    measured.answered(response.status().as_u16());
    response
}
