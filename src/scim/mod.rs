//! SCIM 2.0 (RFC 7643, RFC 7644) at `/scim/v2`: an agency's directory, such as Entra ID or Okta, keeps the agency's users as
//! it has them itself.
//!
//! A request is bound to one provider by its token (`caller`). A body is read as one or more operations over a user's
//! attributes (`patch`, by the table in `schema`), the attributes after it are what is wanted of the user (`resource`), and
//! [`crate::operations::users::provision`] does it. `list` finds users by a `filter`.

mod bulk;
mod caller;
mod discovery;
pub mod error;
mod extract;
mod filter;
mod list;
mod patch;
mod resource;
mod schema;
mod shown;
mod users;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// The largest bulk request, in bytes.
pub const MOST_BULK_BYTES: usize = bulk::MOST_BYTES;

/// Everything but bulk requests.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/scim/v2/Users", get(users::list).post(users::post))
        .route("/scim/v2/Users/.search", post(users::search))
        .route("/scim/v2/Users/{id}", get(users::get).put(users::put).patch(users::patch).delete(users::delete))
        .route("/scim/v2/.search", post(users::search))
        .route("/scim/v2/ServiceProviderConfig", get(discovery::config))
        .route("/scim/v2/ResourceTypes", get(discovery::resource_types))
        .route("/scim/v2/ResourceTypes/{name}", get(discovery::resource_type))
        .route("/scim/v2/Schemas", get(discovery::schemas))
        .route("/scim/v2/Schemas/{id}", get(discovery::schema))
}

/// Bulk requests.
pub fn bulk_routes() -> Router<App> {
    Router::new().route("/scim/v2/Bulk", post(bulk::post))
}
