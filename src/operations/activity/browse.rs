//! The record as admins browse it: page by page, and its sign-ins counted by day.

use crate::app::App;
use crate::model::activity::{actor_for_provider, is_of_therap};
use crate::model::tenant::ProviderScope;
use crate::operations::activity::chain::{self, Page};
use crate::store::activity::counts::{self, SignIns};
use crate::store::activity::{self, Filter, Record, Search, SearchPage, Whose};
use crate::store::handoffs::refused;
use crate::store::{Conn, Error, providers};
use crate::time::{Day, Timestamp, days};

/// As many days are in the picture where a filter does not say from when.
pub const USUAL_DAYS: usize = 30;

/// As many are read at once where all are.
const ALL_AT_ONCE: usize = 1000;

/// A page of the record.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Newest first.
    pub records: Vec<Record>,
    /// What the next page is older than, if there may be more.
    pub next: Option<String>,
    /// The search went as far back as one may, and stopped at this moment before its end.
    pub stopped: Option<Timestamp>,
}

/// How far an admin's look into the record goes.
#[derive(Clone, Debug)]
pub enum Reach {
    /// The one provider of a Provider Admin (G15).
    Own(ProviderScope),
    /// A Therap Admin's: this provider, or all.
    Operator(Option<String>),
}

impl Reach {
    /// The provider looked into; none is all.
    #[must_use]
    pub fn provider_id(&self) -> Option<&str> {
        match self {
            Self::Own(scope) => Some(scope.provider_id()),
            Self::Operator(provider_id) => provider_id.as_deref(),
        }
    }

    /// A page of at most `limit` records older than `before`, newest first, and where the next one begins.
    pub async fn list(
        &self,
        conn: &mut Conn,
        search: &Search,
        before: Option<&str>,
        rows: usize,
    ) -> Result<Listed, Error> {
        // One more than is shown tells whether there is more.
        let limit = i64::try_from(rows.saturating_add(1)).unwrap_or(i64::MAX);
        let mut found = self.page(conn, search, before, limit).await?;
        let next = found.cut(rows);
        Ok(Listed { next, stopped: found.stopped.map(|(_, at)| at), records: found.records })
    }

    /// The newest records, however far the search has to go for them.
    pub async fn newest(&self, conn: &mut Conn, search: &Search, rows: usize) -> Result<Vec<Record>, Error> {
        let mut records: Vec<Record> = Vec::new();
        let mut before = None;
        loop {
            let listed = self.list(conn, search, before.as_deref(), rows - records.len()).await?;
            records.extend(listed.records);
            before = listed.next;
            if before.is_none() || records.len() >= rows {
                return Ok(records);
            }
        }
    }

    /// All of them, newest first: for what is bounded already, as what one request brought about.
    pub async fn all(&self, conn: &mut Conn, search: &Search) -> Result<Vec<Record>, Error> {
        let mut records: Vec<Record> = Vec::new();
        let mut before = None;
        loop {
            let listed = self.list(conn, search, before.as_deref(), ALL_AT_ONCE).await?;
            records.extend(listed.records);
            before = listed.next;
            if before.is_none() {
                return Ok(records);
            }
        }
    }

    /// Records older than `before`, newest first, as far as one search goes.
    pub async fn page(
        &self,
        conn: &mut Conn,
        search: &Search,
        before: Option<&str>,
        limit: i64,
    ) -> Result<SearchPage, Error> {
        let mut found = match (self, &search.reference) {
            (_, Some(reference)) => self.by_reference(conn, reference, search, before, limit).await?,
            (Self::Own(scope), None) => activity::of_provider(conn, scope, search, before, limit).await?,
            (Self::Operator(provider_id), None) => {
                activity::of_all(conn, provider_id.as_deref(), search, before, limit).await?
            }
        };
        if let Self::Own(_) = self {
            for record in &mut found.records {
                as_provider_reads(record);
            }
        }
        Ok(found)
    }

