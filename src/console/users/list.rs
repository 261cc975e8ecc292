//! `/admin/users`: the users of the provider, searched, sorted, a page at a time; and unlocking several at once. A Therap
//! Admin sees the same list at `/operator/providers/{id}/users`.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::view::{Access, Pill, parse_user_type};
use crate::app::App;
use crate::console::admins::{ProviderAdmin, UsersAdmin};
use crate::model::claims::Claims;
use crate::model::provider::Provider;
use crate::operations::csv::file;
use crate::operations::users::{self, Locks, Unlocked};
use crate::store;
use crate::store::users::directory::{self, Cursor, Listed, Search, Sort, State};
use crate::time::Timestamp;
use crate::web::download;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::flash::Told;
use crate::web::form::{Choice, choices};
use crate::web::ids::checked;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

const ROWS: usize = 25;
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
    rows: Vec<Row>,
    any_locked: bool,
    query: String,
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
    locked: bool,
    last_sign_in: Option<String>,
}

impl Row {
    fn of(user: Listed, zone: &str) -> Self {
        let access = Access {
            active: user.active,
            password_locked: user.password_locked(),
            admin_locked: user.admin_locked,
            temporary_until: user.temporary_until,
        };
        Self {
            states: access.pills(),
            locked: access.password_locked || access.admin_locked,
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
    sort: Option<String>,
    after: Option<String>,
}

impl UsersFilter {
    /// What is looked for; a word that is none means nothing.
    pub(super) fn search(&self) -> Search {
        fn word<T: std::str::FromStr + Default>(text: Option<&String>) -> T {
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        }
        Search {
            text: self.q.clone().unwrap_or_default().chars().take(255).collect(),
            state: word(self.state.as_ref()),
            user_type: self.user_type.as_deref().and_then(parse_user_type),
            sort: word(self.sort.as_ref()),
        }
    }
}

/// A search as a query, without what is the default anyway.
fn query_of(search: &Search) -> Vec<(&'static str, String)> {
    let mut pairs = Vec::new();
    for (name, value, default) in [
        ("q", search.text.as_str(), ""),
        ("state", search.state.as_str(), State::default().as_str()),
        ("user_type", search.user_type.map_or("", |user_type| user_type.as_str()), ""),
        ("sort", search.sort.as_str(), Sort::default().as_str()),
    ] {
        if value != default {
            pairs.push((name, value.to_owned()));
        }
    }
    pairs
}

fn encoded(pairs: &[(&'static str, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
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
    let (search, scope, list) = (query.search(), admin.scope(), admin.list());
    let mut conn = app.db.read_much().await?;
    let place = match query.after.as_deref().and_then(checked) {
        Some(id) => directory::cursor(&mut conn, scope, search.sort, &id).await?,
        None => None,
    };
    // One more than is shown tells whether there is more.
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let begun = place.is_some();
    let mut found = directory::page(&mut conn, scope, &search, &place.unwrap_or_default(), limit).await?;
    let strangers = store::activity::count_strangers(&mut conn, scope, arrival.now.before(STRANGERS_SINCE)).await?;
    drop(conn);
    let place = found.cut(ROWS);
    let query = query_of(&search);
    let next = place.map(|place| {
        let pairs: Vec<_> = query.iter().cloned().chain([("after", place.id().to_owned())]).collect();
        address(&list, &encoded(&pairs))
    });
    let zone = &admin.session().time_zone;
    let rows: Vec<Row> = found.users.into_iter().map(|user| Row::of(user, zone)).collect();
    let template = UsersPage {
        page: Page::of(&app, "Users", admin.session()).saying(told),
        q: search.text,
        states: choices(&STATES, search.state.as_str()),
        user_types: choices(&USER_TYPES, search.user_type.map_or("", |user_type| user_type.as_str())),
        sorts: choices(&[("name", "Name"), ("login_name", "Login Name")], search.sort.as_str()),
        any_locked: admin.from_outside().is_none() && rows.iter().any(|row| row.locked),
        rows,
        first: begun.then(|| address(&list, &encoded(&query))),
        export: address(&format!("{list}/export"), &encoded(&query)),
        query: encoded(&query),
        next,
        stopped: found.stopped.is_some(),
        strangers,
        zone: zone.clone(),
        agency: admin.from_outside().cloned(),
        list,
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}

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

/// `POST /admin/users/unlock`: every lock off each of the ticked users, one act and one record each.
///
/// # Errors
/// When the database fails.
pub async fn unlock(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let act = admin.act(&app, &arrival);
    let mut count = 0_u16;
    for id in fields.take_ticked("user.").iter().filter_map(|id| checked(id)) {
        // Another provider's user is not found, and so not unlocked (G15).
        let unlocked = users::unlock(&act, admin.scope.provider_id(), &id, Locks::Both).await?;
        if matches!(unlocked, Unlocked::Yes { .. }) {
            count = count.saturating_add(1);
        }
    }
    // The filter is read and rewritten: nothing but a filter comes of it.
    let query: UsersFilter = read_query(&fields.take("query"));
    Ok(Notice::UsersUnlocked(count).at(&address(&admin.list(), &encoded(&query_of(&query.search())))))
}

fn read_query(query: &str) -> UsersFilter {
    let uri = format!("/?{query}").parse();
    uri.ok().and_then(|uri| Query::try_from_uri(&uri).ok()).map(|Query(query)| query).unwrap_or_default()
}

/// How many users of a file are in memory at once.
const FILE_ROWS: i64 = 500;
const MEMBERS: [&str; 11] = [
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
];

/// `GET /admin/users/export`: everybody whom the filter of the page fits.
///
/// # Errors
/// When the session cannot be asked for.
pub async fn export(app: App, admin: ProviderAdmin, Query(query): Query<UsersFilter>) -> Result<Response, PageError> {
    let (search, scope) = (query.search(), admin.scope);
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
    ])
}
