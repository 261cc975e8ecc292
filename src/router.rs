//! Every route on one screen, in groups that say whom they answer and how much body and time a request may take.

use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, any, get, post};
use tower_http::cors::{self, CorsLayer};

use crate::api::problem::{self, Problem};
use crate::app::App;
use crate::console::admins::{AgencyVisitor, ProviderAdmin};
use crate::console::clients::confirm::OfClient;
use crate::console::confirm::{self, Confirmation};
use crate::console::issuers::confirm::OfIssuer;
use crate::console::keys::OfKeys;
use crate::console::providers::confirm::{OfProvider, ResetOfAdmin};
use crate::console::unified_login::approve::Approval;
use crate::console::users::confirm::OfUser;
use crate::console::users::selected::OfSelected;
use crate::metrics::labels::Route;
use crate::scim::error::ScimError;
use crate::web::assets;
use crate::web::error::{self, PageError};
use crate::web::group::{Audience, Forms, Group, Logged, Time};
use crate::web::layers::MAX_BODY;
use crate::web::oauth_error::{self, OAuthError};
use crate::web::security_txt;
use crate::web::shares::Use;
use crate::web::site::{Routes, Site, Unknown};
use crate::{api, console, dashboard, handoff, help, login, oidc, scim};

/// People: a page says what is wrong.
const PERSON: Audience =
    Audience { render: error::render, too_often: |seconds| PageError::TooOften(seconds).into_response() };
/// An app's back channel: an error as RFC 6749 has it.
const BACK_CHANNEL: Audience =
    Audience { render: oauth_error::render, too_often: |seconds| OAuthError::too_often(seconds).into_response() };
/// Programs that use the API: a problem as RFC 9457 has it.
const PROGRAM: Audience =
    Audience { render: problem::render, too_often: |seconds| Problem::throttled(seconds).into_response() };

/// Directories: an Error message as RFC 7644 has it.
const DIRECTORY: Audience =
    Audience { render: scim::error::render, too_often: |seconds| ScimError::throttled(seconds).into_response() };

/// How long any request may take, and its body before that.
const TIME: Time = Time::Each(Duration::from_secs(15));
/// A file of users is hashed one by one.
const TIME_OF_A_FILE: Time = Time::Each(Duration::from_mins(1));
/// The form with a file of users.
const MAX_FILE: usize = 512 * 1024;
/// A trusted issuer's form holds its keys.
const MAX_ISSUER_FORM: usize = 256 * 1024;
/// A directory sends of a person whatever it knows, also what nobody keeps here.
const MAX_RESOURCE: usize = 64 * 1024;
/// A client's form holds its keys and up to a hundred addresses of 2 KiB, each byte percent-encoded at worst.
const MAX_CLIENT_FORM: usize = 512 * 1024;

/// Pages.
const fn pages(counted: Route) -> Group {
    let (audience, forms, places, logged) = (PERSON, Forms::Ours, Use::Ordinary, Logged::Always);
    Group { audience, forms, body: MAX_BODY, time: TIME, places, counted, logged }
}

/// What apps' servers ask.
const fn back_channel(counted: Route) -> Group {
    Group { audience: BACK_CHANNEL, forms: Forms::Anybodys, ..pages(counted) }
}

const LOGIN: Group = pages(Route::Login);
const DASHBOARD: Group = pages(Route::Dashboard);
const AUTHORIZE: Group = pages(Route::Authorize);
/// Where apps send people with their requests.
const FROM_APPS: Group = Group { forms: Forms::Anybodys, ..AUTHORIZE };
const HANDOFF: Group = Group {
    forms: Forms::Anybodys,
    time: Time::Handoff(Duration::from_secs(35)),
    places: Use::Urgent,
    ..pages(Route::Handoff)
};
const ASSETS: Group = Group { logged: Logged::AsAssets, ..pages(Route::Assets) };
/// The handbooks, which are nobody's own.
const HELP: Group = pages(Route::Other);
/// Where senders are built.
const WORKBENCH: Group = pages(Route::Handoff);
const PROVIDER_ADMIN: Group = pages(Route::Admin);
const FILE_OF_USERS: Group = Group { body: MAX_FILE, time: TIME_OF_A_FILE, ..PROVIDER_ADMIN };
const THERAP_ADMIN: Group = pages(Route::Operator);
const ISSUERS: Group = Group { body: MAX_ISSUER_FORM, ..THERAP_ADMIN };
const CLIENTS: Group = Group { body: MAX_CLIENT_FORM, ..THERAP_ADMIN };
const BUTTON: Group = back_channel(Route::Handoff);
const TOKEN: Group = Group { places: Use::Urgent, ..back_channel(Route::Token) };
const OAUTH: Group = back_channel(Route::Oauth);
const DISCOVERY: Group = back_channel(Route::Discovery);
const API: Group = Group { audience: PROGRAM, ..back_channel(Route::Api) };
const API_WITH_KEYS: Group = Group { body: MAX_CLIENT_FORM, ..API };
const API_OF_FILES: Group = Group { body: MAX_FILE, time: TIME_OF_A_FILE, ..API };
const SCIM: Group = Group { audience: DIRECTORY, body: MAX_RESOURCE, ..API };
const SCIM_BULK: Group = Group { body: scim::MOST_BULK_BYTES, time: TIME_OF_A_FILE, ..SCIM };

