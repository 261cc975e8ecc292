//! The way of a provider's Unified Login, as both sides read it (U1).

use crate::model::activity::actor_for_provider;
use crate::store::unified_login::Stepped;
use crate::time::Timestamp;

/// One step as a row.
#[derive(Clone, Debug)]
pub struct StepView {
    /// In a time zone.
    pub when: String,
    /// Which.
    pub step: &'static str,
    /// Who took it.
    pub by: String,
    /// In that person's words.
    pub note: Option<String>,
    /// The provider's id.
    pub provider_id: String,
    /// The provider's code.
    pub code: String,
}

impl StepView {
    /// A step in a time zone; a Provider Admin reads no names of Therap's people.
    #[must_use]
    pub fn of(step: Stepped, zone: &str, for_provider: bool) -> Self {
        Self {
            when: Timestamp(step.at).in_zone(zone),
            step: step.step.label(),
            by: if for_provider { actor_for_provider(&step.actor) } else { step.actor },
            note: step.note,
            provider_id: step.provider_id,
            code: step.code,
        }
    }
}

/// How long ago something was, for a queue.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let minutes = since.until(now).as_secs() / 60;
    let (count, unit) = match minutes {
        0..60 => (minutes, "minute"),
        60..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_round() {
        let age = |minutes: i64| age(Timestamp(0), Timestamp(minutes * 60_000));
        assert_eq!([age(0), age(1), age(59)], ["0 minutes", "1 minute", "59 minutes"]);
        assert_eq!([age(60), age(2879), age(2880)], ["1 hour", "47 hours", "2 days"]);
    }
}
