//! `GET /unified-login/complete?h=<id>`: from a pending handoff to a session, in one transaction before the deadline.
//!
//! A top-level GET, so the browser's Lax cookies come along: the old session's too. It may be repeated (a reload, a
//! proxy's retry on another replica): the session's secret is derived from the handle, so a repeat finds it again.

use std::time::Duration;

use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::CLOCK_IS_WRONG;
use super::claim::{check_account, check_lock};
use super::receive::refuse;
use super::{settle, timeout, unavailable};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::log;
use crate::metrics::labels::HandoffOutcome;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::refusal::Refusal;
use crate::model::session::Method;
use crate::model::user::Account;
use crate::operations::sessions::open::{Browser, Opening, limits, open_session};
use crate::store::handoffs::meant::Standing;
use crate::store::handoffs::{Handoff, State};
use crate::store::issuers::Tied;
use crate::store::{self, Tx, in_transaction};
use crate::time::{Deadline, Random, Timestamp};
use crate::web::cookies::Cookie;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};
use crate::web::session::browser;

/// How long the answer to a step that comes late waits for the result of the handoff.
const LATE_PATIENCE: Duration = Duration::from_millis(900);

/// The query: the handoff's id.
#[derive(Debug, Default, Deserialize)]
pub struct CompleteQuery {
    h: Option<String>,
}

/// How the second step ends.
#[derive(Clone, Debug)]
enum Completed {
    /// A session, now; and where to go.
    Opened(Option<String>),
    /// A session came of it before and still lives under its secret.
    Again,
    /// A session came of it before and is over: no cookie changes.
    Over,
    /// Refused.
    Refused(Refusal),
}

/// `GET /unified-login/complete`
pub async fn get(app: App, arrival: Arrival, headers: HeaderMap, Query(query): Query<CompleteQuery>) -> Response {
    if app.clock_is_wrong() {
        return unavailable(&app, CLOCK_IS_WRONG.into());
    }
    let id = query.h.unwrap_or_default();
    let cookie = Cookie::Handoff(id.clone());
    let (Some(handle), Some(started)) = (cookie.read(&headers, &app.config), birth(&id)) else {
        return refuse(&app, Refusal::HandleMissing, &arrival.visitor);
    };
    // No later than this even for an id that somebody made up; the row's own deadline is checked in the transaction.
    let ends = started.after(timeout(&app)).min(arrival.now.after(timeout(&app)));
    // Late already: the work is still done, for the record and for a repeat of what was completed in time.
    let (work, answer_by) = if ends <= arrival.now {
        (app.ordinary_deadline(arrival.now), Deadline::after(LATE_PATIENCE, arrival.now))
    } else {
        (Deadline::at(ends, arrival.now), Deadline::at(ends, arrival.now))
    };
    let secret = handle.derive("session");
    let browser = browser(&headers, &app);
    let had_pre_auth = browser.pre_auth.is_some();
    let step = SecondStep {
        id,
        handle_hash: handle.digest(),
        secret_hash: secret.digest(),
        browser,
        visitor: arrival.visitor.clone(),
    };
    let completed = match complete_in_time(&app, step, work, answer_by).await {
        Ok(completed) => completed,
        Err(error) => return unavailable(&app, error.to_string()),
    };
    answer(&app, &completed, &secret, &cookie, had_pre_auth, (started, &arrival.visitor))
}

/// When a handoff's clock started: the birth of its id.
fn birth(id: &str) -> Option<Timestamp> {
    let (seconds, nanos) = uuid::Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    Some(Timestamp(i64::try_from(seconds).ok()?.checked_mul(1000)? + i64::from(nanos / 1_000_000)))
}

