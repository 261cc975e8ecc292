//! `/admin/users`: the users of the provider, searched, sorted, a page at a time, with boxes for what is done to several.
//! A Therap Admin sees the same list at `/operator/providers/{id}/users`, without the boxes.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::view::{Access, Pill, parse_user_type};
use crate::app::App;
use crate::console::admins::{ProviderAdmin, UsersAdmin};
use crate::console::confirm::counted;
use crate::model::claims::Claims;
use crate::model::provider::Provider;
use crate::operations::csv::file;
use crate::operations::users::selected::MOST;
use crate::store;
use crate::store::users::directory::{self, Cursor, Listed, Search, SearchPage, Sort, State};
use crate::time::{Timestamp, day_begins};
use crate::web::download;
use crate::web::error::PageError;
use crate::web::flash::Told;
use crate::web::form::{Choice, FieldErrors, choices};
use crate::web::layers::Arrival;
use crate::web::page::{Page, Shape, respond};

/// Everybody on a page can be selected at once.
const ROWS: usize = MOST;
/// Tries on unknown Login Names are counted so far back.
const STRANGERS_SINCE: std::time::Duration = std::time::Duration::from_hours(30 * 24);

#[derive(Template)]
#[template(path = "console/users/list.html")]
struct UsersPage {
    page: Page,
    /// Where it stands.
    list: String,
    /// The agency, for whoever comes from outside: to look.
    agency: Option<Provider>,
    q: String,
    states: Vec<Choice>,
    user_types: Vec<Choice>,
    sorts: Vec<Choice>,
    faults: FieldErrors,
    away_since: String,
    total: String,
    rows: Vec<Row>,
    any_other: bool,
    place: String,
    first: Option<String>,
    next: Option<String>,
    stopped: bool,
    strangers: i64,
    zone: String,
    export: String,
}

struct Row {
    id: String,
    login_name: String,
    name: String,
    user_type: &'static str,
    states: Vec<Pill>,
    own: bool,
    last_sign_in: Option<String>,
}

impl Row {
    fn of(user: Listed, zone: &str, own_id: &str) -> Self {
        let access = Access {
            active: user.active,
            password_locked: user.password_locked(),
            admin_locked: user.admin_locked,
            temporary_until: user.temporary_until,
        };
        Self {
            states: access.pills(),
            own: user.id == own_id,
            last_sign_in: user.last_sign_in.map(|at| Timestamp(at).in_zone(zone)),
            user_type: user.user_type.as_str(),
            id: user.id,
            login_name: user.login_name,
            name: user.name,
        }
    }
}

/// The query: what is looked for, and where the page begins.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct UsersFilter {
    q: Option<String>,
    state: Option<String>,
    user_type: Option<String>,
    away_since: Option<String>,
    sort: Option<String>,
    after: Option<String>,
}

impl UsersFilter {
    /// What is looked for, with days of a time zone; a word that is none means nothing, and a day that is none is said at its
    /// field.
    fn search(&self, zone: &str, faults: &mut FieldErrors) -> Search {
        fn word<T: std::str::FromStr + Default>(text: Option<&String>) -> T {
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        }
        let day = self.away_since.as_deref().filter(|day| !day.is_empty());
        let away_since = day.and_then(|day| day_begins(day, 0, zone));
        if day.is_some() && away_since.is_none() {
            faults.add("away-since", "Please write a date such as 2026-01-31.");
        }
        Search {
            away_since,
            text: self.q.clone().unwrap_or_default().chars().take(255).collect(),
            state: word(self.state.as_ref()),
            user_type: self.user_type.as_deref().and_then(parse_user_type),
            sort: word(self.sort.as_ref()),
        }
        .settled()
    }

