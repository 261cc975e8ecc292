//! `/operator/keys`: our signing keys: where in its life each is, a new one, and taking one back at once (G20).

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::console::admins::{Reauthenticated, TherapAdmin};
use crate::crypto::jws::Algorithm;
use crate::model::signing_key::State;
use crate::operations::keys::in_use::{self, Listed};
use crate::operations::keys::rotation::{self, Retired, Rotated, When};
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// As many keys are shown of an algorithm, the newest first.
const SHOWN: usize = 30;

#[derive(Template)]
#[template(path = "console/keys.html")]
struct KeysPage {
    page: Page,
    algorithms: Vec<AlgorithmView>,
    announce: String,
    zone: String,
}

struct AlgorithmView {
    name: &'static str,
    /// A key waits for its time already.
    announced: bool,
    newest: String,
    keys: Vec<KeyView>,
}

struct KeyView {
    kid: String,
    state: State,
    signs_from: String,
    verifies_until: Option<String>,
    retired_at: Option<String>,
}

impl KeyView {
    fn of(listed: &Listed, zone: &str) -> Self {
        let date = |at: i64| Timestamp(at).in_zone(zone);
        Self {
            kid: listed.key.kid.clone(),
            state: listed.state,
            signs_from: date(listed.key.signs_from),
            verifies_until: listed.key.verifies_until.map(date),
            retired_at: listed.key.retired_at.map(date),
        }
    }
}

fn of_algorithm<'a>(keys: &'a [Listed], alg: &str) -> impl DoubleEndedIterator<Item = &'a Listed> {
    keys.iter().filter(move |listed| listed.key.alg == alg)
}

/// The newest key of an algorithm: who presses a button on an older page is told so.
fn newest(keys: &[Listed], alg: &str) -> String {
    of_algorithm(keys, alg).next_back().map(|listed| listed.key.kid.clone()).unwrap_or_default()
}

/// `GET /operator/keys`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(app: App, arrival: Arrival, admin: TherapAdmin, told: Told) -> Result<Response, PageError> {
    let keys = in_use::list(&app, arrival.now).await?;
    let zone = admin.session.time_zone.clone();
    let view = |alg: Algorithm| AlgorithmView {
        name: alg.name(),
        announced: of_algorithm(&keys, alg.name()).any(|listed| listed.state == State::Announced),
        newest: newest(&keys, alg.name()),
        keys: of_algorithm(&keys, alg.name()).rev().take(SHOWN).map(|listed| KeyView::of(listed, &zone)).collect(),
    };
    let template = KeysPage {
        page: Page::of(&app, "Signing keys", &admin.session).saying(told),
        algorithms: Algorithm::ALL.into_iter().map(view).collect(),
        announce: span(app.config.keys.announce_minutes),
        zone,
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

fn back(done: Notice) -> Response {
    done.at("/operator/keys")
}

async fn rotate_by(
    app: App,
    arrival: Arrival,
    admin: &TherapAdmin,
    mut fields: Fields,
    when: When,
) -> Result<Response, PageError> {
    let Ok(alg) = fields.take("alg").parse::<Algorithm>() else {
        return Err(PageError::BadForm("It does not say for which algorithm."));
    };
    if fields.take("newest") != newest(&in_use::list(&app, arrival.now).await?, alg.name()) {
        return Ok(back(Notice::KeyPublishedAlready));
    }
    Ok(match rotation::rotate(&admin.act(&app, &arrival), alg, when).await? {
        Rotated::Done { .. } => back(match when {
            When::Announced => Notice::KeyAnnounced,
            When::AtOnce => Notice::KeySignsNow,
        }),
        Rotated::Already { .. } => back(Notice::KeyPublishedAlready),
        Rotated::TooMany => back(Notice::TooManyKeys),
    })
}

/// `POST /operator/keys/rotate`: a new key for the algorithm of the field `alg`, announced.
///
/// # Errors
/// When the form says no algorithm, or the database fails.
pub async fn rotate(app: App, arrival: Arrival, admin: TherapAdmin, fields: Fields) -> Result<Response, PageError> {
    rotate_by(app, arrival, &admin, fields, When::Announced).await
}

/// `POST /operator/keys/rotate-at-once`: the same, signing now.
///
/// # Errors
/// When the form says no algorithm, or the database fails.
pub async fn rotate_at_once(
    app: App,
    arrival: Arrival,
    proof: Reauthenticated,
    fields: Fields,
) -> Result<Response, PageError> {
    rotate_by(app, arrival, &proof.admin, fields, When::AtOnce).await
}

/// `POST /operator/keys/retire`: takes the key of the field `kid` back.
///
/// # Errors
/// When there is no such key, or the database fails.
pub async fn retire(
    app: App,
    arrival: Arrival,
    proof: Reauthenticated,
    mut fields: Fields,
) -> Result<Response, PageError> {
    match rotation::retire(&proof.admin.act(&app, &arrival), &fields.take("kid")).await? {
        Retired::Done { .. } => Ok(back(Notice::KeyRetired)),
        Retired::Already => Ok(back(Notice::KeyRetiredAlready)),
        Retired::NotFound => Err(PageError::NotFound),
    }
}

/// So many minutes as people say it.
fn span(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (1, 0) => "1 hour".into(),
        (hours, 0) => format!("{hours} hours"),
        _ => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn whole_hours_are_hours() {
        assert_eq!([60, 1440, 90, 5].map(span), ["1 hour", "24 hours", "90 minutes", "5 minutes"]);
    }
}
