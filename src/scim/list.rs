//! Users looked for (RFC 7644 §3.4.2): by a filter, sorted, a page at a time by number. One person is found by an index;
//! a page without a filter is read alone; any other filter is asked of one user after another, of a bounded number of them.

use serde_json::{Map, Value, json};

use super::caller::Directory;
use super::error::{ScimError, ScimType};
use super::extract::Query;
use super::filter::{Filter, Key};
use super::patch::member;
use super::resource::resource;
use super::schema::{Kind, Named, Target, named_by};
use super::shown::Shown;
use crate::app::App;
use crate::model::login_name::LoginName;
use crate::store::users::provisioned::{self, Order, Provisioned};
use crate::time::Timestamp;
use crate::web::ids::checked;

/// The users of a page, unless told otherwise.
const USUAL: i64 = 100;
/// The most users of a page.
pub const MOST: i64 = 200;
/// The most users that one request looks at.
const MOST_LOOKED_AT: usize = 100_000;
/// So many are read at once. Each further time counts as one more request of the client's.
const BATCH: i64 = 1000;

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Which users are looked for.
#[derive(Debug)]
pub struct Search {
    filter: Option<Filter>,
    sort: Option<Target>,
    descending: bool,
    /// From 1.
    start: i64,
    count: i64,
    shown: Shown,
}

impl Search {
    /// As a query says.
    ///
    /// # Errors
    /// 400 with the parameter that cannot be read.
    pub fn of_query(query: &Query) -> Result<Self, ScimError> {
        let shown = shown(query)?;
        let bounds = (query.number("startIndex")?, query.number("count")?);
        Self::new(query.text("filter")?, query.text("sortBy")?, query.text("sortOrder")?, bounds, shown)
    }

