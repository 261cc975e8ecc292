//! The admin API for programs (`/api/v1`): what the admins' pages do, as JSON. A program proves itself with a bearer
//! token of the client credentials grant; what it may do, and in which provider, its scopes say (`caller`).
//!
//! Each handler stands under the description of its endpoint, and the OpenAPI document (`document`) is made of these
//! descriptions and of the types that are read and written: it cannot say anything else than what is there.

mod activity;
mod caller;
mod clients;
mod document;
mod etag;
mod examples;
mod extract;
mod idempotency;
mod issuers;
mod keys;
pub mod problem;
mod providers;
mod reference;
mod schemas;
mod service;
mod sessions;
mod unified_login;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::web::unchanging::Unchanging;

/// Everything below `/api/v1`, by what is sent there.
#[derive(Debug)]
pub struct Endpoints {
    /// What reads little, or nothing at all; the document that describes everything among it.
    pub small: Router<App>,
    /// What takes clients and trusted issuers, with their keys.
    pub with_keys: Router<App>,
    /// What takes files of users.
    pub of_files: Router<App>,
}

impl Endpoints {
    /// All of them.
    pub fn of(app: &App) -> Self {
        let (small, mut described) = small().split_for_parts();
        let (with_keys, more) = with_keys().split_for_parts();
        described.merge(more);
        let (of_files, more) = of_files().split_for_parts();
        described.merge(more);
        let document = document::complete(described, app);
        let json = Arc::new(Unchanging::new(document.to_string()));
        let reference = Arc::new(reference::Reference::of(&document));
        let small = small
            .route(
                "/api/v1",
                get(async move |app: App, asked: HeaderMap| reference::page(&app, &reference, &asked).await),
            )
            .route("/api/v1/openapi.json", get(async move |asked: HeaderMap| document::answer(&json, &asked).await));
        Self { small, with_keys, of_files }
    }
}

fn with_keys() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(clients::list, clients::create))
        .routes(routes!(clients::show, clients::edit, clients::actions::delete))
        .routes(routes!(issuers::list, issuers::create))
        .routes(routes!(issuers::show, issuers::edit))
}

fn of_files() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(users::import::list, users::import::import))
}

fn small() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(providers::list, providers::create))
        .routes(routes!(providers::show, providers::edit))
        .routes(routes!(providers::activate))
        .routes(routes!(providers::deactivate))
        .routes(routes!(providers::end_sessions))
        .routes(routes!(providers::unlock_all))
        .routes(routes!(unified_login::show))
        .routes(routes!(unified_login::request))
        .routes(routes!(unified_login::withdraw))
        .routes(routes!(unified_login::approve))
        .routes(routes!(unified_login::decline))
        .routes(routes!(unified_login::switch_off))
        .routes(routes!(unified_login::waiting))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::edit))
        .routes(routes!(users::actions::lock))
        .routes(routes!(users::actions::unlock))
        .routes(routes!(users::actions::deactivate))
        .routes(routes!(users::actions::reactivate))
        .routes(routes!(users::actions::reset_password))
        .routes(routes!(users::actions::untie))
        .routes(routes!(users::actions::send_verification_email))
        .routes(routes!(users::actions::send_invitation))
        .routes(routes!(users::actions::verify_email))
        .routes(routes!(sessions::list, sessions::end_all))
        .routes(routes!(sessions::end))
        .routes(routes!(activity::of_provider))
        .routes(routes!(activity::of_all))
        .routes(routes!(clients::actions::rotate_secret))
        .routes(routes!(clients::actions::disable))
        .routes(routes!(clients::actions::enable))
        .routes(routes!(issuers::disable))
        .routes(routes!(issuers::enable))
        .routes(routes!(issuers::end_sessions))
        .routes(routes!(issuers::untie))
        .routes(routes!(keys::list))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::retire))
        .routes(routes!(service::statistics))
        .routes(routes!(service::deliveries))
}