/// Who answers at an address that no route has: whoever answers at those that begin alike.
const UNKNOWN: Unknown = Unknown {
    below: &[
        ("/api/", API),
        ("/scim/", SCIM),
        ("/unified-login/providers/", BUTTON),
        ("/unified-login", Group { forms: Forms::Ours, ..HANDOFF }),
        ("/.well-known/openid-configuration", DISCOVERY),
        ("/.well-known/oauth-authorization-server", DISCOVERY),
    ],
    otherwise: pages(Route::Other),
};

/// The public site.
pub fn router(app: &App) -> Site {
    let api::Endpoints { small, with_keys, of_files } = api::Endpoints::of(app);
    Site::new(app, UNKNOWN)
        .with(for_everybody(app))
        .with(for_people_signed_in())
        .with(for_handoffs())
        .with(Routes::of(BUTTON).route("/unified-login/providers/{provider_code}", get(handoff::button::get)))
        .with(for_people_from_apps())
        .with(for_people_on_their_way_to_apps())
        .with(Routes::of(TOKEN).route("/oauth2/token", post(oidc::token::post).layer(from_any_page())))
        .with(for_apps())
        .with_unguarded(Routes::of(DISCOVERY).merge(oidc::published::routes(app)))
        .with(for_provider_admins())
        .with(for_files_of_users())
        .with(for_therap_admins())
        .with(for_issuers())
        .with(for_clients())
        .with(Routes::of(API).merge(small))
        .with(Routes::of(API_WITH_KEYS).merge(with_keys))
        .with(Routes::of(API_OF_FILES).merge(of_files))
        .with(Routes::of(SCIM).merge(scim::routes()))
        .with(Routes::of(SCIM_BULK).merge(scim::bulk_routes()))
        .with(Routes::of(HELP).route("/help", get(help::index)).route("/help/{page}", get(help::page)))
        .with(Routes::of(WORKBENCH).route("/workbench", get(handoff::workbench::get).post(handoff::workbench::post)))
        .with(for_everything_unasked())
}

/// What browsers and crawlers ask for beside the pages.
fn for_everything_unasked() -> Routes {
    Routes::of(ASSETS)
        .route("/assets/{file}", get(assets::get))
        .route("/favicon.ico", get(assets::favicon))
        .route("/robots.txt", get(assets::robots))
        .route("/.well-known/security.txt", get(security_txt::get))
}

/// The way in and out by password.
fn for_everybody(app: &App) -> Routes {
    let forgot_password = get(login::forgot_password::get);
    let forgot_password =
        if app.mailer.is_some() { forgot_password.post(login::forgot_password::post) } else { forgot_password };
    Routes::of(LOGIN)
        .route("/login", get(login::form::get).post(login::form::post))
        .route("/logout", post(login::logout::post))
        .route("/forgot-password", forgot_password)
        .route("/password/update", get(login::update_password::get).post(login::update_password::post))
        .route("/password/reset/{token}", get(login::reset::get).post(login::reset::post))
        .route("/email/verify/{token}", get(login::verify_email::get).post(login::verify_email::post))
        .route("/password/change", get(login::change_password::get).post(login::change_password::post))
        .route("/.well-known/change-password", get(login::change_password::well_known))
}

