//! User Activity as admins read it: the filter out of a query, and records as rows.

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;
use serde::Deserialize;

use crate::model::activity::{Kind, Outcome};
use crate::model::login_name::LoginName;
use crate::model::session::Method;
use crate::model::{reason, reference};
use crate::store::activity::{Record, Search, Whose};
use crate::store::{self, Conn};
use crate::time::{Timestamp, day_begins, days};
use crate::web::error::PageError;
use crate::web::form::{Choice, FieldErrors, choices};
use crate::web::user_agent::browser;

/// The query: what is looked for, as it was typed, and where the page begins.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ActivityFilter {
    /// Provider Code; the operator's pages alone read it.
    #[serde(default)]
    pub provider: String,
    /// The first day.
    #[serde(default)]
    pub from: String,
    /// The last day.
    #[serde(default)]
    pub to: String,
    /// Login Name.
    #[serde(default)]
    pub user: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Outcome.
    #[serde(default)]
    pub outcome: String,
    /// Login type.
    #[serde(default)]
    pub login_type: String,
    /// `yes`: tries on unknown Login Names.
    #[serde(default)]
    pub unknown: String,
    /// Reference number.
    #[serde(default)]
    pub reference: String,
    /// Only what is older than this record.
    #[serde(default)]
    pub before: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ActivityFilter {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let query = Query::<Self>::try_from_uri(&parts.uri);
        query.map(|Query(query)| query).map_err(|_| PageError::BadForm("A filter was sent twice, or cannot be read."))
    }
}

impl ActivityFilter {
    /// The filter as a query, without what is empty and without the place.
    #[must_use]
    pub fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("provider", &self.provider),
            ("from", &self.from),
            ("to", &self.to),
            ("user", &self.user),
            ("kind", &self.kind),
            ("outcome", &self.outcome),
            ("login_type", &self.login_type),
            ("unknown", &self.unknown),
            ("reference", &self.reference),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// A page's address with this filter; older than a record, if one is named.
    #[must_use]
    pub fn address(&self, path: &str, before: Option<&str>) -> String {
        let mut query = self.query();
        if let Some(before) = before {
            let and = if query.is_empty() { "" } else { "&" };
            query = format!("{query}{and}before={before}");
        }
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// The addresses that show today, 7 and 30 days up to today in a time zone, with all else of this filter.
    #[must_use]
    pub fn presets(&self, path: &str, zone: &str, now: Timestamp) -> Vec<Preset> {
        let days = days(None, now, zone, 30);
        let Some(today) = days.last() else { return Vec::new() };
        [("Today", 1), ("Last 7 days", 7), ("Last 30 days", 30)]
            .into_iter()
            .filter_map(|(label, count)| {
                let from = days.get(days.len().checked_sub(count)?)?.date.clone();
                let query = Self { from, to: today.date.clone(), ..self.clone() };
                let chosen = (&query.from, &query.to) == (&self.from, &self.to);
                Some(Preset { label, address: query.address(path, None), chosen })
            })
            .collect()
    }

    /// What is looked for, in a provider and its time zone; what makes no sense is said at its field.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn search(
        &self,
        conn: &mut Conn,
        provider_id: Option<&str>,
        zone: &str,
        faults: &mut FieldErrors,
    ) -> Result<Search, store::Error> {
        let mut day = |field: &str, text: &str, later: i64| {
            let begins = day_begins(text, later, zone);
            if !text.is_empty() && begins.is_none() {
                faults.add(field, "Please write a date such as 2026-01-31.");
            }
            begins
        };
        let (since, until) = (day("from", &self.from, 0), day("to", &self.to, 1));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            faults.add("to", "The last day must not be before the first.");
        }
        if !self.user.is_empty() && self.unknown != "yes" && provider_id.is_none() && self.provider.is_empty() {
            faults.add("user", "Please also enter the Provider Code: a Login Name belongs to a provider.");
        }
        let method = Method::ALL.iter().copied().find(|method| method.login_type() == self.login_type);
        if !self.login_type.is_empty() && method.is_none() {
            faults.add("login-type", "Please choose one of the list.");
        }
        let reference = reference::read(&self.reference);
        if !self.reference.is_empty() && reference.is_none() {
            faults.add("reference", format!("A reference number {}.", reference::SHAPE));
        }
        Ok(Search {
            reference,
            whose: self.whose(conn, provider_id).await?,
            since,
            until,
            kind: word::<Kind>(faults, "kind", &self.kind),
            outcome: word::<Outcome>(faults, "outcome", &self.outcome),
            method,
        })
    }

    async fn whose(&self, conn: &mut Conn, provider_id: Option<&str>) -> Result<Whose, store::Error> {
        if self.unknown == "yes" {
            return Ok(Whose::Strangers);
        }
        if self.user.is_empty() {
            return Ok(Whose::Anybody);
        }
        if let (Some(provider_id), Some(name)) = (provider_id, LoginName::parse(&self.user))
            && let Some(id) = store::users::id_of_name(conn, provider_id, &name).await?
        {
            return Ok(Whose::User(id));
        }
        // Nobody's here: what a trusted issuer called by that name and was refused.
        Ok(Whose::Named(self.user.chars().filter(|c| !c.is_control()).collect()))
    }

    /// The outcomes to choose from.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Choice> {
        let mut pairs = vec![("", "Any")];
        pairs.extend(Outcome::ALL.iter().map(|outcome| (outcome.as_str(), outcome.label())));
        choices(&pairs, &self.outcome)
    }

    /// The login types to choose from.
    #[must_use]
    pub fn login_types(&self) -> Vec<Choice> {
        let mut pairs = vec![("", "Any")];
        pairs.extend(Method::ALL.iter().map(|method| (method.login_type(), method.login_type())));
        choices(&pairs, &self.login_type)
    }

    /// The kinds to choose from: those that a provider's record can hold, or all.
    #[must_use]
    pub fn kinds(&self, all: bool) -> Vec<Choice> {
        const OF_A_PROVIDER: [&str; 9] =
            ["sign_in", "logout", "session_", "password_", "account_", "user_", "handoff_", "provider_", "consent_"];
        let fits = |kind: &&Kind| {
            let word = kind.as_str();
            all || word == "unified_login_changed" || OF_A_PROVIDER.iter().any(|begin| word.starts_with(begin))
        };
        let mut pairs = vec![("", "Any")];
        pairs.extend(Kind::ALL.iter().filter(fits).map(|kind| (kind.as_str(), kind.label())));
        choices(&pairs, &self.kind)
    }
}

