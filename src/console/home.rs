//! `/operator`: what an operator wants to see first.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::activity::chart::{Chart, grouped};
use super::confirm::counted;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::model::reason;
use crate::model::signing_key::State;
use crate::operations::keys::in_use::{self, Listed};
use crate::operations::replicas::{self, Compared};
use crate::operations::seed_file::{self, Place, Users};
use crate::store::activity::counts::{self, SignIns};
use crate::store::statistics::{self, Hour};
use crate::store::{Conn, Error, unified_login};
use crate::time::{Day, Timestamp, days, hours};
use crate::web::download;
use crate::web::error::PageError;
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

/// How far back the numbers go.
const SPAN: Duration = Duration::from_hours(24);
const HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;
const WEEK: Duration = Duration::from_hours(7 * 24);
/// A key whose date is so near is named.
const NEAR: Duration = Duration::from_hours(7 * 24);

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage {
    page: Page,
    attention: Vec<Attention>,
    today: Vec<Compare>,
    chart: Chart,
    waiting: i64,
    failing: i64,
    given_up: i64,
    hours: Vec<(String, SignIns)>,
    refusals: Vec<RefusalView>,
    keys: Vec<KeyView>,
    zone: String,
}

/// What needs an operator, in a sentence, and where it is looked at.
struct Attention {
    text: String,
    link: Option<(&'static str, &'static str)>,
}

/// A number of today beside that of the same hours a week ago.
struct Compare {
    label: &'static str,
    today: String,
    before: String,
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
    let counted = statistics::hours(&mut conn, since).await?;
    let refusals = statistics::refusals(&mut conn, since).await?;
    let today = today(&mut conn, arrival.now, zone).await?;
    drop(conn);
    let keys = in_use::list(&app, arrival.now).await?;
    let mut attention = of_requests(waiting, failing, given_up);
    attention.extend(of_keys(&app, &keys, arrival.now, zone));
    attention.extend(of_replicas(&replicas::compare(&app).await?));
    let live = keys.into_iter().filter(|listed| listed.state != State::Retired);
    let by_hour = by_hour(counted);
    let shown = hours(arrival.now, zone, HOURS);
    let of_hour = |hour: &Day| by_hour.get(&hour.begins.0.div_euclid(HOUR_MS)).copied().unwrap_or_default();
    let template = HomePage {
        page: Page::of(&app, "Operator", &admin.session),
        waiting,
        failing,
        given_up,
        attention,
        today,
        chart: Chart::of_hours(&shown, &shown.iter().map(of_hour).collect::<Vec<_>>()),
        hours: by_hour.iter().rev().map(|(hour, counts)| (Timestamp(hour * HOUR_MS).in_zone(zone), *counts)).collect(),
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

fn of_requests(waiting: i64, failing: i64, given_up: i64) -> Vec<Attention> {
    let mut found = Vec::new();
    if waiting > 0 {
        let verb = if waiting == 1 { "waits" } else { "wait" };
        found.push(Attention {
            text: format!("{} for Unified Login {verb} for a decision.", counted(waiting, "request")),
            link: Some(("/operator/requests", "Decide")),
        });
    }
    if failing + given_up > 0 {
        let (verb, abandoned) = (
            if failing + given_up == 1 { "has" } else { "have" },
            if given_up > 0 { format!(" {given_up} of them will not be tried again.") } else { String::new() },
        );
        found.push(Attention {
            text: format!("{} {verb} not been accepted by an app.{abandoned}", counted(failing + given_up, "logout")),
            link: Some(("/operator/deliveries", "See why")),
        });
    }
    found
}

/// Keys that change soon, and those whose date passed without a successor.
fn of_keys(app: &App, keys: &[Listed], now: Timestamp, zone: &str) -> Vec<Attention> {
    let is_announced = |alg: &str| keys.iter().any(|other| other.key.alg == alg && other.state == State::Announced);
    let named = |listed: &Listed| {
        let (alg, link) = (&listed.key.alg, Some(("/operator/keys", "Keys")));
        let ends = Timestamp(listed.key.signs_from).after(app.config.keys.lasts());
        let text = match listed.state {
            State::Announced => {
                format!("The new {alg} key starts signing on {}.", Timestamp(listed.key.signs_from).in_zone(zone))
            }
            State::Signing if is_announced(alg) => return None,
            State::Signing if ends <= now => {
                format!(
                    "The {alg} key was due to be replaced on {}, and was not. Run connect-idp doctor.",
                    ends.in_zone(zone)
                )
            }
            State::Signing if ends <= now.after(NEAR) => {
                format!("The {alg} key will be replaced automatically on {}.", ends.in_zone(zone))
            }
            State::Signing | State::Verifying | State::Retired => return None,
        };
        Some(Attention { text, link })
    };
    keys.iter().filter_map(named).collect()
}

fn of_replicas(compared: &Compared) -> Vec<Attention> {
    let mut found = Vec::new();
    let versions = compared.versions();
    if versions.len() > 1 {
        found.push(format!("Replicas run different versions: {}.", versions.join(", ")));
    }
    for (key, groups) in &compared.differing {
        let groups: Vec<_> = groups.iter().map(|names| names.join(" and ")).collect();
        found.push(format!(
            "Replicas have different values of {key}: {}. Run connect-idp doctor.",
            groups.join(" differs from ")
        ));
    }
    found.into_iter().map(|text| Attention { text, link: None }).collect()
}

/// The numbers of today so far, beside those of the same day a week ago up to the same time.
async fn today(conn: &mut Conn, now: Timestamp, zone: &str) -> Result<Vec<Compare>, Error> {
    let mut found = [SignIns::default(); 2];
    for (counted, until) in found.iter_mut().zip([now, now.before(WEEK)]) {
        if let Some(day) = days(None, until, zone, 1).pop() {
            // What happens in this very millisecond counts.
            *counted = counts::of_all(conn, None, &Day { ends: until.after(Duration::from_millis(1)), ..day }).await?;
        }
    }
    let [today, before] = found;
    let row =
        |label, of: fn(&SignIns) -> i64| Compare { label, today: grouped(of(&today)), before: grouped(of(&before)) };
    Ok(vec![
        row("Direct Login", |counts| counts.direct),
        row("Unified Login", |counts| counts.unified),
        row("Direct Login refused", |counts| counts.direct_refused),
        row("Unified Login refused", |counts| counts.unified_refused),
    ])
}

/// The numbers of each hour since 1970 in which somebody tried.
fn by_hour(counts: Vec<Hour>) -> BTreeMap<i64, SignIns> {
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
    rows
}