fn answer(
    app: &App,
    completed: &Completed,
    secret: &Secret,
    cookie: &Cookie,
    had_pre_auth: bool,
    (started, visitor): (Timestamp, &Visitor),
) -> Response {
    let (mut response, sets_session) = match completed {
        Completed::Refused(refusal) => {
            let mut response = refuse(app, *refusal, visitor);
            response.headers_mut().append(header::SET_COOKIE, cookie.clear(&app.config));
            return response;
        }
        Completed::Opened(target) => {
            app.metrics.handed_off(started.until(app.clock.now()));
            log::sign_in(Method::Handoff.as_str(), HandoffOutcome::Success.as_str());
            (land(app, target.as_deref()), true)
        }
        Completed::Again => (Redirect::to("/").into_response(), true),
        Completed::Over => (Redirect::to("/").into_response(), false),
    };
    if sets_session {
        response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(secret, &app.config));
        if had_pre_auth {
            response.headers_mut().append(header::SET_COOKIE, Cookie::PreAuth.clear(&app.config));
        }
    }
    response
}

/// Onwards: by a redirect on this site. To an app by a page of ours, since browsers hold every redirect that follows
/// the sender's form to the `form-action` of the sender's page, which lists us alone.
fn land(app: &App, target: Option<&str>) -> Response {
    match target {
        Some(address) if !address.starts_with('/') => {
            let template = Onwards { page: Page::new(app, "One moment"), next: address.to_owned() };
            respond(StatusCode::OK, Shape::Entrance, &template)
        }
        path => Redirect::to(path.unwrap_or("/")).into_response(),
    }
}

#[derive(Template)]
#[template(path = "handoff/onwards.html")]
struct Onwards {
    page: Page,
    next: String,
}

#[derive(Clone, Debug)]
struct SecondStep {
    id: String,
    handle_hash: String,
    secret_hash: String,
    browser: Browser,
    visitor: Visitor,
}

/// Completes before the deadline, or says that it is late. The work continues on its own: a session that came of it
/// after the person was told otherwise is ended.
async fn complete_in_time(
    app: &App,
    step: SecondStep,
    deadline: Deadline,
    answer_by: Deadline,
) -> Result<Completed, store::Error> {
    let (answer, waiting) = oneshot::channel();
    let app = app.clone();
    log::spawn(async move {
        let completed = complete(&app, &step, deadline).await;
        let late = matches!(completed, Err(store::Error::Late | store::Error::Stalled(_)));
        if late {
            deadline.reached().await;
        }
        // With any other error a commit that was under way may have happened.
        let may_have_opened = matches!(completed, Ok(Completed::Opened(_))) || (completed.is_err() && !late);
        let unheard = answer.send(completed).is_err();
        if late && let Err(error) = settle::expire_pending(&app).await {
            tracing::warn!("a timed-out handoff is left to the sweep: {error}");
        }
        // A browser that only broke off may come again: its session is the sweep's, like any that nobody used.
        if may_have_opened && unheard && deadline.left().is_zero() {
            settle::end_unheard_at_last(app, step.id, step.handle_hash).await;
        }
    });
    match answer_by.run(waiting).await {
        Some(Ok(Err(store::Error::Late | store::Error::Stalled(_)))) | None => {
            Ok(Completed::Refused(Refusal::TimedOut))
        }
        Some(Ok(completed)) => completed,
        Some(Err(_)) => Err(store::Error::TaskDied),
    }
}

async fn complete(app: &App, step: &SecondStep, deadline: Deadline) -> Result<Completed, store::Error> {
    let (db, owned, step, now) = (&app.db, app.clone(), step.clone(), app.clock.now());
    in_transaction!(db, deadline, [owned, step], |tx| {
        let Some(standing) = store::handoffs::meant::lock_for_update(tx, &step.id, &step.handle_hash).await? else {
            return Ok(Completed::Refused(Refusal::HandleMissing));
        };
        let handoff = &standing.handoff;
        match handoff.state {
            State::Completed => match store::sessions::find(tx, &step.secret_hash, now).await? {
                // Its first answer was never used, and a session does not begin this late (U7).
                Some(session) if session.used_at.is_none() && Timestamp(handoff.deadline) <= now => {
                    settle::end_unused_in(tx, &handoff.id, now, &owned.random).await?;
                    Ok(Completed::Refused(Refusal::TimedOut))
                }
                Some(_) => Ok(Completed::Again),
                None => Ok(Completed::Over),
            },
            State::Failed if Timestamp(handoff.deadline) <= now => Ok(Completed::Refused(Refusal::TimedOut)),
            State::Failed => Ok(Completed::Refused(Refusal::ChangedMeanwhile)),
            State::Pending => finish(&owned, tx, standing, &step, now).await,
        }
    })
}