/// One of a list of words; anything else is said at its field.
fn word<T: std::str::FromStr>(faults: &mut FieldErrors, field: &str, text: &str) -> Option<T> {
    let parsed = text.parse().ok();
    if !text.is_empty() && parsed.is_none() {
        faults.add(field, "Please choose one of the list.");
    }
    parsed
}

/// Days that are often looked for.
#[derive(Clone, Debug)]
pub struct Preset {
    /// What is read.
    pub label: &'static str,
    /// Where they are shown.
    pub address: String,
    /// It is what the filter says.
    pub chosen: bool,
}

/// Whether a text holds a word that no column has room for.
fn has_long_word(text: &str) -> bool {
    const LONG: usize = 22;
    text.split_whitespace().any(|word| word.chars().count() > LONG)
}

/// One record as a row, with everything that admins may know.
#[derive(Clone, Debug)]
pub struct RecordView {
    /// In a time zone.
    pub when: String,
    /// The provider's code.
    pub provider: String,
    /// Login Name, or that it is unknown.
    pub who: String,
    /// The person's name, as it is now.
    pub name: Option<String>,
    /// Where more of the user stands.
    pub who_address: Option<String>,
    /// Where the client stands that the record is about.
    pub client_address: Option<String>,
    /// What happened.
    pub what: &'static str,
    /// Details of a change.
    pub details: Option<String>,
    /// By which sign-in method.
    pub login_type: Option<String>,
    /// What stands beneath it.
    pub note: Option<String>,
    /// How it ended.
    pub outcome: &'static str,
    /// The true reason, in words.
    pub reason: Option<String>,
    /// What to do about it.
    pub cure: Option<&'static str>,
    /// Who did it.
    pub by: String,
    /// From where.
    pub address: String,
    /// With what.
    pub browser: String,
    /// The reference number.
    pub reference: String,
}

