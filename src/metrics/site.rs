//! What is the whole site's: the same on every replica, as the database last said.

use prometheus_client::registry::Registry;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::measure::{Gauge, number, seconds};
use crate::store::statistics::Backlog;
use crate::time::Timestamp;

/// What the database said.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Logouts that apps have yet to be told of.
    pub logouts: Backlog,
    /// Mails that have yet to be sent.
    pub mails: Backlog,
    /// When the first of the keys that sign should have a successor; `None` where there is none yet.
    pub keys_expire: Option<Timestamp>,
    /// The last step that was taken on the schema.
    pub schema: i64,
}

/// The site's numbers.
#[derive(Debug, Default)]
pub struct Site {
    /// When the database was last asked. Who holds it asks, and the others wait for that.
    pub asked_at: Mutex<Option<Instant>>,
    database_up: Gauge,
    outbox_depth: Gauge,
    outbox_oldest: Gauge,
    mail_depth: Gauge,
    mail_oldest: Gauge,
    key_expiry: Gauge,
    schema: Gauge,
    own_schema: Gauge,
}

impl Site {
    pub(super) fn register(&self, r: &mut Registry, own_schema: i64) {
        self.own_schema.set(number(own_schema));
        r.register(
            "database_up",
            "1 if the database answered when it was last asked for these",
            self.database_up.clone(),
        );
        r.register("outbox_depth", "Logouts that apps have yet to be told of", self.outbox_depth.clone());
        r.register("outbox_oldest_age_seconds", "How long the oldest of them waits", self.outbox_oldest.clone());
        r.register("mail_depth", "Mails that have yet to be sent", self.mail_depth.clone());
        r.register("mail_oldest_age_seconds", "How long the oldest of them waits", self.mail_oldest.clone());
        let expiry = self.key_expiry.clone();
        r.register(
            "signing_key_expiry_timestamp_seconds",
            "When the first signing key should have a successor",
            expiry,
        );
        r.register("schema_version", "The last step of the schema that this program knows", self.own_schema.clone());
        r.register("database_schema_version", "The last step of the database's schema", self.schema.clone());
    }

    /// What was found now; nothing where the database did not answer: what it said before stands then.
    pub fn found(&self, found: Option<Found>, now: Timestamp) {
        self.database_up.set(f64::from(u8::from(found.is_some())));
        let Some(found) = found else { return };
        let age = |since: Option<i64>| since.map_or(0.0, |since| Timestamp(since).until(now).as_secs_f64());
        self.outbox_depth.set(number(found.logouts.count));
        self.outbox_oldest.set(age(found.logouts.since));
        self.mail_depth.set(number(found.mails.count));
        self.mail_oldest.set(age(found.mails.since));
        self.key_expiry.set(found.keys_expire.map_or(0.0, seconds));
        self.schema.set(number(found.schema));
    }
}