/// The pending handoff becomes a session, or a recorded failure; nothing in between.
async fn finish(
    app: &App,
    tx: &mut Tx,
    standing: Standing,
    step: &SecondStep,
    now: Timestamp,
) -> Result<Completed, store::Error> {
    let Standing { handoff, account, issuer_stands, tied } = standing;
    let handoff = &handoff;
    if Timestamp(handoff.deadline) <= now {
        let event = settle::timed_out(tx, handoff, now, &app.random).await?;
        store::handoffs::settle(tx, &handoff.id, State::Failed).await?;
        store::activity::record(tx, &event).await?;
        return Ok(Completed::Refused(Refusal::TimedOut));
    }
    log::name_provider(&account.provider_code);
    let refusal = match check_again(handoff, &account, issuer_stands) {
        Some(refusal) => Some(refusal),
        None => tie(tx, handoff, tied, now).await?,
    };
    if let Some(refusal) = refusal {
        store::handoffs::settle(tx, &handoff.id, State::Failed).await?;
        store::activity::record(tx, &refused(handoff, &account, refusal, step, now, &app.random)).await?;
        return Ok(Completed::Refused(refusal));
    }
    open_session(tx, &opening(app, handoff, account, step), now).await?;
    Ok(Completed::Opened(handoff.target.clone()))
}

/// Everything that may have changed since the first step, as it was read again where it counts (G9).
fn check_again(handoff: &Handoff, account: &Account, issuer_stands: bool) -> Option<Refusal> {
    if account.admin_locked {
        return Some(Refusal::AdminLocked);
    }
    let same = account.epoch == handoff.user_epoch && account.provider_epoch == handoff.provider_epoch && issuer_stands;
    check_account(account).or_else(|| (!same).then_some(Refusal::ChangedMeanwhile)).or_else(|| check_lock(account))
}

/// The first accepted handoff ties the issuer's `sub` to the user (U12).
async fn tie(tx: &mut Tx, handoff: &Handoff, found: Tied, now: Timestamp) -> Result<Option<Refusal>, store::Error> {
    use store::issuers::{tie, tied};
    let h = handoff;
    if found == Tied::No && !tie(tx, &h.issuer_id, &h.provider_id, &h.sub, &h.user_id, now).await? {
        // Another handoff tied one of the two since we looked.
        return Ok(Refusal::of_tie(tied(tx, &h.issuer_id, &h.provider_id, &h.sub, &h.user_id).await?));
    }
    Ok(Refusal::of_tie(found))
}

fn opening(app: &App, handoff: &Handoff, account: Account, step: &SecondStep) -> Opening {
    let (idle, absolute) = limits(app, account.idle_minutes, account.absolute_hours);
    Opening {
        account,
        method: Method::Handoff,
        acr: handoff.acr.clone(),
        amr: handoff.amr.clone(),
        auth_time: Timestamp(handoff.auth_time),
        issuer: Some((handoff.issuer_id.clone(), handoff.issuer_epoch)),
        handoff_id: Some(handoff.id.clone()),
        secret_hash: step.secret_hash.clone(),
        browser: step.browser.clone(),
        visitor: step.visitor.clone(),
        idle,
        absolute,
        random: app.random.clone(),
    }
}

fn refused(
    handoff: &Handoff,
    account: &Account,
    refusal: Refusal,
    step: &SecondStep,
    now: Timestamp,
    random: &Random,
) -> Event {
    Event::new(Kind::SignIn, Outcome::Refused, "user", &step.visitor, now, random)
        .by(Method::Handoff)
        .about(account)
        .because(refusal.as_str())
        .of_handoff(&handoff.id)
}