impl RecordView {
    /// Whether the user's name or Login Name holds a word that may be broken.
    #[must_use]
    pub fn has_long_user(&self) -> bool {
        has_long_word(&self.who) || self.name.as_deref().is_some_and(has_long_word)
    }

    /// The same of the provider's code.
    #[must_use]
    pub fn has_long_provider(&self) -> bool {
        has_long_word(&self.provider)
    }

    /// The same of the details.
    #[must_use]
    pub fn has_long_details(&self) -> bool {
        self.details.as_deref().is_some_and(has_long_word)
    }

    /// The same of who did it.
    #[must_use]
    pub fn has_long_actor(&self) -> bool {
        has_long_word(&self.by)
    }

    /// The same of from where.
    #[must_use]
    pub fn has_long_origin(&self) -> bool {
        has_long_word(&self.address) || has_long_word(&self.browser)
    }

    /// A record in a time zone.
    #[must_use]
    pub fn of(record: Record, zone: &str) -> Self {
        let signing_in = record.kind == Kind::SignIn;
        let (note, details) = if signing_in { (record.note, None) } else { (None, record.note) };
        Self {
            when: Timestamp(record.at).in_zone(zone),
            provider: record.provider_code.unwrap_or_default(),
            who: match (record.login_name, record.name_hash) {
                (Some(name), _) => name,
                (None, Some(_)) => "Unknown Login Name".into(),
                (None, None) => "–".into(),
            },
            name: None,
            who_address: None,
            client_address: None,
            what: record.kind.label_with(record.outcome),
            details,
            login_type: record.login_type,
            note,
            outcome: record.outcome.label(),
            cure: record.reason.as_deref().and_then(reason::words).map(|words| words.cure),
            reason: record.reason.as_deref().map(reason::label),
            by: record.actor,
            address: record.address.unwrap_or_default(),
            browser: record.browser.filter(|text| !text.is_empty()).map(|text| browser(&text)).unwrap_or_default(),
            reference: record.reference,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_as_it_was_written() {
        let query = ActivityFilter { user: "a b&c".into(), from: "2026-01-31".into(), ..ActivityFilter::default() };
        assert_eq!(query.address("/x", None), "/x?from=2026-01-31&user=a+b%26c");
        assert_eq!(query.address("/x", Some("1")), "/x?from=2026-01-31&user=a+b%26c&before=1");
        assert_eq!(ActivityFilter::default().address("/x", None), "/x");
    }

    #[test]
    fn presets_are_whole_days_of_the_zone_and_keep_the_filter() {
        let now = Timestamp(1_773_028_800_000); // 2026-03-09T04:00Z: the 8th in Chicago, on which the clocks went forward
        let query = ActivityFilter { user: "amina".into(), before: "x".into(), ..ActivityFilter::default() };
        let found = query.presets("/x", "America/Chicago", now);
        let addresses: Vec<_> = found.iter().map(|preset| preset.address.as_str()).collect();
        assert_eq!(
            addresses,
            [
                "/x?from=2026-03-08&to=2026-03-08&user=amina",
                "/x?from=2026-03-02&to=2026-03-08&user=amina",
                "/x?from=2026-02-07&to=2026-03-08&user=amina"
            ]
        );
        assert!(found.iter().all(|preset| !preset.chosen));
        let week = ActivityFilter { from: "2026-03-02".into(), to: "2026-03-08".into(), ..query };
        let chosen: Vec<_> = week.presets("/x", "America/Chicago", now).iter().map(|preset| preset.chosen).collect();
        assert_eq!(chosen, [false, true, false]);
        assert_eq!(week.presets("/x", "Asia/Tokyo", now)[0].address, "/x?from=2026-03-09&to=2026-03-09&user=amina");
    }

    #[test]
    fn a_word_that_fits_no_column_is_found() {
        assert!(!has_long_word("Firefox on Linux, and every other ordinary word"));
        assert!(has_long_word("a.very.long.login.name@agency.example.org"));
        assert!(has_long_word("2001:db8:0:0:1234:5678:9abc:def0"));
    }
}
