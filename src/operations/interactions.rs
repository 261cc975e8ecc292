//! An app's request that waits for a person: remembered under a handle, bound to one browser, and checked again each
//! time the person comes back to it (the walkthrough *An app's sign-in* of lib.rs).

use std::time::Duration;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::log;
use crate::model::authorization::AuthorizationRequest;
use crate::model::client::Client;
use crate::model::session::{Method, Session};
use crate::store::interactions::Interaction;
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

/// Where a waiting request is taken up again.
pub const RESUME: &str = "/oauth2/authorize/resume";
/// How long a request waits: a login page that was left open overnight still works.
const LIFE: Duration = Duration::from_hours(12);

/// The path that takes a waiting request up again.
#[must_use]
pub fn resume_path(handle: &Secret) -> String {
    format!("{RESUME}?i={}", handle.reveal())
}

/// The handle in a path that [`resume_path`] made.
#[must_use]
pub fn handle_in(path: &str) -> Option<Secret> {
    Secret::parse(path.strip_prefix(RESUME)?.strip_prefix("?i=")?)
}

/// Remembers a request; its handle.
pub async fn begin(
    app: &App,
    client: &Client,
    request: &AuthorizationRequest,
    browser: Option<&Secret>,
    user_id: Option<&str>,
    now: Timestamp,
) -> Result<Secret, store::Error> {
    let handle = Secret::random(&app.random);
    let interaction = Interaction {
        id: app.random.id(now),
        browser_hash: browser.map(Secret::digest),
        client: client.id.clone(),
        request: request.clone(),
        consented_by: None,
        user_id: user_id.map(str::to_owned),
        answered_at: None,
    };
    let hash = handle.digest();
    in_transaction!(app.db, app.ordinary_deadline(now), [interaction, hash], |tx| {
        store::interactions::insert(tx, &interaction, &hash, now, now.after(LIFE)).await
    })?;
    Ok(handle)
}

/// A waiting request and whose it is.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The request.
    pub interaction: Interaction,
    /// The app, switched on.
    pub client: Client,
}

/// The request behind a handle, while it lives and its client is switched on.
pub async fn find(app: &App, handle: &Secret, now: Timestamp) -> Result<Option<Waiting>, store::Error> {
    let mut conn = app.db.read().await?;
    let Some(interaction) = store::interactions::find(&mut conn, &handle.digest(), now).await? else {
        return Ok(None);
    };
    let client = store::clients::by_id(&mut conn, &interaction.client).await?.filter(|client| client.enabled);
    if let Some(client) = &client {
        log::name_client(&client.client_id);
    }
    Ok(client.map(|client| Waiting { interaction, client }))
}

/// Binds a request to the browser that came with its handle, unless it belongs to another.
pub async fn bind(
    app: &App,
    interaction: &Interaction,
    browser: &Secret,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let hash = browser.digest();
    if let Some(bound) = &interaction.browser_hash {
        return Ok(*bound == hash);
    }
    let id = interaction.id.clone();
    in_transaction!(app.db, app.ordinary_deadline(now), [id, hash], |tx| {
        store::interactions::bind(tx, &id, &hash).await
    })
}

/// Notes that a request was answered with a refusal, so that nobody is asked for it again.
pub async fn refused(
    app: &App,
    interaction: &Interaction,
    session: Option<&Session>,
    now: Timestamp,
) -> Result<(), store::Error> {
    let (id, user) = (interaction.id.clone(), session.map(|session| session.user_id.clone()));
    in_transaction!(app.db, app.ordinary_deadline(now), [id, user], |tx| {
        store::interactions::note_answer(tx, &id, user.as_deref(), now).await
    })
}

/// A request that was begun for one person is not finished as another, whom a handoff brought into this browser
/// meanwhile: it asks again, as if that person had begun it (U3). Whoever types a password on the page that it waits at
/// is there for it.
pub async fn keep_to_its_person(
    app: &App,
    interaction: &mut Interaction,
    session: &Session,
    now: Timestamp,
) -> Result<(), store::Error> {
    let is_anothers = interaction.user_id.as_ref().is_some_and(|user| *user != session.user_id);
    if !is_anothers || session.method != Method::Handoff {
        return Ok(());
    }
    let (id, new_id, user) = (interaction.id.clone(), app.random.id(now), session.user_id.clone());
    in_transaction!(app.db, app.ordinary_deadline(now), [id, new_id, user], |tx| {
        store::interactions::ask_again(tx, &id, &new_id, &user).await
    })?;
    (interaction.id, interaction.user_id) = (new_id, Some(user));
    (interaction.consented_by, interaction.answered_at) = (None, None);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    #[test]
    fn a_handle_comes_back_out_of_its_path() {
        let handle = Secret::random(&Random::seeded(1));
        assert_eq!(handle_in(&resume_path(&handle)), Some(handle));
        assert_eq!(handle_in("/oauth2/authorize/resume?i=x"), None);
        assert_eq!(handle_in("/login"), None);
    }
}