/// The Dashboard, and what is everybody's own.
fn for_people_signed_in() -> Routes {
    Routes::of(DASHBOARD)
        .route("/", get(dashboard::home::get))
        .route("/email/send-verification", post(dashboard::home::send_verification))
        .route("/activity", get(dashboard::activity::get))
        .route("/sessions", get(dashboard::sessions::get))
        .route("/sessions/time", get(dashboard::session_time::get).post(dashboard::session_time::renew))
        .route("/sessions/end", post(dashboard::sessions::end))
        .route("/sessions/end-others", post(dashboard::sessions::end_others))
        .route("/sessions/withdraw", post(dashboard::sessions::withdraw))
}

/// The way in from Therap Services.
fn for_handoffs() -> Routes {
    Routes::of(HANDOFF)
        .route("/unified-login", any(handoff::receive::any))
        .route("/unified-login/complete", get(handoff::complete::get))
}

/// What apps send people to.
fn for_people_from_apps() -> Routes {
    Routes::of(FROM_APPS)
        .route("/oauth2/authorize", get(oidc::authorize::get).post(oidc::authorize::post))
        .route("/oauth2/end_session", get(oidc::end_session::get).post(oidc::end_session::post))
}

/// What those people then do here.
fn for_people_on_their_way_to_apps() -> Routes {
    Routes::of(AUTHORIZE)
        .route("/oauth2/authorize/resume", get(oidc::authorize::resume))
        .route("/oauth2/authorize/cancel", post(oidc::authorize::cancel))
        .route("/consent", get(oidc::consent::get).post(oidc::consent::post))
        .route("/oauth2/end_session/confirm", post(oidc::end_session::confirm))
}

/// What apps ask by an access token, or about one.
fn for_apps() -> Routes {
    Routes::of(OAUTH)
        .route("/oauth2/userinfo", get(oidc::userinfo::any).post(oidc::userinfo::any).layer(from_any_page()))
        .route("/oauth2/revoke", post(oidc::revoke::post).layer(from_any_page()))
        .route("/oauth2/introspect", post(oidc::introspect::post))
}

/// What apps in browsers may ask from their own pages (the Fetch standard's CORS): nothing there acts on a cookie.
fn from_any_page() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(cors::Any)
        .allow_methods([Method::GET, Method::POST])
        // Libraries that trace requests add headers of their own; the asterisk does not stand for Authorization.
        .allow_headers([HeaderName::from_static("*"), header::AUTHORIZATION])
        .expose_headers([header::WWW_AUTHENTICATE])
        .max_age(Duration::from_hours(1))
}

/// A confirmation, which is asked and answered at one address.
fn confirmed<C: Confirmation>() -> MethodRouter<App> {
    get(confirm::ask::<C>).post(confirm::answer::<C>)
}

/// The Provider Admin's pages.
fn for_provider_admins() -> Routes {
    Routes::of(PROVIDER_ADMIN)
        .route("/admin/users", get(console::users::list::get::<ProviderAdmin>))
        .route("/admin/users/selected/lock", confirmed::<OfSelected>())
        .route("/admin/users/selected/unlock", confirmed::<OfSelected>())
        .route("/admin/users/selected/end-sessions", confirmed::<OfSelected>())
        .route("/admin/users/selected/reset-password", confirmed::<OfSelected>())
        .route("/admin/users/new", get(console::users::new::get).post(console::users::new::post))
        .route("/admin/users/import/template", get(console::users::import::template))
        .route("/admin/users/import/{id}", get(console::users::import_job::get))
        .route(
            "/admin/users/import/{id}/slips",
            get(console::users::import_job::way_back).post(console::users::import_job::slips),
        )
        .route(
            "/admin/users/import/{id}/report",
            get(console::users::import_job::way_back).post(console::users::import_job::file),
        )
        .route("/admin/users/export", get(console::users::list::export))
        .route("/admin/users/{id}", get(console::users::user::get::<ProviderAdmin>).post(console::users::user::post))
        .route("/admin/users/{id}/lock", confirmed::<OfUser<ProviderAdmin>>())
        .route("/admin/users/{id}/unlock", post(console::users::actions::unlock))
        .route("/admin/users/{id}/deactivate", confirmed::<OfUser<ProviderAdmin>>())
        .route("/admin/users/{id}/reactivate", post(console::users::actions::reactivate))
        .route("/admin/users/{id}/reset-password", confirmed::<OfUser<ProviderAdmin>>())
        .route("/admin/users/{id}/end-sessions", confirmed::<OfUser<ProviderAdmin>>())
        .route("/admin/users/{id}/untie", confirmed::<OfUser<ProviderAdmin>>())
        .route("/admin/users/{id}/send-verification", post(console::users::actions::send_verification))
        .route("/admin/users/{id}/check-email", post(console::users::actions::check_email))
        .route("/admin/users/{id}/invite", post(console::users::actions::invite))
        .route("/admin/activity", get(console::activity::own::get))
        .route("/admin/activity/export", get(console::activity::own::export))
        .route("/admin/provider", get(console::providers::own::get).post(console::providers::own::post))
        .route("/admin/provider/request", post(console::unified_login::asking::request))
        .route("/admin/provider/withdraw", post(console::unified_login::asking::withdraw))
}

