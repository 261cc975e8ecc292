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
use crate::{admin, api, dashboard, handoff, login, oidc, operator};

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
        .route("/admin/users", get(admin::users::get))
        .route("/admin/users/unlock", post(admin::users::unlock))
        .route("/admin/users/new", get(admin::new_user::get).post(admin::new_user::post))
        .route(
            "/admin/users/import",
            get(admin::import::get).post(admin::import::post).layer(DefaultBodyLimit::max(layers::MAX_IMPORT)),
        )
        .route("/admin/users/import/template", get(admin::import::template))
        .route("/admin/users/import/{id}", get(admin::import_job::get))
        .route("/admin/users/import/{id}/report", get(admin::import_job::file))
        .route("/admin/users/export", get(admin::users::export))
        .route("/admin/users/{id}", get(admin::user::get).post(admin::user::post))
        .route("/admin/users/{id}/lock", post(admin::acts::lock))
        .route("/admin/users/{id}/unlock", post(admin::acts::unlock))
        .route("/admin/users/{id}/deactivate", post(admin::acts::deactivate))
        .route("/admin/users/{id}/reactivate", post(admin::acts::reactivate))
        .route("/admin/users/{id}/reset-password", post(admin::acts::reset_password))
        .route("/admin/users/{id}/end-sessions", post(admin::acts::end_sessions))
        .route("/admin/users/{id}/untie", post(admin::acts::untie))
        .route("/admin/activity", get(admin::activity::get))
        .route("/admin/activity/export", get(admin::activity::export))
        .route("/admin/provider", get(admin::provider::get).post(admin::provider::post))
        .route("/admin/provider/request", post(admin::unified_login::request))
        .route("/admin/provider/withdraw", post(admin::unified_login::withdraw))
}

/// The Therap Admin's pages.
fn for_therap_admins() -> Router<App> {
    let issuers = Router::new()
        .route("/operator/issuers", get(operator::issuers::get))
        .route("/operator/issuers/new", get(operator::issuers::blank_form).post(operator::issuers::create))
        .route("/operator/issuers/{id}", get(operator::issuer::get).post(operator::issuer::post))
        .route("/operator/issuers/{id}/disable", post(operator::issuer::disable))
        .route("/operator/issuers/{id}/enable", post(operator::issuer::enable))
        .route("/operator/issuers/{id}/end-sessions", post(operator::issuer::end_sessions))
        .route("/operator/issuers/{id}/untie", post(operator::issuer::untie))
        .layer(DefaultBodyLimit::max(layers::MAX_ISSUER_FORM));
    let clients = Router::new()
        .route("/operator/clients", get(operator::clients::get))
        .route("/operator/clients/new", get(operator::clients::blank_form).post(operator::clients::create))
        .route("/operator/clients/{id}", get(operator::client::get).post(operator::client::post))
        .route("/operator/clients/{id}/rotate-secret", post(operator::client::rotate_secret))
        .route("/operator/clients/{id}/disable", post(operator::client::disable))
        .route("/operator/clients/{id}/enable", post(operator::client::enable))
        .route("/operator/clients/{id}/delete", post(operator::client::delete))
        .layer(DefaultBodyLimit::max(layers::MAX_CLIENT_FORM));
    Router::new()
        .route("/operator", get(operator::home::get))
        .route("/operator/export", get(operator::home::export))
        .route("/operator/confirm", get(operator::confirm::get).post(operator::confirm::post))
        .route("/operator/requests", get(operator::requests::get))
        .route("/operator/requests/{id}", post(operator::requests::decide))
        .route("/operator/providers", get(operator::providers::get))
        .route("/operator/providers/new", get(operator::providers::blank_form).post(operator::providers::create))
        .route("/operator/providers/{id}", get(operator::provider::get).post(operator::provider::post))
        .route("/operator/providers/{id}/activate", post(operator::provider_acts::activate))
        .route("/operator/providers/{id}/deactivate", post(operator::provider_acts::deactivate))
        .route("/operator/providers/{id}/end-sessions", post(operator::provider_acts::end_sessions))
        .route("/operator/providers/{id}/unlock-all", post(operator::provider_acts::unlock_all))
        .route("/operator/providers/{id}/switch-off", post(operator::provider_acts::switch_off))
        .route("/operator/providers/{id}/admins", post(operator::provider_acts::new_admin))
        .route("/operator/providers/{id}/reset-password", post(operator::provider_acts::reset_password))
        .route("/operator/activity", get(operator::activity::get))
        .route("/operator/activity/export", get(operator::activity::export))
        .route("/operator/deliveries", get(operator::deliveries::get))
        .route("/operator/keys", get(operator::keys::get))
        .route("/operator/keys/rotate", post(operator::keys::rotate))
        .route("/operator/keys/rotate-at-once", post(operator::keys::rotate_at_once))
        .route("/operator/keys/retire", post(operator::keys::retire))
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
