//! The Provider Admin's side of U1: asking for Unified Login, and taking the request back.

use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::providers::own;
use crate::operations::unified_login::{self, Transition};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Shape, respond};

/// `POST /admin/provider/request`
///
/// # Errors
/// When the database fails.
pub async fn request(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let note = fields.take("note");
    let taken = unified_login::request(&admin.act(&app, &arrival), admin.scope.provider_id(), &note).await?;
    answer(&app, &admin, taken, Notice::UnifiedLoginRequested, note).await
}

/// `POST /admin/provider/withdraw`
///
/// # Errors
/// When the database fails.
pub async fn withdraw(app: App, arrival: Arrival, admin: ProviderAdmin) -> Result<Response, PageError> {
    let taken = unified_login::withdraw(&admin.act(&app, &arrival), admin.scope.provider_id()).await?;
    answer(&app, &admin, taken, Notice::RequestWithdrawn, String::new()).await
}

async fn answer(
    app: &App,
    admin: &ProviderAdmin,
    taken: Transition,
    done: Notice,
    note: String,
) -> Result<Response, PageError> {
    match taken {
        Transition::Yes => Ok(done.at(own::PATH)),
        Transition::Stale => Ok(Notice::UnifiedLoginMovedOn.at(own::PATH)),
        Transition::NotFound => Err(PageError::NotFound),
        Transition::Invalid(invalid) => {
            let mut page = own::page(app, admin).await?;
            page.note = note;
            page.faults.check::<()>("The note", Err(invalid));
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
    }
}
