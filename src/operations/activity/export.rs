//! User Activity in a file: the same members wherever it is written, by a command or for a page.

use serde::Serialize;

use crate::operations::csv::file;
use crate::store::activity::Record;
use crate::store::activity::chain::Placed;
use crate::time::Timestamp;

/// The member that a file in the order of commits has besides: the record's place (A5).
pub const PLACE: &str = "seq";

/// The members of a record in a file, in order (A1).
pub const MEMBERS: [&str; 16] = [
    "id",
    "time",
    "provider_code",
    "login_name",
    "name_hash",
    "actor",
    "kind",
    "login_type",
    "note",
    "outcome",
    "reason",
    "address",
    "browser",
    "reference",
    "session_id",
    "handoff_id",
];

/// A record as it stands in a file.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    /// UUIDv7.
    pub id: &'a str,
    /// RFC 3339.
    pub time: String,
    /// The provider.
    pub provider_code: Option<&'a str>,
    /// The user.
    pub login_name: Option<&'a str>,
    /// An unknown Login Name.
    pub name_hash: Option<&'a str>,
    /// Who did it.
    pub actor: &'a str,
    /// What.
    pub kind: &'static str,
    /// By which sign-in method.
    pub login_type: Option<&'a str>,
    /// What stands beneath.
    pub note: Option<&'a str>,
    /// How it ended.
    pub outcome: &'static str,
    /// The true reason.
    pub reason: Option<&'a str>,
    /// From where.
    pub address: Option<&'a str>,
    /// With what.
    pub browser: Option<&'a str>,
    /// The reference number.
    pub reference: &'a str,
    /// The session.
    pub session_id: Option<&'a str>,
    /// The handoff.
    pub handoff_id: Option<&'a str>,
    /// Its place, where the file is in the order of commits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
}

impl<'a> Line<'a> {
    /// A record as it stands in a file in the order of commits.
    #[must_use]
    pub fn placed(placed: &'a Placed) -> Self {
        Self { seq: Some(placed.seq), ..Self::of(&placed.record) }
    }

    /// A record as it stands in a file.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        Self {
            id: &record.id,
            time: Timestamp(record.at).rfc3339(),
            provider_code: given(&record.provider_code),
            login_name: given(&record.login_name),
            name_hash: given(&record.name_hash),
            actor: &record.actor,
            kind: record.kind.as_str(),
            login_type: given(&record.login_type),
            note: given(&record.note),
            outcome: record.outcome.as_str(),
            reason: given(&record.reason),
            address: given(&record.address),
            browser: given(&record.browser),
            reference: &record.reference,
            session_id: given(&record.session_id),
            handoff_id: given(&record.handoff_id),
            seq: None,
        }
    }

    /// As one line of CSV.
    #[must_use]
    pub fn csv(&self) -> Vec<u8> {
        let text = |text: Option<&'a str>| text.unwrap_or_default();
        let place = self.seq.map(|seq| seq.to_string());
        let members = [
            self.id,
            &self.time,
            text(self.provider_code),
            text(self.login_name),
            text(self.name_hash),
            self.actor,
            self.kind,
            text(self.login_type),
            text(self.note),
            self.outcome,
            text(self.reason),
            text(self.address),
            text(self.browser),
            self.reference,
            text(self.session_id),
            text(self.handoff_id),
        ];
        file::line(members.into_iter().chain(place.as_deref()))
    }
}