    /// A page of what a reference number stands for (A4): records, and for a Therap Admin also what was refused before
    /// a trusted signature, which is no provider's.
    async fn by_reference(
        &self,
        conn: &mut Conn,
        reference: &str,
        search: &Search,
        before: Option<&str>,
        limit: i64,
    ) -> Result<SearchPage, Error> {
        let mut records = activity::by_reference(conn, self.provider_id(), reference, before, limit).await?;
        if let Self::Operator(None) = self {
            records.extend(refused::by_reference(conn, reference, before, limit).await?);
            records.sort_by(|a, b| b.id.cmp(&a.id));
            records.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        // A full page is not the last, whatever of it fits.
        let is_full = i64::try_from(records.len()).is_ok_and(|found| found >= limit);
        let stopped = records.last().filter(|_| is_full).map(|last| (last.id.clone(), Timestamp(last.at)));
        records.retain(|record| search.fits(record));
        Ok(SearchPage { records, stopped })
    }

    /// A page of records in the order of their places, after one of them (A5).
    pub async fn forward(&self, app: &App, search: &Search, after: i64, limit: i64) -> Result<Page, Error> {
        let filter = Filter {
            provider_id: self.provider_id().map(str::to_owned),
            user_id: match &search.whose {
                Whose::User(id) => Some(id.clone()),
                Whose::Anybody | Whose::Named(_) | Whose::Strangers => None,
            },
            since: search.since.map(|since| since.0),
            until: search.until.map(|until| until.0),
            kind: search.kind.map(|kind| kind.to_string()),
            outcome: search.outcome.map(|outcome| outcome.to_string()),
            login_type: search.method.map(|method| method.login_type().to_owned()),
            strangers: search.whose == Whose::Strangers,
        };
        let mut page = chain::page(app, &filter, after, limit).await?;
        if let Self::Own(_) = self {
            for placed in &mut page.records {
                as_provider_reads(&mut placed.record);
            }
        }
        Ok(page)
    }

    /// The sign-ins of each of these days that a search means; those of many, on days that are over, are counted once.
    pub async fn sign_ins(
        &self,
        app: &App,
        conn: &mut Conn,
        search: &Search,
        days: &[Day],
        now: Timestamp,
    ) -> Result<Vec<SignIns>, Error> {
        app.day_counts.pruned_to(chain::pruned_to(conn).await?);
        let kept_as = match search.whose {
            Whose::Anybody => Some(self.provider_id().map(str::to_owned)),
            Whose::Strangers => Some(Some(format!("unknown in {}", self.provider_id().unwrap_or_default()))),
            // Of one person an index holds little.
            Whose::User(_) | Whose::Named(_) => None,
        };
        let mut counts = Vec::with_capacity(days.len());
        for day in days {
            let mut counted = kept_as.as_ref().and_then(|key| app.day_counts.get(key.as_deref(), day));
            if counted.is_none() {
                let count = self.count(conn, search, day).await?;
                if let Some(key) = &kept_as {
                    app.day_counts.put(key.as_deref(), day, count, now);
                }
                counted = Some(count);
            }
            counts.extend(counted.map(|count| count.only(search)));
        }
        Ok(counts)
    }

    async fn count(&self, conn: &mut Conn, search: &Search, day: &Day) -> Result<SignIns, Error> {
        match (self, &search.whose) {
            (Self::Own(scope), Whose::Anybody) => counts::of_provider(conn, scope, day).await,
            (Self::Operator(provider_id), Whose::Anybody) => counts::of_all(conn, provider_id.as_deref(), day).await,
            _ => counts::of_some(conn, self.provider_id(), search, day).await,
        }
    }
}

/// A record as the admins of its agency read it: Therap's people and programs have no names there, and come from nowhere.
fn as_provider_reads(record: &mut Record) {
    if is_of_therap(&record.actor) {
        (record.address, record.browser) = (None, None);
    }
    record.actor = actor_for_provider(&record.actor);
}

/// Counts the days of the operator's picture that are over: nobody shall wait for all of them after a start.
pub async fn count_ahead(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let mut conn = app.db.read_much().await?;
    let Some(realm) = providers::operator_realm(&mut conn).await? else { return Ok(()) };
    let mut over = days(None, now, &realm.time_zone, USUAL_DAYS);
    over.pop();
    Reach::Operator(None).sign_ins(app, &mut conn, &Search::default(), &over, now).await.map(drop)
}
