//! `/operator/clients`: the apps, and programs that act for themselves, searched, a page at a time.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::client::LIST;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::model::client::kind::ClientKind;
use crate::model::client::rules::check_client_id;
use crate::operations::clients::search::{Search, search};
use crate::web::error::PageError;
use crate::web::flash::Told;
use crate::web::form::{Choice, choices};
use crate::web::page::{Page, Shape, respond};

const ROWS: usize = 50;
const STATES: [(&str, &str); 3] = [("", "Any"), ("on", "On"), ("off", "Off")];

#[derive(Template)]
#[template(path = "console/clients/list.html")]
struct ClientsPage {
    page: Page,
    q: String,
    kinds: Vec<Choice>,
    states: Vec<Choice>,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
    stopped: bool,
    is_search: bool,
}

struct Row {
    id: String,
    client_id: String,
    name: String,
    kind: &'static str,
    enabled: bool,
    method: &'static str,
}

/// The query: what is looked for, and where the page begins.
#[derive(Debug, Default, Deserialize)]
pub struct ClientsQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: String,
}

impl ClientsQuery {
    /// What is looked for; a word that is none means nothing.
    fn search(&self) -> Search {
        Search {
            text: self.q.chars().take(255).collect(),
            kind: self.kind.parse().ok(),
            enabled: match self.state.as_str() {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            },
        }
    }
}

/// The list's address, of a search, from the client after `after` on.
fn address(search: &Search, after: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("q", search.text.as_str()),
        ("kind", search.kind.map_or("", ClientKind::as_str)),
        ("state", state(search)),
        ("after", after),
    ] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { LIST.to_owned() } else { format!("{LIST}?{query}") }
}

fn state(search: &Search) -> &'static str {
    search.enabled.map_or("", |enabled| if enabled { "on" } else { "off" })
}

/// `GET /operator/clients`
///
/// # Errors
/// When the database cannot be asked.
pub async fn get(
    app: App,
    admin: TherapAdmin,
    Query(query): Query<ClientsQuery>,
    told: Told,
) -> Result<Response, PageError> {
    let wanted = query.search();
    // A place is a client's id; anything else is none.
    let after = Some(query.after).filter(|after| check_client_id(after).is_ok()).unwrap_or_default();
    let found = search(&mut app.db.read_much().await?, &wanted, &after, ROWS).await?;
    let kinds: Vec<_> =
        [("", "Any")].into_iter().chain(ClientKind::ALL.iter().map(|kind| (kind.as_str(), kind.name()))).collect();
    let row = |client: crate::model::client::Client| Row {
        name: client.name().to_owned(),
        kind: ClientKind::of(&client.metadata).name(),
        enabled: client.enabled,
        method: client.metadata.proves_itself_by(),
        id: client.id,
        client_id: client.client_id,
    };
    let template = ClientsPage {
        page: Page::of(&app, "Clients", &admin.session).saying(told),
        kinds: choices(&kinds, wanted.kind.map_or("", ClientKind::as_str)),
        states: choices(&STATES, state(&wanted)),
        first: (!after.is_empty()).then(|| address(&wanted, "")),
        next: found.next.as_deref().map(|next| address(&wanted, next)),
        stopped: found.stopped,
        is_search: wanted != Search::default(),
        rows: found.clients.into_iter().map(row).collect(),
        q: wanted.text,
    };
    Ok(respond(StatusCode::OK, Shape::Inside, &template))
}
