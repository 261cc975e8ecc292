//! What a directory may learn of this service before it begins (RFC 7644 §4).

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::Directory;
use super::error::ScimError;
use super::extract::{Query, answer};
use super::{bulk, list, schema};
use crate::app::App;

fn with_meta(app: &App, mut thing: Value, kind: &str, place: &str) -> Value {
    if let Some(members) = thing.as_object_mut() {
        let location = format!("{}/scim/v2/{place}", app.config.issuer);
        members.insert("meta".into(), json!({"resourceType": kind, "location": location}));
    }
    thing
}

fn list_of(things: &[Value]) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": things.len(),
        "startIndex": 1,
        "itemsPerPage": things.len(),
        "Resources": things,
    })
}

fn user_schema(app: &App) -> Value {
    with_meta(app, schema::user(), "Schema", &format!("Schemas/{}", schema::USER))
}

fn user_type(app: &App) -> Value {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "A person's account in the provider of the access token",
        "schema": schema::USER,
    });
    with_meta(app, user, "ResourceType", "ResourceTypes/User")
}

/// A filter over what is fixed is not there (RFC 7644 §4).
fn without_filter(query: &Query) -> Result<(), ScimError> {
    match query.text("filter")? {
        Some(_) => Err(ScimError::forbidden("Nothing is filtered here.")),
        None => Ok(()),
    }
}

/// `GET /ServiceProviderConfig`
pub async fn config(app: App, _: Directory) -> Response {
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": format!("{}/help/therap-admins", app.config.issuer),
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": bulk::MOST_OPERATIONS, "maxPayloadSize": bulk::MOST_BYTES},
        "filter": {"supported": true, "maxResults": list::MOST},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth bearer token",
            "description": "An access token of the client credentials grant with the scope scim:CODE of one provider",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
    });
    answer(StatusCode::OK, with_meta(&app, config, "ServiceProviderConfig", "ServiceProviderConfig"))
}

/// `GET /ResourceTypes`
pub async fn resource_types(app: App, _: Directory, query: Query) -> Result<Response, ScimError> {
    without_filter(&query)?;
    Ok(answer(StatusCode::OK, list_of(&[user_type(&app)])))
}

/// `GET /ResourceTypes/{name}`
pub async fn resource_type(app: App, _: Directory, Path(name): Path<String>) -> Result<Response, ScimError> {
    if name != "User" {
        return Err(ScimError::not_found());
    }
    Ok(answer(StatusCode::OK, user_type(&app)))
}

/// `GET /Schemas`
pub async fn schemas(app: App, _: Directory, query: Query) -> Result<Response, ScimError> {
    without_filter(&query)?;
    Ok(answer(StatusCode::OK, list_of(&[user_schema(&app)])))
}

/// `GET /Schemas/{id}`
pub async fn schema(app: App, _: Directory, Path(id): Path<String>) -> Result<Response, ScimError> {
    if !id.eq_ignore_ascii_case(schema::USER) {
        return Err(ScimError::not_found());
    }
    Ok(answer(StatusCode::OK, user_schema(&app)))
}
