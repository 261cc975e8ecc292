//! How records read on a page.

use crate::model::activity::{Kind, is_of_therap};
use crate::store::activity::Record;
use crate::time::Timestamp;
use crate::web::user_agent::browser;

/// One row of activity.
#[derive(Clone, Debug)]
pub struct ActivityView {
    /// In the provider's time zone.
    pub when: String,
    /// What happened.
    pub what: String,
    /// By which sign-in method.
    pub login_type: Option<String>,
    /// What stands beneath it.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: &'static str,
    /// From where.
    pub address: String,
    /// With what.
    pub browser: String,
}

impl ActivityView {
    /// A record as its own user may read it: reasons and details of administration are for admins.
    #[must_use]
    pub fn of(record: Record, zone: &str) -> Self {
        let of_therap = is_of_therap(&record.actor);
        Self {
            when: Timestamp(record.at).in_zone(zone),
            what: record.kind.label_with(record.outcome).to_owned(),
            login_type: record.login_type,
            note: record.note.filter(|_| record.kind == Kind::SignIn),
            outcome: record.outcome.label(),
            address: record.address.filter(|_| !of_therap).unwrap_or_default(),
            // What an operator did on the machine came from no browser; a Therap Admin's is nobody else's business.
            browser: record
                .browser
                .filter(|text| !of_therap && !text.is_empty())
                .map_or_else(|| "No browser".into(), |text| browser(&text)),
        }
    }
}
