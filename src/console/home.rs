//! `/operator`: what an operator wants to see first.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::model::reason;
use crate::model::signing_key::State;
use crate::operations::keys::in_use;
use crate::operations::seed_file::{self, Place, Users};
use crate::store::activity::counts::SignIns;
use crate::store::statistics::{self, Hour};
use crate::store::unified_login;
use crate::time::Timestamp;
use crate::web::download;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

/// How far back the numbers go.
const SPAN: Duration = Duration::from_hours(24);
const HOUR_MS: i64 = 3_600_000;

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage {
    page: Page,
    waiting: i64,
    failing: i64,
    given_up: i64,
    hours: Vec<(String, SignIns)>,
    refusals: Vec<RefusalView>,
    keys: Vec<KeyView>,
    zone: String,
}

struct RefusalView {
    login_type: String,
    reason: String,
    count: i64,
}

struct KeyView {
    algorithm: String,
    kid: String,
    signs_from: String,
    state: State,
}

/// `GET /operator`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, admin: TherapAdmin) -> Result<Response, PageError> {
    let since = arrival.now.before(SPAN);
    let zone = &admin.session.time_zone;
    let mut conn = app.db.read_much().await?;
    let waiting = unified_login::count_waiting(&mut conn).await?;
    let (failing, given_up) = statistics::failing_deliveries(&mut conn, since).await?;
    let hours = statistics::hours(&mut conn, since).await?;
    let refusals = statistics::refusals(&mut conn, since).await?;
    drop(conn);
    let keys = in_use::list(&app, arrival.now).await?;
    let live = keys.into_iter().filter(|listed| listed.state != State::Retired);
    let template = HomePage {
        page: Page::of(&app, "Operator", &admin.session),
        waiting,
        failing,
        given_up,
        hours: by_hour(hours, zone),
        refusals: refusals
            .into_iter()
            .map(|row| RefusalView { login_type: row.login_type, reason: reason::label(&row.reason), count: row.count })
            .collect(),
        keys: live
            .map(|listed| KeyView {
                signs_from: Timestamp(listed.key.signs_from).in_zone(zone),
                state: listed.state,
                algorithm: listed.key.alg,
                kid: listed.key.kid,
            })
            .collect(),
        zone: zone.clone(),
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

/// `GET /operator/export`: what was set, as a seed file without users.
pub async fn export(app: App, _: TherapAdmin) -> Response {
    const USERS: Users = Users::Without;
    let place = Place::start(None);
    let head = seed_file::head(&place, USERS);
    download::file(seed_file::NAME, "application/toml", head, place, move |place| {
        let app = app.clone();
        async move { seed_file::next(&app, USERS, place).await }
    })
}

/// The numbers as rows, the newest hour first; hours without a try are left out.
fn by_hour(counts: Vec<Hour>, zone: &str) -> Vec<(String, SignIns)> {
    let mut rows: BTreeMap<i64, SignIns> = BTreeMap::new();
    for row in counts {
        let hour = rows.entry(row.hour).or_default();
        let number = match (row.login_type.as_str(), row.outcome.as_str()) {
            ("Direct Login", "success") => &mut hour.direct,
            ("Direct Login", "refused") => &mut hour.direct_refused,
            ("Unified Login", "success") => &mut hour.unified,
            ("Unified Login", "refused") => &mut hour.unified_refused,
            // Unfinished: the sign-in that comes of it is counted.
            _ => continue,
        };
        *number += row.count;
    }
    rows.into_iter().rev().map(|(hour, counts)| (Timestamp(hour * HOUR_MS).in_zone(zone), counts)).collect()
}
