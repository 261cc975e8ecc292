//! `/Users` and what is below it, and the same as operations of a bulk request.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value};

use super::caller::Directory;
use super::error::ScimError;
use super::extract::{Body, Id, IfMatch, IfNoneMatch, Query, Versions, answer, nothing};
use super::list::{Search, shown};
use super::patch::Patch;
use super::resource::{Basis, location, members, resource, version, wish};
use super::shown::Shown;
use crate::app::App;
use crate::operations::users::provision::{self, Outcome};
use crate::operations::users::{generate_password, hash};
use crate::store::users::provisioned::{self, Provisioned};

fn done(outcome: Outcome<ScimError>) -> Result<Box<Provisioned>, ScimError> {
    match outcome {
        Outcome::Done(user) => Ok(user),
        Outcome::NotFound => Err(ScimError::not_found()),
        Outcome::NameTaken => Err(ScimError::taken("userName")),
        Outcome::ExternalIdTaken => Err(ScimError::taken("externalId")),
        Outcome::Unwanted(error) => Err(error),
    }
}

/// A user for directories, as it stands.
///
/// # Errors
/// 404 when there is none.
pub async fn read(app: &App, directory: &Directory, id: &str) -> Result<Provisioned, ScimError> {
    let found = provisioned::one(&mut app.db.read().await?, &directory.provider.id, id).await?;
    found.filter(|user| user.deleted_at.is_none()).ok_or_else(ScimError::not_found)
}

/// Creates a user. No password is taken: the person signs in by Therap Services, or with what an administrator or a mailed
/// link gives them.
///
/// # Errors
/// 400 when a value is not accepted, 409 when another user has a name already.
pub async fn create(
    app: &App,
    directory: &Directory,
    body: &Map<String, Value>,
) -> Result<Box<Provisioned>, ScimError> {
    let whole = Patch::whole(body)?.over(&Map::new())?;
    let wish = wish(&whole, Basis::New)?;
    // What needs no hash is refused before there is one (G31).
    let taken = provision::taken(&mut app.db.read().await?, &directory.provider.id, &wish).await?;
    if let Some(taken) = taken {
        return done(taken);
    }
    let password = generate_password(&app.random);
    let hash = hash(app, &password).await.map_err(|_| ScimError::unavailable("no room to hash"))?;
    done(provision::create(&directory.act(app), &directory.provider, &wish, hash).await?)
}

/// Puts a whole user in place of what is there.
///
/// # Errors
/// 400, 404, 409, or 412 when another version is there than is demanded.
pub async fn replace(
    app: &App,
    directory: &Directory,
    id: &str,
    body: &Map<String, Value>,
    versions: Versions,
) -> Result<Box<Provisioned>, ScimError> {
    let whole = Patch::whole(body)?.over(&Map::new())?;
    let wanted = move |standing: &Provisioned| {
        versions.allow(&version(&members(standing)))?;
        wish(&whole, Basis::Whole(standing))
    };
    done(provision::update(&directory.act(app), &directory.provider.id, id, Arc::new(wanted)).await?)
}

/// Changes a user.
///
/// # Errors
/// The same.
pub async fn change(
    app: &App,
    directory: &Directory,
    id: &str,
    body: &Map<String, Value>,
    versions: Versions,
) -> Result<Box<Provisioned>, ScimError> {
    let patch = Patch::parse(body)?;
    let wanted = move |standing: &Provisioned| {
        let before = members(standing);
        versions.allow(&version(&before))?;
        wish(&patch.over(&before)?, Basis::Changed(standing))
    };
    done(provision::update(&directory.act(app), &directory.provider.id, id, Arc::new(wanted)).await?)
}

/// Deletes a user for directories.
///
/// # Errors
/// 404, or 412 when another version is there than is demanded.
pub async fn remove(app: &App, directory: &Directory, id: &str, versions: Versions) -> Result<(), ScimError> {
    let allowed = move |standing: &Provisioned| versions.allow(&version(&members(standing)));
    done(provision::delete(&directory.act(app), &directory.provider.id, id, Arc::new(allowed)).await?).map(drop)
}

/// A user as an answer.
fn with_version(app: &App, status: StatusCode, user: &Provisioned, shown: &Shown) -> Response {
    let mut response = answer(status, shown.of(resource(user, &app.config.issuer)).into());
    set(&mut response, header::ETAG, &version(&members(user)));
    if status == StatusCode::CREATED {
        set(&mut response, header::LOCATION, &location(&app.config.issuer, &user.id));
    }
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// `GET /Users`
pub async fn list(app: App, directory: Directory, query: Query) -> Result<Response, ScimError> {
    let page = Search::of_query(&query)?.page(&app, &directory).await?;
    Ok(answer(StatusCode::OK, page))
}

/// `POST /Users/.search`
pub async fn search(app: App, directory: Directory, Body(body): Body) -> Result<Response, ScimError> {
    let page = Search::of_body(&body)?.page(&app, &directory).await?;
    Ok(answer(StatusCode::OK, page))
}

/// `POST /Users`
pub async fn post(app: App, directory: Directory, query: Query, Body(body): Body) -> Result<Response, ScimError> {
    let shown = shown(&query)?;
    let user = create(&app, &directory, &body).await?;
    Ok(with_version(&app, StatusCode::CREATED, &user, &shown))
}

/// `GET /Users/{id}`
pub async fn get(
    app: App,
    directory: Directory,
    Id(id): Id,
    query: Query,
    known: IfNoneMatch,
) -> Result<Response, ScimError> {
    let shown = shown(&query)?;
    let user = read(&app, &directory, &id).await?;
    let version = version(&members(&user));
    if known.has(&version) {
        let mut response = nothing(StatusCode::NOT_MODIFIED);
        set(&mut response, header::ETAG, &version);
        return Ok(response);
    }
    Ok(with_version(&app, StatusCode::OK, &user, &shown))
}

/// `PUT /Users/{id}`
pub async fn put(
    app: App,
    directory: Directory,
    Id(id): Id,
    query: Query,
    IfMatch(versions): IfMatch,
    Body(body): Body,
) -> Result<Response, ScimError> {
    let shown = shown(&query)?;
    let user = replace(&app, &directory, &id, &body, versions).await?;
    Ok(with_version(&app, StatusCode::OK, &user, &shown))
}

/// `PATCH /Users/{id}`
pub async fn patch(
    app: App,
    directory: Directory,
    Id(id): Id,
    query: Query,
    IfMatch(versions): IfMatch,
    Body(body): Body,
) -> Result<Response, ScimError> {
    let shown = shown(&query)?;
    let user = change(&app, &directory, &id, &body, versions).await?;
    Ok(with_version(&app, StatusCode::OK, &user, &shown))
}

/// `DELETE /Users/{id}`
pub async fn delete(
    app: App,
    directory: Directory,
    Id(id): Id,
    IfMatch(versions): IfMatch,
) -> Result<Response, ScimError> {
    remove(&app, &directory, &id, versions).await?;
    Ok(nothing(StatusCode::NO_CONTENT))
}