    /// A search as a query, without what is the default anyway, from a place on.
    fn query(&self, search: &Search, after: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value, default) in [
            ("q", search.text.as_str(), ""),
            ("state", search.state.as_str(), State::default().as_str()),
            ("user_type", search.user_type.map_or("", |user_type| user_type.as_str()), ""),
            ("away_since", search.away_since.and(self.away_since.as_deref()).unwrap_or_default(), ""),
            ("sort", search.sort.as_str(), Sort::default().as_str()),
            ("after", after, ""),
        ] {
            if value != default {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

/// The list that a query showed, from the same place on. It is read and rewritten: nothing but a list comes of it.
pub(super) fn back_to(query: &str, zone: &str) -> String {
    let uri = format!("/?{query}").parse();
    let read: Option<Query<UsersFilter>> = uri.ok().and_then(|uri| Query::try_from_uri(&uri).ok());
    let filter = read.map(|Query(filter)| filter).unwrap_or_default();
    let search = filter.search(zone, &mut FieldErrors::default());
    let is_place = |c: &char| c.is_ascii_hexdigit() || ".-".contains(*c);
    let after: String = filter.after.iter().flat_map(|after| after.chars()).filter(is_place).take(60).collect();
    address("/admin/users", &filter.query(&search, &after))
}

/// An address with a query, if there is one.
fn address(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// `GET /admin/users`, `GET /operator/providers/{id}/users`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get<A: UsersAdmin>(
    app: App,
    arrival: Arrival,
    admin: A,
    Query(query): Query<UsersFilter>,
    told: Told,
) -> Result<Response, PageError> {
    let (scope, list, zone) = (admin.scope(), admin.list(), &admin.session().time_zone);
    let mut faults = FieldErrors::default();
    let search = query.search(zone, &mut faults);
    let mut conn = app.db.read_much().await?;
    let place = match query.after.as_deref() {
        Some(text) => directory::cursor(&mut conn, scope, search.sort, text).await?,
        None => None,
    };
    // One more than is shown tells whether there is more.
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let (begun, here) = (place.is_some(), place.unwrap_or_default());
    let (mut found, mut total) = (SearchPage::default(), 0);
    if faults.is_empty() {
        found = directory::page(&mut conn, scope, &search, &here, limit).await?;
        total = directory::count(&mut conn, scope, &search).await?;
    }
    let strangers = store::activity::count_strangers(&mut conn, scope, arrival.now.before(STRANGERS_SINCE)).await?;
    drop(conn);
    let next = found.cut(ROWS).map(|place| address(&list, &query.query(&search, &place.written(search.sort))));
    let rows: Vec<Row> = found.users.into_iter().map(|user| Row::of(user, zone, &admin.session().user_id)).collect();
    let whole = query.query(&search, "");
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let template = UsersPage {
        page: Page::of(&app, "Users", admin.session()).saying(told),
        faults,
        total: counted(total, "user"),
        place: query.query(&search, if begun { query.after.as_deref().unwrap_or_default() } else { "" }),
        first: begun.then(|| address(&list, &whole)),
        export: address(&format!("{list}/export"), &whole),
        q: search.text,
        states: choices(&STATES, search.state.as_str()),
        user_types: choices(&USER_TYPES, search.user_type.map_or("", |user_type| user_type.as_str())),
        sorts: choices(&SORTS, search.sort.as_str()),
        away_since: query.away_since.unwrap_or_default(),
        any_other: rows.iter().any(|row| !row.own),
        rows,
        next,
        stopped: found.stopped.is_some(),
        strangers,
        zone: zone.clone(),
        agency: admin.visited().cloned(),
        list,
    };
    Ok(respond(status, Shape::Inside, &template))
}

const SORTS: [(&str, &str); 4] = [
    ("name", "Name"),
    ("login_name", "Login Name"),
    ("last_sign_in", "Last sign-in, newest first"),
    ("longest_away", "Last sign-in, oldest first"),
];
const STATES: [(&str, &str); 8] = [
    ("any", "Any"),
    ("active", "Active"),
    ("locked", "Locked"),
    ("password_locked", "Password locked"),
    ("admin_locked", "Locked by an admin"),
    ("deactivated", "Deactivated"),
    ("never_signed_in", "No sign-in on record"),
    ("temporary", "Temporary password"),
];
const USER_TYPES: [(&str, &str); 3] =
    [("", "Any"), ("Regular User", "Regular User"), ("Provider Admin", "Provider Admin")];

/// How many users of a file are in memory at once.
const FILE_ROWS: i64 = 500;
const MEMBERS: [&str; 12] = [
    "login_name",
    "name",
    "user_type",
    "email",
    "active",
    "password_locked",
    "admin_locked",
    "temporary_until",
    "created_at",
    "last_sign_in",
    "id",
    "external_id",
];

/// `GET /admin/users/export`: everybody whom the filter of the page fits.
///
/// # Errors
/// When the filter makes no sense, or the session cannot be asked for.
pub async fn export(app: App, admin: ProviderAdmin, Query(query): Query<UsersFilter>) -> Result<Response, PageError> {
    let mut faults = FieldErrors::default();
    let (search, scope) = (query.search(&admin.session.time_zone, &mut faults), admin.scope);
    if !faults.is_empty() {
        return Err(PageError::BadForm("The filter of the file makes no sense. Set it on the page of the users."));
    }
    let name = format!("users-{}.csv", admin.session.provider_code);
    Ok(download::csv(&name, file::Head::of(MEMBERS), Cursor::default(), move |place: Cursor| {
        let (app, scope, search) = (app.clone(), scope.clone(), search.clone());
        async move {
            let found = directory::page(&mut app.db.read_much().await?, &scope, &search, &place, FILE_ROWS).await?;
            Ok(found.cursor().map(|next| (found.users.iter().flat_map(file_line).collect(), next)))
        }
    }))
}

fn file_line(user: &Listed) -> Vec<u8> {
    let yes = |so: bool| if so { "yes" } else { "no" };
    let at = |at: Option<i64>| at.map(|at| Timestamp(at).rfc3339()).unwrap_or_default();
    let claims = Claims::from_json(&user.claims).unwrap_or_default();
    file::line([
        user.login_name.as_str(),
        &user.name,
        user.user_type.as_str(),
        claims.email(),
        yes(user.active),
        yes(user.password_locked()),
        yes(user.admin_locked),
        &at(user.temporary_until),
        &at(Some(user.created_at)),
        &at(user.last_sign_in),
        &user.id,
        user.external_id.as_deref().unwrap_or_default(),
    ])
}