    /// As the body of a search says (RFC 7644 §3.4.3).
    ///
    /// # Errors
    /// 400 with the member that cannot be read.
    pub fn of_body(body: &Map<String, Value>) -> Result<Self, ScimError> {
        let text = |name: &str| -> Result<Option<&str>, ScimError> {
            match member(body, name) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => {
                    let text = value.as_str().ok_or_else(|| ScimError::invalid(name, "is a text"))?;
                    Ok(Some(text).filter(|text| !text.is_empty()))
                }
            }
        };
        let number = |name: &str| match member(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| ScimError::invalid(name, "is a number")),
        };
        let names = |name: &str| -> Result<Option<_>, ScimError> {
            match member(body, name) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => {
                    let names = value.as_array().ok_or_else(|| ScimError::invalid(name, "is an array of texts"))?;
                    Ok(Some(names.iter().filter_map(Value::as_str)).filter(|_| !names.is_empty()))
                }
            }
        };
        let shown = Shown::parse(names("attributes")?, names("excludedAttributes")?)?;
        let bounds = (number("startIndex")?, number("count")?);
        Self::new(text("filter")?, text("sortBy")?, text("sortOrder")?, bounds, shown)
    }

    fn new(
        filter: Option<&str>,
        sort: Option<&str>,
        order: Option<&str>,
        (start, count): (Option<i64>, Option<i64>),
        shown: Shown,
    ) -> Result<Self, ScimError> {
        let filter = filter.map(Filter::parse).transpose();
        let filter = filter
            .map_err(|why| ScimError::bad(ScimType::InvalidFilter, format!("The filter cannot be used: {}", why.0)))?;
        let sort = match sort.map(named_by) {
            None | Some(Named::NotKept) => None,
            Some(Named::Kept(target)) => Some(target),
            Some(Named::Unknown) => {
                return Err(ScimError::bad(ScimType::InvalidPath, "sortBy is no attribute of a user."));
            }
        };
        let descending = match order.map(str::to_ascii_lowercase).as_deref() {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(_) => return Err(ScimError::invalid("sortOrder", "is ascending or descending")),
        };
        let (start, count) = (start.unwrap_or(1).max(1), count.unwrap_or(USUAL).clamp(0, MOST));
        Ok(Self { filter, sort, descending, start, count, shown })
    }

    /// The page as the answer has it.
    ///
    /// # Errors
    /// 400 when too many would be looked at.
    pub async fn page(&self, app: &App, directory: &Directory) -> Result<Value, ScimError> {
        let (total, users) = match (self.filter.as_ref().map(Filter::key), self.order()) {
            (Some(Some(key)), _) => self.of_one(app, directory, &key).await?,
            (None, Some(order)) => self.of_index(app, directory, order).await?,
            (Some(None) | None, _) => self.of_all(app, directory).await?,
        };
        let issuer = &app.config.issuer;
        let resources: Vec<_> = users.iter().map(|user| Value::Object(self.shown.of(resource(user, issuer)))).collect();
        Ok(json!({
            "schemas": [LIST],
            "totalResults": total,
            "startIndex": self.start,
            "itemsPerPage": resources.len(),
            "Resources": resources,
        }))
    }

    /// The order, where an index has it.
    fn order(&self) -> Option<Order> {
        let Some(target) = self.sort else { return Some(Order::Age) };
        match (target.attribute.name, target.sub.map(|sub| sub.name)) {
            ("id", None) | ("meta", Some("created")) => Some(Order::Age),
            ("userName", None) => Some(Order::LoginName),
            ("displayName", None) => Some(Order::Name),
            _ => None,
        }
    }

    fn offset(&self) -> i64 {
        self.start - 1
    }

    fn is_meant(&self, user: &Provisioned, issuer: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(&resource(user, issuer)))
    }

    async fn of_one(&self, app: &App, directory: &Directory, key: &Key) -> Result<(i64, Vec<Provisioned>), ScimError> {
        let provider_id = &directory.provider.id;
        let mut conn = app.db.read_much().await?;
        let found = match key {
            Key::Id(id) => match checked(id) {
                Some(id) => provisioned::one(&mut conn, provider_id, &id).await?,
                None => None,
            },
            Key::UserName(name) => match LoginName::parse(name) {
                Some(name) => provisioned::by_login_name(&mut conn, provider_id, &name).await?,
                None => None,
            },
            Key::ExternalId(id) if id.contains('\0') => None,
            Key::ExternalId(id) => provisioned::by_external_id(&mut conn, provider_id, id).await?,
        };
        let issuer = &app.config.issuer;
        let found = found.filter(|user| user.deleted_at.is_none() && self.is_meant(user, issuer));
        let total = i64::from(found.is_some());
        Ok((total, found.into_iter().filter(|_| self.start == 1 && self.count > 0).collect()))
    }

    async fn of_index(
        &self,
        app: &App,
        directory: &Directory,
        order: Order,
    ) -> Result<(i64, Vec<Provisioned>), ScimError> {
        let provider_id = &directory.provider.id;
        let mut conn = app.db.read_much().await?;
        let total = provisioned::count(&mut conn, provider_id).await?;
        if self.count == 0 || self.offset() >= total {
            return Ok((total, Vec::new()));
        }
        let bounds = (self.count, self.offset());
        let users = provisioned::page(&mut conn, provider_id, (order, self.descending), bounds).await?;
        Ok((total, users))
    }

    async fn of_all(&self, app: &App, directory: &Directory) -> Result<(i64, Vec<Provisioned>), ScimError> {
        let (provider_id, issuer) = (&directory.provider.id, &app.config.issuer);
        let mut found: Vec<(SortKey, String)> = Vec::new();
        let (mut last, mut looked_at) = (String::new(), 0);
        loop {
            let users = provisioned::after(&mut app.db.read_much().await?, provider_id, &last, BATCH).await?;
            looked_at += users.len();
            let Some(user) = users.last() else { break };
            last.clone_from(&user.id);
            let meant = users.iter().filter(|user| self.is_meant(user, issuer));
            found.extend(meant.map(|user| (self.sort_key(user, issuer), user.id.clone())));
            if i64::try_from(users.len()).is_ok_and(|read| read < BATCH) {
                break;
            }
            if looked_at >= MOST_LOOKED_AT {
                let detail = format!(
                    "The filter would look at more than {MOST_LOOKED_AT} users: ask by userName, externalId or id."
                );
                return Err(ScimError::bad(ScimType::TooMany, detail));
            }
            directory.take_one(app).await?;
        }
        found.sort();
        if self.descending {
            found.reverse();
        }
        let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let page = found.iter().skip(number(self.offset())).take(number(self.count));
        let mut conn = app.db.read_much().await?;
        let mut users = Vec::new();
        for (_, id) in page {
            let user = provisioned::one(&mut conn, provider_id, id).await?;
            // Whoever changed since is shown as the filter found them, or not at all.
            users.extend(user.filter(|user| user.deleted_at.is_none() && self.is_meant(user, issuer)));
        }
        Ok((i64::try_from(found.len()).unwrap_or(i64::MAX), users))
    }

    /// Who has no value comes last.
    fn sort_key(&self, user: &Provisioned, issuer: &str) -> SortKey {
        let Some(Target { attribute, sub }) = self.sort else { return SortKey::default() };
        let resource = resource(user, issuer);
        let value = resource.get(attribute.name);
        // Of several values the one that is kept.
        let value = value.and_then(|value| value.as_array().map_or(Some(value), |parts| parts.first()));
        let sub = sub.or_else(|| attribute.sub("value"));
        let (last, value) = match sub {
            Some(sub) => (sub, value.and_then(|value| value.get(sub.name))),
            None => (attribute, value),
        };
        let text = value.and_then(|value| match value {
            Value::String(text) if last.kind == Kind::DateTime => {
                Timestamp::parse_rfc3339(text).map(|at| format!("{:020}", at.0))
            }
            Value::String(text) if last.exact => Some(text.clone()),
            Value::String(text) => Some(text.to_lowercase()),
            Value::Bool(is) => Some(is.to_string()),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        });
        SortKey { absent: text.is_none(), text: text.unwrap_or_default() }
    }
}

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct SortKey {
    absent: bool,
    text: String,
}

/// What a query shows of a user.
///
/// # Errors
/// 400 where it contradicts itself.
pub fn shown(query: &Query) -> Result<Shown, ScimError> {
    let list = |text: &'static str| query.text(text).map(|names| names.map(|names| names.split(',')));
    Shown::parse(list("attributes")?, list("excludedAttributes")?)
}
