//! Unified Login: a signed assertion from Therap Services becomes a session of our own within 30 seconds (U2 to U14).
//!
//! [`receive`] takes the POST and stores a pending handoff; [`complete`] turns it into a session; [`settle`] ends what
//! neither could; [`explain`] says of an assertion what they would say, and
//! [`workbench`] shows it.

pub mod assertion;
pub mod button;
mod claim;
pub mod claims;
pub mod complete;
pub mod explain;
mod hints;
pub mod new_key;
pub mod receive;
mod refused;
pub mod settle;
pub mod trail;
pub mod trust;
pub mod workbench;

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::config::Site;
use crate::log;
use crate::metrics::labels::HandoffOutcome;
use crate::model::refusal::Refusal;
use crate::model::session::Method;
use crate::web::error::PageError;
use crate::web::page::{Page, Shape, respond_without_form};
use assertion::Rules;

/// The purpose under which a `jti` is claimed.
pub(crate) const CLAIM: &str = "handoff";
/// The purpose under which the first repeat of an assertion is claimed: it is recorded, later ones are counted.
pub(crate) const REPEAT: &str = "handoff repeat";
/// The purpose under which a trustedly signed assertion without a usable `jti` is recorded once.
pub(crate) const MALFORMED: &str = "handoff malformed";

/// The page of a refused handoff (U10).
#[derive(Template)]
#[template(path = "handoff/refused.html")]
struct RefusedPage {
    page: Page,
    message: &'static str,
    advice: &'static str,
    /// On a beta site, what was wrong, and what the sender does about it.
    reason: Option<(String, &'static str)>,
    reference: String,
}

/// 403 and the page: never 408, which browsers silently repeat.
fn refused_page(app: &App, refusal: Refusal, reference: &str) -> Response {
    let message = refusal.message();
    let template = RefusedPage {
        page: Page::new(app, "Sign-in refused"),
        reason: (app.config.site == Site::Beta).then(|| (refusal.label(), refusal.cure())),
        message: message.text(),
        advice: message.advice(),
        reference: reference.to_owned(),
    };
    respond_without_form(StatusCode::FORBIDDEN, Shape::Entrance, &template)
}

/// 503: nothing was decided.
fn unavailable(app: &App, why: String) -> Response {
    app.metrics.handoff_failed();
    log::sign_in(Method::Handoff.as_str(), HandoffOutcome::Failed.as_str());
    PageError::HandoffUnavailable(why).into_response()
}

/// What the log says of a handoff that comes while our clock is wrong: the 30 seconds would be stretched or cut short.
const CLOCK_IS_WRONG: &str = "our clock differs from the database's, so it is not known what is in time";

/// From the click to the answer.
fn timeout(app: &App) -> Duration {
    Duration::from_secs(app.config.handoff.timeout_seconds.into())
}

/// What the verifier must know of us.
fn rules(app: &App) -> Rules<'_> {
    Rules {
        audience: &app.config.issuer,
        future_skew: Duration::from_secs(app.config.handoff.future_skew_seconds.into()),
    }
}
