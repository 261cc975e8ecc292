//! `GET /sessions`: where I am signed in and what I allowed to apps, and ending either.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::model::activity::Kind;
use crate::model::client::Metadata;
use crate::model::scope::{Scope, USER_SCOPES};
use crate::model::session::EndReason;
use crate::operations::admin_context::in_act;
use crate::operations::sessions::open::of_session;
use crate::store;
use crate::store::consents::Given;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::ids::checked;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};
use crate::web::session::SignedIn;
use crate::web::session_list::{self, SessionView};

const PATH: &str = "/sessions";

#[derive(Template)]
#[template(path = "dashboard/sessions.html")]
struct SessionsPage {
    page: Page,
    sessions: Vec<SessionView>,
    others: bool,
    zone: String,
    apps: Vec<AppView>,
}

/// An app that was allowed something.
struct AppView {
    client: String,
    name: String,
    since: String,
    wishes: Vec<&'static str>,
}

impl AppView {
    fn of(given: Given, zone: &str) -> Self {
        let metadata: Metadata = serde_json::from_str(&given.metadata).unwrap_or_default();
        let scope = Scope::parse(&given.scope).unwrap_or_default();
        Self {
            client: given.client,
            name: metadata.client_name.unwrap_or(given.client_id),
            since: Timestamp(given.updated_at).in_zone(zone),
            wishes: USER_SCOPES.iter().filter(|(name, ..)| scope.has(name)).map(|(_, words, _)| *words).collect(),
        }
    }
}

/// `GET /sessions`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, signed_in: SignedIn, told: Told) -> Result<Response, PageError> {
    let current = &signed_in.session;
    let mut conn = app.db.read_much().await?;
    let zone = &current.time_zone;
    let sessions = session_list::of_user(&mut conn, &current.user_id, Some(&current.id), zone, arrival.now).await?;
    let consents = store::consents::of_user(&mut conn, &current.user_id).await?;
    drop(conn);
    let template = SessionsPage {
        page: Page::of(&app, "My sessions", current).saying(told),
        others: sessions.iter().any(|session| !session.current),
        sessions,
        zone: zone.clone(),
        apps: consents.into_iter().map(|given| AppView::of(given, zone)).collect(),
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

/// `POST /sessions/end`: one session of mine.
///
/// # Errors
/// When the database fails.
pub async fn end(app: App, arrival: Arrival, signed_in: SignedIn, mut fields: Fields) -> Result<Response, PageError> {
    let (act, current) = (signed_in.act(&app, &arrival), signed_in.session);
    // What is no id is no session.
    let Some(wanted) = checked(&fields.take("session")) else {
        return Ok(Redirect::to(PATH).into_response());
    };
    in_act!(act, [current, wanted], |tx| {
        // Another's id is as good as none.
        let mine = store::sessions::one_of_user(tx, &current.user_id, &wanted, act.now).await?;
        if let Some(session) = mine.filter(|session| session.id != current.id)
            && store::sessions::end(tx, &session.id, EndReason::EndedByUser, act.now).await?
        {
            let event = of_session(act.event(Kind::SessionEnded), &session).because("ended_from_another_session");
            store::activity::record(tx, &event).await?;
        }
        Ok(())
    })?;
    Ok(Notice::SessionEnded.at(PATH))
}

/// `POST /sessions/end-others`: every session of mine but this one, one act and one record.
///
/// # Errors
/// When the database fails.
pub async fn end_others(app: App, arrival: Arrival, signed_in: SignedIn) -> Result<Response, PageError> {
    let (act, current) = (signed_in.act(&app, &arrival), signed_in.session);
    in_act!(act, [current], |tx| {
        let (user, keep) = (&current.user_id, &current.id);
        if store::sessions::end_all_but(tx, user, keep, EndReason::EndedByUser, act.now).await? > 0 {
            let event = of_session(act.event(Kind::SessionEnded), &current).because("all_others_ended");
            store::activity::record(tx, &event).await?;
        }
        Ok(())
    })?;
    Ok(Notice::OtherSessionsEnded.at(PATH))
}

/// `POST /sessions/withdraw`: what I allowed to one app. Its tokens end with it.
///
/// # Errors
/// When the database fails.
pub async fn withdraw(
    app: App,
    arrival: Arrival,
    signed_in: SignedIn,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (act, session) = (signed_in.act(&app, &arrival), signed_in.session);
    let client = fields.take("client");
    in_act!(act, [session, client], |tx| {
        if store::consents::remove(tx, &session.user_id, &client).await? {
            store::tokens::codes::spend_of_client(tx, &session.user_id, &client, act.now).await?;
            store::tokens::families::revoke_of_client(tx, &session.user_id, &client, "consent_withdrawn", act.now)
                .await?;
            let named = store::clients::by_id(tx, &client).await?.map(|client| client.name().to_owned());
            let event = of_session(act.event(Kind::ConsentWithdrawn), &session).noting(named.unwrap_or_default());
            store::activity::record(tx, &event).await?;
        }
        Ok(())
    })?;
    Ok(Notice::AccessWithdrawn.at(PATH))
}
