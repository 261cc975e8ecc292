//! What follows a button: back to the page that held it, or the form again.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::operations::admin_context::Switched;
use crate::web::error::PageError;
use crate::web::notice::Notice;
use crate::web::page::{Shape, respond};

/// Back to the page of one thing of a list, which says what was done.
pub(super) fn back(list: &str, id: &str, done: Notice) -> Response {
    done.at(&format!("{list}/{id}"))
}

/// Back to the page of what was switched, whoever was first.
pub(super) fn switched(list: &str, id: &str, switched: Switched, done: Notice) -> Result<Response, PageError> {
    match switched {
        Switched::Done | Switched::Already => Ok(back(list, id, done)),
        Switched::Own => Ok(back(list, id, Notice::OwnAccount)),
        Switched::Stale => Ok(back(list, id, Notice::ChangedSince)),
        Switched::NotFound | Switched::OperatorRealm | Switched::LastAdmin => Err(PageError::NotFound),
    }
}

/// The form again, which says what is wrong; whoever finds the service busy is told when to come back.
pub(super) fn form_again(status: StatusCode, page: &impl Template) -> Response {
    let mut response = respond(status, Shape::Inside, page);
    let seconds = match status {
        StatusCode::SERVICE_UNAVAILABLE => "2",
        StatusCode::TOO_MANY_REQUESTS => "5",
        _ => return response,
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    response
}
