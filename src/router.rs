//! Every route on one screen.

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use tower_http::cors::{self, CorsLayer};

use crate::app::App;
use crate::web::{assets, layers, measured, request_line};
use crate::{api, console, dashboard, handoff, login, oidc};

/// The public site.
pub fn router(app: &App) -> Router {
    let forgot_password = get(login::forgot_password::get);
    let forgot_password =
        if app.mailer.is_some() { forgot_password.post(login::forgot_password::post) } else { forgot_password };
    let routes = Router::new()
        .route("/", get(dashboard::home::get))
        .route("/activity", get(dashboard::activity::get))
        .route("/sessions", get(dashboard::sessions::get))
        .route("/sessions/end", post(dashboard::sessions::end))
        .route("/sessions/end-others", post(dashboard::sessions::end_others))
        .route("/sessions/withdraw", post(dashboard::sessions::withdraw))
        .route("/login", get(login::form::get).post(login::form::post))
        .route("/logout", post(login::logout::post))
        .route("/forgot-password", forgot_password)
        .route("/password/update", get(login::update_password::get).post(login::update_password::post))
        .route("/password/reset/{token}", get(login::reset::get).post(login::reset::post))
        .route("/password/change", get(login::change_password::get).post(login::change_password::post))
        .route("/.well-known/change-password", get(login::change_password::well_known))
        .route("/unified-login", any(handoff::receive::any))
        .route("/unified-login/complete", get(handoff::complete::get))
        .route("/unified-login/providers/{provider_code}", get(handoff::button::get))
        .route("/oauth2/authorize", get(oidc::authorize::get).post(oidc::authorize::post))
        .route("/oauth2/authorize/resume", get(oidc::authorize::resume))
        .route("/oauth2/authorize/cancel", post(oidc::authorize::cancel))
        .route("/consent", get(oidc::consent::get).post(oidc::consent::post))
        .route("/oauth2/end_session", get(oidc::end_session::get).post(oidc::end_session::post))
        .route("/oauth2/end_session/confirm", post(oidc::end_session::confirm))
        .route("/oauth2/introspect", post(oidc::introspect::post))
        .route("/assets/{file}", get(assets::get))
        .merge(for_provider_admins())
        .merge(for_therap_admins())
        .merge(for_apps_in_browsers())
        .merge(api::routes(app))
        .fallback(async || StatusCode::NOT_FOUND);
    let routes = layers::around(routes, app).merge(oidc::published::routes(app));
    let routes = routes.layer(from_fn_with_state(app.clone(), measured::measure));
    request_line::around(routes, app).with_state(app.clone())
}

/// The Provider Admin's pages.
fn for_provider_admins() -> Router<App> {
    Router::new()
        .route("/admin/users", get(console::users::list::get))
        .route("/admin/users/unlock", post(console::users::list::unlock))
        .route("/admin/users/new", get(console::users::new::get).post(console::users::new::post))
        .route(
            "/admin/users/import",
            get(console::users::import::get)
                .post(console::users::import::post)
                .layer(DefaultBodyLimit::max(layers::MAX_IMPORT)),
        )
        .route("/admin/users/import/template", get(console::users::import::template))
        .route("/admin/users/import/{id}", get(console::users::import_job::get))
        .route("/admin/users/import/{id}/report", get(console::users::import_job::file))
        .route("/admin/users/export", get(console::users::list::export))
        .route("/admin/users/{id}", get(console::users::user::get).post(console::users::user::post))
        .route("/admin/users/{id}/lock", post(console::users::acts::lock))
        .route("/admin/users/{id}/unlock", post(console::users::acts::unlock))
        .route("/admin/users/{id}/deactivate", post(console::users::acts::deactivate))
        .route("/admin/users/{id}/reactivate", post(console::users::acts::reactivate))
        .route("/admin/users/{id}/reset-password", post(console::users::acts::reset_password))
        .route("/admin/users/{id}/end-sessions", post(console::users::acts::end_sessions))
        .route("/admin/users/{id}/untie", post(console::users::acts::untie))
        .route("/admin/activity", get(console::activity::own::get))
        .route("/admin/activity/export", get(console::activity::own::export))
        .route("/admin/provider", get(console::providers::own::get).post(console::providers::own::post))
        .route("/admin/provider/request", post(console::unified_login::asking::request))
        .route("/admin/provider/withdraw", post(console::unified_login::asking::withdraw))
}

