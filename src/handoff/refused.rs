//! The record of a handoff that is refused after its signature was proven.

use super::assertion::Assertion;
use crate::app::App;
use crate::model::activity::{Event, Kind, Outcome};
use crate::model::refusal::Refusal;
use crate::model::session::Method as Door;
use crate::model::user::Account;
use crate::web::layers::Arrival;

/// The record of a refusal, whose reason only the transaction knows.
#[derive(Clone)]
pub(super) struct RefusedEvents(Event);

pub(super) fn refused_events(app: &App, assertion: &Assertion, arrival: &Arrival) -> RefusedEvents {
    let actor = format!("issuer {}", assertion.trusted.issuer.issuer);
    let event = Event::new(Kind::SignIn, Outcome::Refused, &actor, &arrival.visitor, app.clock.now(), &app.random);
    RefusedEvents(Event {
        maybe_provider_code: Some(assertion.provider_code.clone()),
        provider_code: Some(assertion.provider_code.chars().take(255).collect()),
        login_name: Some(assertion.login_name.chars().take(255).collect()),
        ..event.by(Door::Handoff)
    })
}

impl RefusedEvents {
    pub(super) fn event(&self, refusal: Refusal, account: Option<&Account>) -> Event {
        let event = self.0.clone().because(refusal.as_str());
        match account {
            Some(account) => event.about(account),
            None => event,
        }
    }
}
