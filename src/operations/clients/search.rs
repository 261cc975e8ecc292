//! Clients looked for: by name or `client_id`, kind, and whether they are on.

use crate::model::client::Client;
use crate::model::client::kind::ClientKind;
use crate::store::{Conn, Error, clients};

/// As many are read at a time: each may hold its keys and a hundred addresses.
const BATCH: usize = 50;
/// As many are looked at for one page.
const MOST_LOOKED_AT: usize = 2000;

/// What is looked for; what is not given fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// A part of the name or of the `client_id`, in any case.
    pub text: String,
    /// The kind.
    pub kind: Option<ClientKind>,
    /// Whether it is on.
    pub enabled: Option<bool>,
}

/// A page of what was found, by `client_id`.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The clients.
    pub clients: Vec<Client>,
    /// After which `client_id` the next page begins, where there may be one.
    pub next: Option<String>,
    /// Whether it ends here because enough were looked at.
    pub stopped: bool,
}

impl Search {
    fn fits(&self, client: &Client) -> bool {
        let text = self.text.trim().to_lowercase();
        let has = |field: &str| field.to_lowercase().contains(&text);
        (has(client.name()) || has(&client.client_id))
            && self.kind.is_none_or(|kind| ClientKind::of(&client.metadata) == kind)
            && self.enabled.is_none_or(|enabled| client.enabled == enabled)
    }
}

/// At most `rows` clients that fit, after a `client_id`. What kind a client is its metadata say, and they are read here: so
/// a search is no statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn search(conn: &mut Conn, search: &Search, after: &str, rows: usize) -> Result<Found, Error> {
    let mut found = Found::default();
    let (mut after, mut looked_at) = (after.to_owned(), 0);
    loop {
        let batch = clients::list(conn, &after, i64::try_from(BATCH).unwrap_or(i64::MAX)).await?;
        looked_at += batch.len();
        let is_last = batch.len() < BATCH;
        for client in batch {
            after.clone_from(&client.client_id);
            if !search.fits(&client) {
                continue;
            }
            if found.clients.len() == rows {
                found.next = found.clients.last().map(|last| last.client_id.clone());
                return Ok(found);
            }
            found.clients.push(client);
        }
        if is_last {
            return Ok(found);
        }
        if looked_at >= MOST_LOOKED_AT {
            return Ok(Found { next: Some(after), stopped: true, ..found });
        }
    }
}
