//! `/api/v1/keys`: our signing keys: where in its life each is, a new one, and taking one back at once (G20).

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Everywhere, ReadKeys, WriteKeys};
use super::extract::{Body, Kid, Page};
use super::problem::{Details, Problem};
use super::providers::moved_on;
use crate::app::App;
use crate::crypto::jws::Algorithm;
use crate::model::signing_key::State;
use crate::operations::keys::in_use::{self, Listed};
use crate::operations::keys::rotation::{self, Retired, Rotated, When};
use crate::time::Timestamp;

/// A signing key, without its private half.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub struct View {
    /// Its name in the JWK Set.
    kid: String,
    /// Its algorithm.
    alg: String,
    /// Where in its life it is.
    state: State,
    /// It signs from then on, while no newer key does.
    #[schema(format = DateTime)]
    signs_from: String,
    /// Until then something that it signed may be good.
    #[schema(format = DateTime)]
    verifies_until: Option<String>,
    /// When somebody took it back.
    #[schema(format = DateTime)]
    retired_at: Option<String>,
}

impl View {
    fn of(listed: Listed) -> Self {
        let time = |at: i64| Timestamp(at).rfc3339();
        Self {
            kid: listed.key.kid,
            alg: listed.key.alg,
            state: listed.state,
            signs_from: time(listed.key.signs_from),
            verifies_until: listed.key.verifies_until.map(time),
            retired_at: listed.key.retired_at.map(time),
        }
    }
}

/// List the signing keys, retired ones included
#[utoipa::path(get, operation_id = "listKeys", path = "/api/v1/keys", tag = "Signing keys", security(("oauth2" = ["keys.read"])),
    responses((status = 200, description = "All of them", body = Page<View>)))]
pub async fn list(app: App, program: Everywhere<ReadKeys>) -> Result<Json<Page<View>>, Problem> {
    let listed = in_use::list(&app, program.caller.now()).await?;
    Ok(Json(Page { items: listed.into_iter().map(View::of).collect(), next: None }))
}

/// Which key is to be followed, and when.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RotateKey)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The algorithm.
    alg: Algorithm,
    /// Sign with it now, although nobody has seen it yet; otherwise it is published ahead of its use.
    #[serde(default)]
    at_once: bool,
}

/// A key that takes over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NextKey)]
pub struct Next {
    /// Its name in the JWK Set.
    kid: String,
    /// When it signs.
    #[schema(format = DateTime)]
    signs_from: String,
}

/// Make a new signing key
#[utoipa::path(post, operation_id = "rotateKey", path = "/api/v1/keys/rotate", tag = "Signing keys", request_body = Rotate,
    security(("oauth2" = ["keys.write"])),
    responses((status = 200, description = "The key that takes over", body = Next),
        (status = 409, description = "A key is announced already, or too many are published", body = Details, content_type = "application/problem+json")))]
pub async fn rotate(app: App, program: Everywhere<WriteKeys>, body: Body<Rotate>) -> Result<Json<Next>, Problem> {
    let when = if body.read.at_once { When::AtOnce } else { When::Announced };
    match rotation::rotate(&program.caller.act(&app), body.read.alg, when).await? {
        Rotated::Done { kid, signs_from } => Ok(Json(Next { kid, signs_from: signs_from.rfc3339() })),
        Rotated::Already { kid, .. } => {
            Err(moved_on(&format!("The key {kid} is announced already, or was made at this moment. Nothing was done.")))
        }
        Rotated::TooMany => {
            Err(moved_on("The limit of published keys is reached. Wait until one is retired, or revoke one."))
        }
    }
}

/// The key in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Name` reads")]
pub struct AtKey {
    /// Its name in the JWK Set.
    kid: String,
}

/// Revoke a key: what it signed is no longer valid
#[utoipa::path(post, operation_id = "retireKey", path = "/api/v1/keys/{kid}/retire", tag = "Signing keys", params(AtKey),
    security(("oauth2" = ["keys.write"])),
    responses((status = 200, description = "The key as it is now", body = View),
        (status = 409, description = "It is already revoked or retired", body = Details, content_type = "application/problem+json")))]
pub async fn retire(app: App, program: Everywhere<WriteKeys>, Kid(kid): Kid) -> Result<Json<View>, Problem> {
    match rotation::retire(&program.caller.act(&app), &kid).await? {
        Retired::Done { .. } => {
            let keys = in_use::list(&app, program.caller.now()).await?;
            let key = keys.into_iter().find(|listed| listed.key.kid == kid);
            key.map(|listed| Json(View::of(listed))).ok_or_else(Problem::not_found)
        }
        Retired::Already => Err(moved_on("The key is already revoked or retired. Nothing was done.")),
        // Programs confirm no version.
        Retired::NotFound | Retired::Stale => Err(Problem::not_found()),
    }
}
