//! `/api/v1/…/activity`: User Activity, newest first (A2) or in the order of commits (A5), and never changed.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Everywhere, InProvider, ReadActivity};
use super::extract::{Page, Paging, Query, bad_cursor, cursor_id};
use super::problem::Problem;
use super::providers::AtProvider;
use crate::app::App;
use crate::model::activity::{Kind as EventKind, Outcome};
use crate::model::reference;
use crate::model::session::Method;
use crate::model::validation_error::ValidationError;
use crate::model::{words, words_in_json};
use crate::operations::activity::browse::Reach;
use crate::operations::activity::export::Line;
use crate::operations::refused_handoffs;
use crate::store;
use crate::store::activity::{Record, Search, Whose};
use crate::time::Timestamp;
use crate::web::ids::checked;

/// A record of User Activity.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActivityRecord)]
pub struct View {
    /// Sorts by time.
    #[schema(format = "uuid")]
    id: String,
    /// When.
    #[schema(format = DateTime)]
    time: String,
    /// The provider, where one was named or known.
    provider_code: Option<String>,
    /// The user.
    login_name: Option<String>,
    /// A keyed hash of an unknown Login Name.
    name_hash: Option<String>,
    /// Who did it.
    actor: String,
    /// What.
    kind: EventKind,
    /// `Direct Login` or `Unified Login`.
    login_type: Option<String>,
    /// What stands beneath.
    note: Option<String>,
    /// How it ended.
    outcome: Outcome,
    /// The true reason of a refusal.
    reason: Option<String>,
    /// From where.
    address: Option<String>,
    /// With what.
    browser: Option<String>,
    /// The reference number, which the log knows.
    reference: String,
    /// The session that was made or ended.
    session_id: Option<String>,
    /// The handoff that was settled.
    handoff_id: Option<String>,
}

impl View {
    fn of(record: &Record) -> Self {
        let line = Line::of(record);
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: line.id.to_owned(),
            time: line.time.clone(),
            provider_code: text(line.provider_code),
            login_name: text(line.login_name),
            name_hash: text(line.name_hash),
            actor: line.actor.to_owned(),
            kind: record.kind,
            login_type: text(line.login_type),
            note: text(line.note),
            outcome: record.outcome,
            reason: text(line.reason),
            address: text(line.address),
            browser: text(line.browser),
            reference: line.reference.to_owned(),
            session_id: text(line.session_id),
            handoff_id: text(line.handoff_id),
        }
    }
}

/// By which sign-in method, as the record calls it (U4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginType {
    /// By password.
    Direct,
    /// From Therap Services.
    Unified,
}
words!(LoginType { Direct = "Direct Login", Unified = "Unified Login" });
words_in_json!(LoginType as "LoginType");

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first, by time.
    Newest,
    /// As they were committed, the first first.
    Recorded,
}
words!(Order { Newest = "newest", Recorded = "recorded" });
words_in_json!(Order as "ActivityOrder");

/// Which records: all that is given must fit.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct ActivityQuery {
    /// At or after this moment (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before this moment (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    /// Of this user.
    #[param(format = "uuid")]
    user_id: Option<String>,
    /// Whether only of tries on unknown Login Names.
    #[param(default = false)]
    unknown_name: bool,
    /// Of this kind.
    #[param(inline)]
    kind: Option<EventKind>,
    /// With this outcome.
    #[param(inline)]
    outcome: Option<Outcome>,
    /// By this sign-in method.
    #[param(inline)]
    login_type: Option<LoginType>,
    /// With this reference number, as it was on a page; small letters, spaces and a missing hyphen are forgiven. For an
    /// operator also what was refused before a trusted signature, which is not in the record and kept for 30 days. Not
    /// with `order=recorded`.
    reference: Option<String>,
    /// `newest`: the newest first, by time, which is usual. `recorded`: in the order in which they were committed;
    /// `next` is always there, and the same cursor asked again shows what came since, so that whoever keeps it misses
    /// none.
    #[param(inline)]
    order: Option<Order>,
    /// At most this number of rows.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next` of the page before, in the same order.
    cursor: Option<String>,
}

/// What was searched for, all of it in order.
struct ParsedQuery {
    search: Search,
    rows: usize,
    place: Begin,
}

/// Where the page begins.
enum Begin {
    /// With what is older than this record, if one is named.
    Before(Option<String>),
    /// After this place.
    After(i64),
}