/// The Therap Admin's pages.
fn for_therap_admins() -> Router<App> {
    let issuers = Router::new()
        .route("/operator/issuers", get(console::issuers::list::get))
        .route("/operator/issuers/new", get(console::issuers::list::blank_form).post(console::issuers::list::create))
        .route("/operator/issuers/{id}", get(console::issuers::issuer::get).post(console::issuers::issuer::post))
        .route("/operator/issuers/{id}/disable", post(console::issuers::issuer::disable))
        .route("/operator/issuers/{id}/enable", post(console::issuers::issuer::enable))
        .route("/operator/issuers/{id}/end-sessions", post(console::issuers::issuer::end_sessions))
        .route("/operator/issuers/{id}/untie", post(console::issuers::issuer::untie))
        .layer(DefaultBodyLimit::max(layers::MAX_ISSUER_FORM));
    let clients = Router::new()
        .route("/operator/clients", get(console::clients::list::get))
        .route("/operator/clients/new", get(console::clients::list::blank_form).post(console::clients::list::create))
        .route("/operator/clients/{id}", get(console::clients::client::get).post(console::clients::client::post))
        .route("/operator/clients/{id}/rotate-secret", post(console::clients::client::rotate_secret))
        .route("/operator/clients/{id}/disable", post(console::clients::client::disable))
        .route("/operator/clients/{id}/enable", post(console::clients::client::enable))
        .route("/operator/clients/{id}/delete", post(console::clients::client::delete))
        .layer(DefaultBodyLimit::max(layers::MAX_CLIENT_FORM));
    Router::new()
        .route("/operator", get(console::home::get))
        .route("/operator/export", get(console::home::export))
        .route("/operator/confirm", get(console::reauth::confirm::get).post(console::reauth::confirm::post))
        .route("/operator/requests", get(console::unified_login::requests::get))
        .route("/operator/requests/{id}", post(console::unified_login::requests::decide))
        .route("/operator/providers", get(console::providers::list::get))
        .route(
            "/operator/providers/new",
            get(console::providers::list::blank_form).post(console::providers::list::create),
        )
        .route(
            "/operator/providers/{id}",
            get(console::providers::provider::get).post(console::providers::provider::post),
        )
        .route("/operator/providers/{id}/activate", post(console::providers::acts::activate))
        .route("/operator/providers/{id}/deactivate", post(console::providers::acts::deactivate))
        .route("/operator/providers/{id}/end-sessions", post(console::providers::acts::end_sessions))
        .route("/operator/providers/{id}/unlock-all", post(console::providers::acts::unlock_all))
        .route("/operator/providers/{id}/switch-off", post(console::providers::acts::switch_off))
        .route("/operator/providers/{id}/admins", post(console::providers::acts::new_admin))
        .route("/operator/providers/{id}/reset-password", post(console::providers::acts::reset_password))
        .route("/operator/activity", get(console::activity::all::get))
        .route("/operator/activity/export", get(console::activity::all::export))
        .route("/operator/deliveries", get(console::deliveries::get))
        .route("/operator/keys", get(console::keys::get))
        .route("/operator/keys/rotate", post(console::keys::rotate))
        .route("/operator/keys/rotate-at-once", post(console::keys::rotate_at_once))
        .route("/operator/keys/retire", post(console::keys::retire))
        .merge(clients)
        .merge(issuers)
}

/// What apps in browsers may ask from their own pages (the Fetch standard's CORS): nothing here acts on a cookie.
fn for_apps_in_browsers() -> Router<App> {
    let cors = CorsLayer::new()
        .allow_origin(cors::Any)
        .allow_methods([Method::GET, Method::POST])
        // Libraries that trace requests add headers of their own; the asterisk does not stand for Authorization.
        .allow_headers([HeaderName::from_static("*"), header::AUTHORIZATION])
        .expose_headers([header::WWW_AUTHENTICATE])
        .max_age(Duration::from_hours(1));
    Router::new()
        .route("/oauth2/token", post(oidc::token::post))
        .route("/oauth2/userinfo", get(oidc::userinfo::any).post(oidc::userinfo::any))
        .route("/oauth2/revoke", post(oidc::revoke::post))
        .layer(cors)
}
