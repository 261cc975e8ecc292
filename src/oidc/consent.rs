//! `GET` and `POST /consent`: what an app asks for, and the user's answer, remembered by user, client and scope.

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::authorize::{refusal, taken_up};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::Kind;
use crate::model::scope::{Scope, USER_SCOPES};
use crate::operations::admin_context::in_act;
use crate::operations::interactions::{self, Waiting, resume_path};
use crate::operations::sessions::open::of_session;
use crate::store;
use crate::web::answered;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::page::{Extras, Page, Shape, respond};
use crate::web::session::SignedIn;

#[derive(Template)]
#[template(path = "oidc/consent.html")]
struct ConsentPage {
    page: Page,
    client_name: String,
    logo: Option<String>,
    policy: Option<String>,
    terms: Option<String>,
    wishes: Vec<&'static str>,
    login_name: String,
    provider_name: String,
    handle: String,
    /// Whom the page was shown to: another tab may sign somebody else in.
    user: String,
}

/// The query: the handle of the request that waits.
#[derive(Debug, Default, Deserialize)]
pub struct ConsentQuery {
    i: Option<String>,
}

/// `GET /consent?i=<handle>`
///
/// # Errors
/// When the request is another browser's, or too old.
pub async fn get(
    app: App,
    arrival: Arrival,
    signed_in: SignedIn,
    headers: HeaderMap,
    Query(query): Query<ConsentQuery>,
) -> Result<Response, PageError> {
    let handle = query.i.as_deref().and_then(Secret::parse);
    let (Waiting { interaction, client }, handle, _) = taken_up(&app, handle, &headers, arrival.now).await?;
    if interaction.is_answered_for(&signed_in.session.user_id) {
        return Ok(answered::page(&app, &client, &signed_in.session));
    }
    let wanted = interaction.request.asks_for();
    let metadata = &client.metadata;
    let template = ConsentPage {
        page: Page::new(&app, "Allow access"),
        client_name: client.name().to_owned(),
        logo: metadata.logo_uri.clone(),
        policy: metadata.policy_uri.clone(),
        terms: metadata.tos_uri.clone(),
        wishes: USER_SCOPES.iter().filter(|(name, ..)| wanted.has(name)).map(|(_, words, _)| *words).collect(),
        login_name: signed_in.session.login_name,
        provider_name: signed_in.session.provider_name,
        handle: handle.reveal(),
        user: signed_in.session.user_id,
    };
    Ok(Extras::logo(metadata.logo_uri.as_deref()).on(respond(StatusCode::OK, Shape::Entrance, &template)))
}

/// `POST /consent`: allowed, and back to the request; or `access_denied` to the client.
///
/// # Errors
/// When the request is another browser's, or too old, or the database fails.
pub async fn post(
    app: App,
    arrival: Arrival,
    signed_in: SignedIn,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (decision, handle) = (fields.take("decision"), Secret::parse(&fields.take("i")));
    let (Waiting { interaction, client }, handle, _) = taken_up(&app, handle, &headers, arrival.now).await?;
    if fields.take("user") != signed_in.session.user_id {
        return Ok(Redirect::to(&resume_path(&handle)).into_response());
    }
    match decision.as_str() {
        "allow" => {}
        "deny" => {
            interactions::refused(&app, &interaction, Some(&signed_in.session), arrival.now).await?;
            return Ok(refusal(&app, &interaction.request, "access_denied", "the user did not allow this"));
        }
        _ => return Err(PageError::BadForm("The form does not say whether you allow this.")),
    }
    let (act, wanted) = (signed_in.act(&app, &arrival), interaction.request.asks_for());
    let session = signed_in.session;
    let event = of_session(act.event(Kind::ConsentGiven), &session).noting(format!("{}: {wanted}", client.name()));
    let (id, row) = (interaction.id, client.id);
    in_act!(act, [session, id, row, wanted, event], |tx| {
        let before = store::consents::scope(tx, &session.user_id, &row).await?;
        let before = before.and_then(|scope| Scope::parse(&scope)).unwrap_or_default();
        store::interactions::note_consent(tx, &id, &session.user_id).await?;
        if !wanted.is_within(&before) || before.is_empty() {
            let scope = before.with(&wanted).to_string();
            store::consents::put(tx, &session.user_id, &session.provider_id, &row, &scope, act.now).await?;
            store::activity::record(tx, &event).await?;
        }
        Ok(())
    })?;
    Ok(Redirect::to(&resume_path(&handle)).into_response())
}
