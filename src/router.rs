//! Every route on one screen.

use axum::Router;
use axum::routing::{any, get, post};

use crate::app::App;
use crate::web::{assets, layers};
use crate::{dashboard, handoff, login};

/// The public site.
pub fn router(app: &App) -> Router {
    let routes = Router::new()
        .route("/", get(dashboard::home::get))
        .route("/activity", get(dashboard::activity::get))
        .route("/sessions", get(dashboard::sessions::get))
        .route("/sessions/end", post(dashboard::sessions::end))
        .route("/sessions/end-others", post(dashboard::sessions::end_others))
        .route("/login", get(login::form::get).post(login::form::post))
        .route("/logout", post(login::logout::post))
        .route("/forgot-password", get(login::forgot_password::get))
        .route("/password/update", get(login::update_password::get).post(login::update_password::post))
        .route("/password/change", get(login::change_password::get).post(login::change_password::post))
        .route("/.well-known/change-password", get(login::change_password::well_known))
        .route("/unified-login", any(handoff::receive::any))
        .route("/unified-login/complete", get(handoff::complete::get))
        .route("/assets/{file}", get(assets::get));
    layers::around(routes, app).with_state(app.clone())
}