impl ActivityQuery {
    fn checked(&self) -> Result<ParsedQuery, Problem> {
        let moment = |key: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Timestamp::parse_rfc3339(text)
                .map(Some)
                .ok_or_else(|| ValidationError::new(key, "must be a moment such as 2026-05-01T00:00:00Z")),
        };
        let whose = match &self.user_id {
            Some(_) if self.unknown_name => {
                return Err(
                    ValidationError::new("unknown_name", "cannot stand beside user_id, which is somebody's").into()
                );
            }
            None if self.unknown_name => Whose::Strangers,
            None => Whose::Anybody,
            Some(id) => {
                Whose::User(checked(id).ok_or_else(|| ValidationError::new("user_id", "must be the id of a user"))?)
            }
        };
        let reference = self.reference.as_deref().map(|text| {
            let why = || format!("must be a reference number, which {}", reference::SHAPE);
            reference::read(text).ok_or_else(|| ValidationError::new("reference", why()))
        });
        if reference.is_some() && self.order == Some(Order::Recorded) {
            return Err(ValidationError::new(
                "reference",
                "cannot stand beside order=recorded, which is for reading on",
            )
            .into());
        }
        let search = Search {
            reference: reference.transpose()?,
            whose,
            since: moment("since", &self.since)?,
            until: moment("until", &self.until)?,
            kind: self.kind,
            outcome: self.outcome,
            method: self.login_type.map(|login_type| match login_type {
                LoginType::Direct => Method::Password,
                LoginType::Unified => Method::Handoff,
            }),
        };
        let place = match self.order.unwrap_or(Order::Newest) {
            Order::Newest => Begin::Before(cursor_id(self.cursor.as_deref())?),
            Order::Recorded => Begin::After(self.cursor.as_deref().map_or(Ok(0), place_of)?),
        };
        Ok(ParsedQuery { search, rows: Paging::rows(self.limit)?, place })
    }
}

/// A cursor that is a place.
fn place_of(cursor: &str) -> Result<i64, Problem> {
    cursor.parse::<i64>().ok().filter(|place| place.to_string() == cursor && *place >= 0).ok_or_else(bad_cursor)
}

async fn page(app: &App, reach: &Reach, asked: ParsedQuery) -> Result<Json<Page<View>>, Problem> {
    let before = match asked.place {
        Begin::Before(before) => before,
        Begin::After(place) => return forward(app, reach, &asked.search, place, asked.rows).await,
    };
    let mut conn = refused_handoffs::reader(app, asked.search.reference.is_some()).await?;
    let listed = reach.list(&mut conn, &asked.search, before.as_deref(), asked.rows).await?;
    Ok(Json(Page { items: listed.records.iter().map(View::of).collect(), next: listed.next }))
}

async fn forward(
    app: &App,
    reach: &Reach,
    search: &Search,
    after: i64,
    rows: usize,
) -> Result<Json<Page<View>>, Problem> {
    let page = reach.forward(app, search, after, i64::try_from(rows).unwrap_or(i64::MAX)).await?;
    if after > page.last {
        return Err(bad_cursor());
    }
    let items = page.records.iter().map(|placed| View::of(&placed.record)).collect();
    Ok(Json(Page { items, next: Some(page.read_to.to_string()) }))
}

/// List the activity of a provider
///
/// The newest first, or in the order in which records were committed, for a program that keeps its own copy: it asks
/// with `order=recorded`, keeps `next` and asks with it again. One page looks at a limited number of records: where few of
/// them fit, it may hold fewer rows than asked for, or none, and still have a `next`.
#[utoipa::path(get, operation_id = "listProviderActivity", path = "/api/v1/providers/{provider_code}/activity", tag = "Activity", params(AtProvider, ActivityQuery),
    security(("oauth2" = ["activity.read"])), responses((status = 200, description = "A page of records", body = Page<View>)))]
pub async fn of_provider(
    app: App,
    program: InProvider<ReadActivity>,
    Query(query): Query<ActivityQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let asked = query.checked()?;
    if let Whose::User(id) = &asked.search.whose {
        // A user of another provider is as unknown as nobody.
        let known = store::users::in_scope(&mut app.db.read_much().await?, &program.scope, id).await?;
        if known.is_none() {
            let next = match asked.place {
                Begin::Before(_) => None,
                Begin::After(place) => Some(place.to_string()),
            };
            return Ok(Json(Page { items: Vec::new(), next }));
        }
    }
    page(&app, &program.reach(), asked).await
}

/// List the activity of every provider, and the operator's own
///
/// The newest first, or in the order in which records were committed, for a program that keeps its own copy: it asks
/// with `order=recorded`, keeps `next` and asks with it again. One page looks at a limited number of records: where few of
/// them fit, it may hold fewer rows than asked for, or none, and still have a `next`.
#[utoipa::path(get, operation_id = "listActivity", path = "/api/v1/activity", tag = "Activity", params(ActivityQuery),
    security(("oauth2" = ["activity.read"])), responses((status = 200, description = "A page of records", body = Page<View>)))]
pub async fn of_all(
    app: App,
    _program: Everywhere<ReadActivity>,
    Query(query): Query<ActivityQuery>,
) -> Result<Json<Page<View>>, Problem> {
    page(&app, &Reach::Operator(None), query.checked()?).await
}
