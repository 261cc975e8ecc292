//! `/operator/activity`: the record across providers, filtered, newest first; and the same as a file.

use axum::response::Response;

use super::page::{self, Place};
use super::records::ActivityFilter;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::operations::activity::browse::Reach;
use crate::store;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::layers::Arrival;

/// One provider, if its code is given, in its time zone; else all, in the operator's.
async fn place(
    app: &App,
    admin: &TherapAdmin,
    query: &ActivityFilter,
    faults: &mut FieldErrors,
) -> Result<Place, PageError> {
    let provider = match query.provider.as_str() {
        "" => None,
        code => {
            let code: String = code.chars().filter(|c| !c.is_control()).collect();
            let found = store::providers::by_code(&mut app.db.read_much().await?, &code).await?;
            if found.is_none() {
                faults.add("provider", "There is no provider of this code. Capital and small letters matter.");
            }
            found
        }
    };
    let (provider_id, zone) = match provider {
        Some(provider) => (Some(provider.id), provider.time_zone),
        None => (None, admin.session.time_zone.clone()),
    };
    Ok(Place { title: "Activity", path: "/operator/activity", reach: Reach::Operator(provider_id), zone })
}

/// `GET /operator/activity`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, admin: TherapAdmin, query: ActivityFilter) -> Result<Response, PageError> {
    let mut faults = FieldErrors::default();
    let place = place(&app, &admin, &query, &mut faults).await?;
    page::page(&app, &arrival, &admin.session, place, query, faults).await
}

/// `GET /operator/activity/export`: exactly what the filter of the page shows, all of it.
///
/// # Errors
/// When the filter makes no sense, or the database cannot be asked.
pub async fn export(app: App, admin: TherapAdmin, query: ActivityFilter) -> Result<Response, PageError> {
    let mut faults = FieldErrors::default();
    let place = place(&app, &admin, &query, &mut faults).await?;
    page::file(&app, "activity.csv", place, &query, faults).await
}
