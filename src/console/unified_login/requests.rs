//! `/operator/requests`: who waits for Unified Login, how long, and the decision (U1).

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::history::{StepView, age};
use crate::app::App;
use crate::console::admins::{TherapAdmin, agency};
use crate::operations::unified_login::{self, Decision, Transition};
use crate::store;
use crate::store::unified_login::Waiting;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::sentence;
use crate::web::ids::{Id, checked};
use crate::web::kept_form::KeptForm;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// Where it stands.
pub(super) const PATH: &str = "/operator/requests";
/// How many are shown: the rest follows when these are decided.
const MOST: i64 = 100;

#[derive(Template)]
#[template(path = "console/unified_login/requests.html")]
struct RequestsPage {
    page: Page,
    waiting: Vec<WaitingView>,
    steps: Vec<StepView>,
    zone: String,
}

struct WaitingView {
    provider_id: String,
    code: String,
    name: String,
    active: bool,
    step: String,
    since: String,
    age: String,
    by: String,
    note: Option<String>,
    /// What was typed, when it was not accepted.
    reason: String,
    fault: Option<String>,
}

/// `GET /operator/requests`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    told: Told,
    kept: KeptForm,
) -> Result<Response, PageError> {
    let mut page = page(&app, &arrival, &admin).await?;
    page.page = page.page.saying(told);
    for row in &mut page.waiting {
        if let Some(mut fields) = kept.sent_to(&admin.session, &format!("{PATH}/{}", row.provider_id)) {
            row.reason = fields.take("reason");
            page.page.notice = Some(Notice::FormIsBack);
        }
    }
    Ok(respond(StatusCode::OK, Shape::Inside, &page))
}

/// `POST /operator/requests/{provider}`: declines the request that was read. To approve it is confirmed on a page of its own.
///
/// # Errors
/// When there is no such provider, or the database fails.
pub async fn decide(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    mut fields: Fields,
) -> Result<Response, PageError> {
    match fields.take("decision").as_str() {
        "decline" => {}
        // From a page that was opened before there was a confirmation.
        "approve" => {
            let id = agency(&app, &id).await?.id;
            return Ok(Redirect::to(&format!("{PATH}/{id}/approve")).into_response());
        }
        _ => {
            agency(&app, &id).await?;
            return Err(PageError::BadForm("It does not say what was decided."));
        }
    }
    let (typed, read) = (fields.take("reason"), checked(&fields.take("step")));
    match unified_login::decide(&admin.act(&app, &arrival), &id, read, Decision::Decline, &typed).await? {
        Transition::Yes => Ok(Notice::RequestDeclined.at(PATH)),
        Transition::Stale => Ok(Notice::RequestMovedOn.at(PATH)),
        Transition::NotFound => Err(PageError::NotFound),
        Transition::Invalid(invalid) => {
            let mut page = page(&app, &arrival, &admin).await?;
            // It was the one that was read a moment ago.
            let Some(row) = page.waiting.iter_mut().find(|row| row.provider_id == id) else {
                return Ok(Notice::RequestMovedOn.at(PATH));
            };
            (row.reason, row.fault) = (typed, Some(sentence("The reason", &invalid.why)));
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Inside, &page))
        }
    }
}

async fn page(app: &App, arrival: &Arrival, admin: &TherapAdmin) -> Result<RequestsPage, PageError> {
    let zone = &admin.session.time_zone;
    let mut conn = app.db.read_much().await?;
    let waiting = store::unified_login::waiting(&mut conn, MOST).await?;
    let steps = store::unified_login::newest(&mut conn, 25).await?;
    drop(conn);
    Ok(RequestsPage {
        page: Page::of(app, "Requests", &admin.session),
        waiting: waiting.into_iter().map(|row| view(row, zone, arrival.now)).collect(),
        steps: steps.into_iter().map(|step| StepView::of(step, zone, false)).collect(),
        zone: zone.clone(),
    })
}

fn view(row: Waiting, zone: &str, now: Timestamp) -> WaitingView {
    WaitingView {
        since: Timestamp(row.since).in_zone(zone),
        age: age(Timestamp(row.since), now),
        provider_id: row.provider_id,
        code: row.code,
        name: row.name,
        active: row.active,
        step: row.step_id.unwrap_or_default(),
        by: row.actor.unwrap_or_else(|| "–".into()),
        note: row.note,
        reason: String::new(),
        fault: None,
    }
}
