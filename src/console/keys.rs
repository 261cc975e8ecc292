//! `/operator/keys`: our signing keys: where in its life each is, a new one, and revoking one (G20).

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::confirm::{Confirmation, Input, PathAction, Question};
use crate::crypto::jws::Algorithm;
use crate::model::signing_key::State;
use crate::model::words;
use crate::operations::admin_context::AdminContext;
use crate::operations::keys::in_use::{self, Listed};
use crate::operations::keys::rotation::{self, Retired, Rotated, When};
use crate::store;
use crate::time::Timestamp;
use crate::web::address::with_query;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::FieldErrors;
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

/// `POST /operator/keys/rotate`: a new key for the algorithm of the field `alg`, announced.
///
/// # Errors
/// When the form says no algorithm, or the database fails.
pub async fn rotate(app: App, arrival: Arrival, admin: TherapAdmin, mut fields: Fields) -> Result<Response, PageError> {
    let alg = algorithm(&fields.take("alg"))?;
    if fields.take("newest") != newest(&in_use::list(&app, arrival.now).await?, alg.name()) {
        return Ok(back(Notice::KeyPublishedAlready));
    }
    Ok(match rotation::rotate(&admin.act(&app, &arrival), alg, When::Announced).await? {
        Rotated::Done { .. } => back(Notice::KeyAnnounced),
        Rotated::Already { .. } => back(Notice::KeyPublishedAlready),
        Rotated::TooMany => back(Notice::TooManyKeys),
    })
}

fn algorithm(name: &str) -> Result<Algorithm, PageError> {
    name.parse().map_err(|()| PageError::BadForm("It does not say for which algorithm."))
}

/// The query: which algorithm's keys, or which key.
#[derive(Debug, Default, Deserialize)]
pub struct Which {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    kid: String,
}

/// An act on the keys, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new key for the algorithm of the query's `alg` signs now.
    RotateAtOnce,
    /// The key of the query's `kid` is revoked.
    Retire,
}
words!(Action { RotateAtOnce = "rotate-at-once", Retire = "retire" });

/// An act on the keys, about to be confirmed.
#[derive(Debug)]
pub struct OfKeys {
    act: Action,
    alg: Algorithm,
    /// The key that is revoked.
    kid: String,
}

impl Confirmation for OfKeys {
    type Admin = TherapAdmin;
    type Named = (PathAction<Action>, Query<Which>);

    async fn question(
        app: &App,
        now: Timestamp,
        _: &TherapAdmin,
        (PathAction(act), Query(which)): Self::Named,
        _: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let all = in_use::list(app, now).await?;
        let key = match act {
            Action::RotateAtOnce => None,
            Action::Retire => Some(all.iter().find(|listed| listed.key.kid == which.kid).ok_or(PageError::NotFound)?),
        };
        if key.is_some_and(|listed| listed.state == State::Retired) {
            return Ok(Err(back(Notice::KeyRetiredAlready)));
        }
        let alg = algorithm(key.map_or(which.alg.as_str(), |listed| listed.key.alg.as_str()))?;
        let keys: Vec<_> = of_algorithm(&all, alg.name()).collect();
        if keys.is_empty() {
            return Err(PageError::NotFound);
        }
        let clients = store::clients::count_signed_with(&mut app.db.read().await?, alg.name()).await?;
        let version = rotation::version(keys.iter().map(|listed| (&listed.key, listed.state)));
        let waits = keys.iter().any(|listed| listed.state == State::Announced);
        let of = match clients {
            0 => "No client gets".to_owned(),
            1 => "1 client gets".to_owned(),
            many => format!("{many} clients get"),
        };
        let receive = format!("{of} ID tokens that are signed with {}.", alg.name());
        let (title, heading, button, address) = match act {
            Action::RotateAtOnce => {
                let address = with_query("/operator/keys/rotate-at-once", "alg", alg.name());
                ("Sign with a new key", format!("Sign with a new {} key now?", alg.name()), "Sign with it now", address)
            }
            Action::Retire => {
                let address = with_query("/operator/keys/retire", "kid", &which.kid);
                ("Revoke key", format!("Revoke this {} key?", alg.name()), "Revoke key", address)
            }
        };
        let mut object = vec![("Algorithm", alg.name().to_owned())];
        if let Some(listed) = key {
            object.extend([("Key", listed.key.kid.clone()), ("State", listed.state.to_string())]);
        }
        let question = Question {
            title,
            heading,
            object,
            effects: effects(key.map(|listed| listed.state), waits, receive),
            input: Input::Nothing,
            button,
            address,
            back: "/operator/keys".into(),
            version,
            seen: version.to_string(),
            faults: FieldErrors::default(),
        };
        Ok(Ok((question, Self { act, alg, kid: which.kid })))
    }

    async fn carry_out(self, _: &TherapAdmin, by: &AdminContext) -> Result<Response, PageError> {
        match self.act {
            Action::RotateAtOnce => Ok(match rotation::rotate(by, self.alg, When::AtOnce).await? {
                Rotated::Done { .. } => back(Notice::KeySignsNow),
                Rotated::Already { .. } => back(Notice::KeyPublishedAlready),
                Rotated::TooMany => back(Notice::TooManyKeys),
            }),
            Action::Retire => match rotation::retire(by, &self.kid).await? {
                Retired::Done { .. } => Ok(back(Notice::KeyRetired)),
                Retired::Already => Ok(back(Notice::KeyRetiredAlready)),
                Retired::Stale => Ok(back(Notice::ChangedSince)),
                Retired::NotFound => Err(PageError::NotFound),
            },
        }
    }
}

/// What it does: to revoke a key in this state, or to sign with a new one where there is none.
fn effects(revoked: Option<State>, waits: bool, receive: String) -> Vec<String> {
    let now = if waits { "The pending key starts signing now." } else { "A new key starts signing now." };
    let Some(state) = revoked else {
        let fail = "Apps with a cached key set fail until they fetch it again.";
        return vec![now.to_owned(), receive, fail.to_owned()];
    };
    let mut effects =
        vec!["ID tokens and access tokens that it signed are no longer valid. This cannot be undone.".to_owned()];
    match state {
        State::Signing => effects.extend([now.to_owned(), receive]),
        State::Announced => effects.push("It has not signed yet. Another key is announced in its place.".to_owned()),
        State::Verifying | State::Retired => {}
    }
    effects
}

/// A number of minutes as people say it.
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