/// The page that takes a file of users.
fn for_files_of_users() -> Routes {
    Routes::of(FILE_OF_USERS)
        .route("/admin/users/import", get(console::users::import::get).post(console::users::import::post))
}

/// The Therap Admin's pages.
fn for_therap_admins() -> Routes {
    Routes::of(THERAP_ADMIN)
        .route("/operator", get(console::home::get))
        .route("/operator/export", get(console::home::export))
        .route("/operator/requests", get(console::unified_login::requests::get))
        .route("/operator/requests/{id}", post(console::unified_login::requests::decide))
        .route("/operator/requests/{id}/approve", confirmed::<Approval>())
        .route("/operator/providers", get(console::providers::list::get))
        .route(
            "/operator/providers/new",
            get(console::providers::list::blank_form).post(console::providers::list::create),
        )
        .route(
            "/operator/providers/{id}",
            get(console::providers::provider::get).post(console::providers::provider::post),
        )
        .route("/operator/providers/{id}/activate", post(console::providers::actions::activate))
        .route("/operator/providers/{id}/deactivate", confirmed::<OfProvider>())
        .route("/operator/providers/{id}/end-sessions", confirmed::<OfProvider>())
        .route("/operator/providers/{id}/unlock-all", post(console::providers::actions::unlock_all))
        .route("/operator/providers/{id}/switch-off", confirmed::<OfProvider>())
        .route("/operator/providers/{id}/admins", post(console::providers::actions::new_admin))
        .route("/operator/providers/{id}/reset-password", confirmed::<ResetOfAdmin>())
        .route("/operator/providers/{id}/users", get(console::users::list::get::<AgencyVisitor>))
        .route("/operator/providers/{id}/users/{user}", get(console::users::user::get::<AgencyVisitor>))
        .route("/operator/providers/{id}/users/{user}/unlock", confirmed::<OfUser<AgencyVisitor>>())
        .route("/operator/providers/{id}/users/{user}/end-sessions", confirmed::<OfUser<AgencyVisitor>>())
        .route("/operator/activity", get(console::activity::all::get))
        .route("/operator/activity/export", get(console::activity::all::export))
        .route("/operator/deliveries", get(console::deliveries::get))
        .route("/operator/keys", get(console::keys::get))
        .route("/operator/keys/rotate", post(console::keys::rotate))
        .route("/operator/keys/rotate-at-once", confirmed::<OfKeys>())
        .route("/operator/keys/retire", confirmed::<OfKeys>())
}

/// Trusted issuers of handoffs, with their keys.
fn for_issuers() -> Routes {
    Routes::of(ISSUERS)
        .route("/operator/issuers", get(console::issuers::list::get))
        .route("/operator/issuers/new", get(console::issuers::list::blank_form).post(console::issuers::list::create))
        .route("/operator/issuers/{id}", get(console::issuers::issuer::get).post(console::issuers::issuer::post))
        .route("/operator/issuers/{id}/disable", confirmed::<OfIssuer>())
        .route("/operator/issuers/{id}/enable", confirmed::<OfIssuer>())
        .route("/operator/issuers/{id}/end-sessions", confirmed::<OfIssuer>())
        .route("/operator/issuers/{id}/untie", confirmed::<OfIssuer>())
}

/// Clients, with their keys.
fn for_clients() -> Routes {
    Routes::of(CLIENTS)
        .route("/operator/clients", get(console::clients::list::get))
        .route("/operator/clients/new", get(console::clients::new::blank_form).post(console::clients::new::create))
        .route("/operator/clients/{id}", get(console::clients::client::get).post(console::clients::client::post))
        .route("/operator/clients/{id}/rotate-secret", confirmed::<OfClient>())
        .route("/operator/clients/{id}/disable", confirmed::<OfClient>())
        .route("/operator/clients/{id}/enable", confirmed::<OfClient>())
        .route("/operator/clients/{id}/delete", confirmed::<OfClient>())
}
