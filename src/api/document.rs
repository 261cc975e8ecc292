//! The OpenAPI 3.1 document at `/api/v1/openapi.json`, made of the handlers' own descriptions.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde_json::Value;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, PathItem, Ref, RefOr, ResponseBuilder, ServerBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::problem::{Details, FieldError, Kind};
use super::{examples, schemas};
use crate::app::App;
use crate::model::scope::CLIENT_SCOPES;
use crate::web::oauth_error::data;
use crate::web::unchanging::Unchanging;

/// What is true of the whole, in paragraphs.
pub const ABOUT: &str = "What the administrators' pages do, as JSON.\n\n\
    A program is a client with the grant `client_credentials` and the scopes that it needs; it sends the access token that \
    it is given in the Authorization header (RFC 6750). A scope about providers, users or activity may be narrowed to one \
    provider, as in `users.read:SUNRISE-IL`: every other provider is then answered 404, as if it did not exist.\n\n\
    Times are RFC 3339, UTC. Lists come in pages: send `next` of one as `cursor` of the next. What is edited has an \
    `ETag`: send it back as `If-Match`. What creates takes an `Idempotency-Key`. Whatever is refused is answered with a \
    problem (RFC 9457) whose `reference` the log knows.";

/// Completes what the handlers say with what is true of all of them.
pub fn complete(mut document: OpenApi, app: &App) -> Value {
    let issuer = &app.config.issuer;
    document.info = InfoBuilder::new()
        .title("Therap Connect admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    document.servers = Some(vec![ServerBuilder::new().url(issuer).build()]);
    let names = CLIENT_SCOPES.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned()));
    let scopes = Scopes::from_iter(names.collect::<BTreeMap<_, _>>());
    let flow = Flow::ClientCredentials(ClientCredentials::new(format!("{issuer}/oauth2/token"), scopes));
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let mut components = ComponentsBuilder::from(components)
        .schema(Details::name(), Details::schema())
        .schema(FieldError::name(), FieldError::schema())
        .build();
    components.add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
    document.components = Some(components);
    document.paths.paths.values_mut().flat_map(operations_mut).for_each(add_problems);
    let mut document = serde_json::to_value(document).unwrap_or_default();
    schemas::complete(&mut document);
    examples::complete(&mut document);
    document
}

/// `GET /api/v1/openapi.json`
pub async fn answer(json: &Unchanging, asked: &HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        // It says nothing that is not public, and tools in browsers read it.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    data(json.answer(asked, headers).await)
}

/// The operations of a path.
fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [get, post, put, patch, delete].into_iter().filter_map(Option::as_mut)
}

/// What every operation of its shape may be refused with.
fn add_problems(operation: &mut Operation) {
    let mut kinds =
        vec![Kind::Malformed, Kind::Unauthenticated, Kind::InsufficientScope, Kind::Throttled, Kind::Unavailable];
    let parameters: Vec<_> = operation
        .parameters
        .iter()
        .flatten()
        .filter_map(|one| match one {
            RefOr::T(parameter) => Some((parameter.name.clone(), parameter.parameter_in.clone())),
            RefOr::Ref(_) => None,
        })
        .collect();
    let has = |place: &ParameterIn| parameters.iter().any(|(_, at)| at == place);
    if has(&ParameterIn::Path) {
        kinds.push(Kind::NotFound);
    }
    if operation.request_body.is_some() {
        kinds.extend([Kind::TooSlow, Kind::TooLarge, Kind::UnsupportedMediaType]);
    }
    if operation.request_body.is_some() || has(&ParameterIn::Query) {
        kinds.push(Kind::Invalid);
    }
    if parameters.iter().any(|(name, _)| name == "If-Match") {
        kinds.extend([Kind::Stale, Kind::PreconditionRequired]);
    }
    for kind in kinds {
        let name = if kind == Kind::Invalid { "ValidationProblem".into() } else { Details::name() };
        let schema = RefOr::Ref(Ref::from_schema_name(name));
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(kind.title()).content("application/problem+json", content);
        operation.responses.responses.insert(kind.status().as_u16().to_string(), RefOr::T(response.build()));
    }
}
