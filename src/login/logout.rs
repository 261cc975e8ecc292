//! `POST /logout`: the session is dead on the server, whatever the browser still shows (L10).

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::model::event::{Event, Kind, Outcome};
use crate::model::session::EndReason;
use crate::operations::open_session::{held, of_session};
use crate::store::{self, in_transaction};
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::session::browser;

/// `POST /logout`. Harmless when nobody is signed in.
///
/// # Errors
/// When the database fails: then the session lives, and the cookies stay.
pub async fn post(app: App, arrival: Arrival, headers: HeaderMap) -> Result<Response, PageError> {
    let (db, now, browser) = (&app.db, arrival.now, browser(&headers, &app));
    let event = Event::new(Kind::Logout, Outcome::Success, "user", &arrival.visitor, now, &app.random);
    in_transaction!(db, app.ordinary_deadline(now), [browser, event], |tx| {
        if let Some(session) = held(tx, &browser, now).await?
            && store::sessions::end(tx, &session.id, EndReason::Logout, now).await?
        {
            store::activity::record(tx, &of_session(event, &session)).await?;
        }
        if let Some(pre_auth) = &browser.pre_auth {
            store::pre_auths::remove(tx, pre_auth).await?;
        }
        Ok(())
    })?;
    let mut response = Redirect::to("/login?logged_out=1").into_response();
    for cookie in [Cookie::Session, Cookie::PreAuth] {
        response.headers_mut().append(header::SET_COOKIE, cookie.clear(&app.config));
    }
    Ok(response)
}
