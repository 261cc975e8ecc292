//! The Provider Admin's side of U1: asking for Unified Login, and taking the request back.

use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::providers::own;
use crate::operations::unified_login::{self, Taken, check_words};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Shape, respond};

fn back(taken: Taken, done: Notice) -> Result<Response, PageError> {
    let done = match taken {
        Taken::Yes => done,
        Taken::Stale => Notice::UnifiedLoginMovedOn,
        Taken::NotFound => return Err(PageError::NotFound),
    };
    Ok(done.at(own::PATH))
}

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
    let typed = fields.take("note");
    match check_words("note", &typed) {
        Ok(words) => {
            let act = admin.act(&app, &arrival);
            back(unified_login::request(&act, admin.scope.provider_id(), words).await?, Notice::UnifiedLoginRequested)
        }
        Err(unfit) => {
            let mut page = own::page(&app, &admin).await?;
            page.note = typed;
            page.faults.judge::<()>("The note", Err(unfit));
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
    }
}

/// `POST /admin/provider/withdraw`
///
/// # Errors
/// When the database fails.
pub async fn withdraw(app: App, arrival: Arrival, admin: ProviderAdmin) -> Result<Response, PageError> {
    back(
        unified_login::withdraw(&admin.act(&app, &arrival), admin.scope.provider_id()).await?,
        Notice::RequestWithdrawn,
    )
}
