//! What a program does to one client.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::caller::{Everywhere, WriteClients};
use crate::api::clients::{AtClient, View, find, read};
use crate::api::etag::{IfMatch, WithEtag, stale};
use crate::api::extract::{Body, ClientId};
use crate::api::problem::{Details, Problem};
use crate::api::providers::moved_on;
use crate::app::App;
use crate::model::validation_error::ValidationError;
use crate::operations::admin_context::Switched;
use crate::operations::clients::{self, Deleted, LONGEST_OVERLAP, Rotated};

/// How to replace a secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// The number of hours for which the secrets before it go on working; default 0.
    #[schema(minimum = 0, maximum = 2160)]
    #[serde(default)]
    keep_old_hours: u64,
}

/// A client's new secret, this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewSecret {
    /// The secret.
    client_secret: String,
    /// Until when the secrets before it go on working; absent when there is none.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    old_until: Option<String>,
}

/// Give a client a new secret
#[utoipa::path(post, operation_id = "rotateClientSecret", path = "/api/v1/clients/{client_id}/rotate-secret", tag = "Clients", params(AtClient),
    request_body = RotateSecret, security(("oauth2" = ["clients.write"])),
    responses((status = 200, description = "The new secret", body = NewSecret),
        (status = 409, description = "It is the client that asks", body = Details, content_type = "application/problem+json")))]
pub async fn rotate_secret(
    app: App,
    program: Everywhere<WriteClients>,
    ClientId(client_id): ClientId,
    body: Body<RotateSecret>,
) -> Result<Json<NewSecret>, Problem> {
    // A token that was stolen buys no secret of its own (G36).
    not_itself(&program, &client_id)?;
    let longest = LONGEST_OVERLAP.as_secs() / 3600;
    if body.read.keep_old_hours > longest {
        return Err(ValidationError::new("keep_old_hours", format!("must be at most {longest}")).into());
    }
    let (act, overlap) = (program.caller.act(&app), Duration::from_hours(body.read.keep_old_hours));
    let secret = clients::make_secret(&app);
    match clients::rotate_secret(&act, &client_id, &secret, overlap, None).await? {
        Rotated::Done { before } => {
            let old_until = (before > 0 && !overlap.is_zero()).then(|| act.now.after(overlap).rfc3339());
            Ok(Json(NewSecret { client_secret: secret, old_until }))
        }
        Rotated::NoSecret => {
            Err(ValidationError::new("token_endpoint_auth_method", "of this client proves who it is without a secret")
                .into())
        }
        Rotated::Before | Rotated::NotFound => Err(Problem::not_found()),
    }
}

async fn switch(
    app: &App,
    program: &Everywhere<WriteClients>,
    client_id: &str,
    on: bool,
) -> Result<WithEtag<View>, Problem> {
    match clients::set_enabled(&program.caller.act(app), client_id, on).await? {
        // It is so, whoever was first.
        Switched::Done | Switched::Already => read(app, client_id).await,
        Switched::NotFound
        | Switched::OperatorRealm
        | Switched::LastAdmin
        | Switched::Own
        // Programs confirm nothing; they send If-Match.
        | Switched::Stale => Err(Problem::not_found()),
    }
}

/// Nobody saws at the branch that it sits on.
fn not_itself(program: &Everywhere<WriteClients>, client_id: &str) -> Result<(), Problem> {
    if program.caller.is(client_id) {
        return Err(moved_on("This is the client that asks. Let another one, or a person, do it."));
    }
    Ok(())
}

/// Switch a client off: all its tokens are revoked
#[utoipa::path(post, operation_id = "disableClient", path = "/api/v1/clients/{client_id}/disable", tag = "Clients", params(AtClient),
    security(("oauth2" = ["clients.write"])),
    responses((status = 200, description = "It is off", body = View, headers(("ETag", description = "Its revision"))),
        (status = 409, description = "It is the client that asks", body = Details, content_type = "application/problem+json")))]
pub async fn disable(
    app: App,
    program: Everywhere<WriteClients>,
    ClientId(client_id): ClientId,
) -> Result<WithEtag<View>, Problem> {
    not_itself(&program, &client_id)?;
    switch(&app, &program, &client_id, false).await
}

/// Switch a client on
#[utoipa::path(post, operation_id = "enableClient", path = "/api/v1/clients/{client_id}/enable", tag = "Clients", params(AtClient),
    security(("oauth2" = ["clients.write"])),
    responses((status = 200, description = "It is on", body = View, headers(("ETag", description = "Its revision")))))]
pub async fn enable(
    app: App,
    program: Everywhere<WriteClients>,
    ClientId(client_id): ClientId,
) -> Result<WithEtag<View>, Problem> {
    switch(&app, &program, &client_id, true).await
}

/// Delete a client, with its secrets, consents, codes and tokens
#[utoipa::path(delete, operation_id = "deleteClient", path = "/api/v1/clients/{client_id}", tag = "Clients",
    params(AtClient, ("If-Match" = String, Header, description = "The ETag that was read, or `*`")),
    security(("oauth2" = ["clients.write"])), responses((status = 204, description = "It is gone"),
        (status = 409, description = "It is the client that asks", body = Details, content_type = "application/problem+json")))]
pub async fn delete(
    app: App,
    program: Everywhere<WriteClients>,
    ClientId(client_id): ClientId,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    not_itself(&program, &client_id)?;
    let revision = if_match.allows(find(&app, &client_id).await?.revision)?;
    match clients::delete(&program.caller.act(&app), &client_id, Some(revision)).await? {
        Deleted::Done => Ok(StatusCode::NO_CONTENT),
        Deleted::Stale => Err(stale()),
        Deleted::NotFound => Err(Problem::not_found()),
    }
}
