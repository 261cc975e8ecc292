//! `/admin/activity`: the record of the provider, filtered, newest first; and the same as a file (A2).

use axum::response::Response;

use super::page::{self, Place};
use super::records::ActivityFilter;
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::operations::activity::browse::Reach;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::layers::Arrival;

fn place(admin: &ProviderAdmin) -> Place {
    Place {
        title: "User Activity",
        path: "/admin/activity",
        reach: Reach::Own(admin.scope.clone()),
        zone: admin.session.time_zone.clone(),
    }
}

/// `GET /admin/activity`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    query: ActivityFilter,
) -> Result<Response, PageError> {
    page::page(&app, &arrival, &admin.session, place(&admin), query, FieldErrors::default()).await
}

/// `GET /admin/activity/export`: exactly what the filter of the page shows, all of it.
///
/// # Errors
/// When the filter makes no sense, or the database cannot be asked.
pub async fn export(app: App, admin: ProviderAdmin, query: ActivityFilter) -> Result<Response, PageError> {
    let name = format!("activity-{}.csv", admin.session.provider_code);
    page::file(&app, &name, place(&admin), &query, FieldErrors::default()).await
}
