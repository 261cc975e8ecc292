//! Tells relying parties of logouts (OpenID Connect Back-Channel Logout §2.5; R4): notes become deliveries, deliveries
//! are tried until they arrive. Several replicas share the work: a note is held while a page of it is worked off, a
//! delivery is taken for longer than one try may last. A client that does not answer holds up nobody but itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinSet};

use crate::app::App;
use crate::metrics::labels::{Job, Told};
use crate::model::client::Client;
use crate::operations::keys::in_use;
use crate::store::logouts::{self, Attempted, Delivery, Note};
use crate::store::{self, in_transaction};
use crate::time::Timestamp;
use crate::web::health;

/// How often it looks for work: a relying party knows within a second.
const EVERY: Duration = Duration::from_millis(400);
/// A try lasts no longer; then another replica may try.
const LEASE: Duration = Duration::from_secs(20);
/// How long a logout token is good for (at most two minutes, §2.4).
const TOKEN_LIFE: Duration = Duration::from_mins(2);
/// Pauses after the first, second, … failure; the last one repeats.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_hours(1),
];
/// After this long it is given up: the relying party's own session is over by then.
const GIVE_UP: Duration = Duration::from_hours(24);
/// Tries under way at once: in all, and at one client. One that failed last is only felt for.
const AT_ONCE: usize = 128;
const AT_ONE_CLIENT: usize = 8;
/// Notes that are looked at together, and families that one step of a note takes.
const NOTES: i64 = 64;
const FAMILIES: i64 = 1000;
/// The next pass of a note: whatever was being written while it was left is written by then, or never will be.
const NEXT_PASS: Duration = Duration::from_mins(1);

/// Runs until `stop` says so. Tries that are under way are finished.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let (mut dispatcher, mut clock_is_right) = (Dispatcher::new(&app), false);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => clock_is_right = health::clock_is_right(&app).await.is_ok(),
            Some(ended) = dispatcher.tries.join_next_with_id(), if !dispatcher.tries.is_empty() => dispatcher.ended(ended),
            _ = stop.changed() => break,
        }
        // By a clock that is wrong, no relying party would believe the token. `jobs` says in the log that it is wrong.
        if !clock_is_right {
            continue;
        }
        let looked = dispatcher.look().await;
        app.metrics.job_ran(Job::Logouts, looked.is_ok(), app.clock.now());
        match looked {
            Ok(true) => ticks.reset_immediately(),
            Ok(false) => {}
            Err(error) => tracing::warn!("logouts could not be told and will be tried again: {error}"),
        }
    }
    dispatcher.finish().await;
}

/// Turns every note that is due into deliveries, and tries every delivery that is due.
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn process_batch(app: &App) -> Result<(), store::Error> {
    let mut dispatcher = Dispatcher::new(app);
    loop {
        let more = dispatcher.look().await?;
        if !more && dispatcher.tries.is_empty() {
            return Ok(());
        }
        dispatcher.finish().await;
    }
}

/// What one replica has in hand.
struct Dispatcher {
    app: App,
    tries: JoinSet<Heard>,
    /// The clients, by row, of the tries under way.
    clients: HashMap<task::Id, String>,
    /// The clients, by row, whose last try failed.
    failing: HashSet<String>,
}

/// Whether the client answered as it should; `None` when nobody asked it.
type Heard = Option<bool>;

impl Dispatcher {
    fn new(app: &App) -> Self {
        Self { app: app.clone(), tries: JoinSet::new(), clients: HashMap::new(), failing: HashSet::new() }
    }

    /// Works one page off each note that is due, and starts as many tries as there is room for; whether notes have more
    /// pages.
    async fn look(&mut self) -> Result<bool, store::Error> {
        while let Some(ended) = self.tries.try_join_next_with_id() {
            self.ended(ended);
        }
        let (app, now) = (self.app.clone(), self.app.clock.now());
        if !logouts::has_work(&mut app.db.read().await?, now).await? {
            return Ok(false);
        }
        let more = expand(&app, now).await?;
        let now = app.clock.now();
        let due = logouts::due_clients(&mut app.db.read().await?, now).await?;
        for client in due {
            let room = self.room(&client);
            if room == 0 {
                continue;
            }
            let limit = i64::try_from(room).unwrap_or(1);
            let taken = in_transaction!(app.db, app.patient_deadline(), [client], |tx| {
                logouts::take(tx, &client, now, now.after(LEASE), limit).await
            })?;
            for delivery in taken {
                let app = app.clone();
                let id = self.tries.spawn(async move { attempt(&app, &delivery).await }).id();
                self.clients.insert(id, client.clone());
            }
        }
        Ok(more)
    }

    fn room(&self, client: &str) -> usize {
        let most = if self.failing.contains(client) { 1 } else { AT_ONE_CLIENT };
        let under_way = self.clients.values().filter(|one| *one == client).count();
        most.saturating_sub(under_way).min(AT_ONCE.saturating_sub(self.tries.len()))
    }

    fn ended(&mut self, ended: Result<(task::Id, Heard), JoinError>) {
        let (id, heard) = match ended {
            Ok((id, heard)) => (id, heard),
            Err(died) => {
                tracing::error!("a try to tell a client of a logout died: {died}");
                (died.id(), None)
            }
        };
        match (self.clients.remove(&id), heard) {
            (Some(client), Some(false)) => drop(self.failing.insert(client)),
            (Some(client), Some(true)) => drop(self.failing.remove(&client)),
            (_, None) | (None, _) => {}
        }
    }

    async fn finish(&mut self) {
        while let Some(ended) = self.tries.join_next_with_id().await {
            self.ended(ended);
        }
    }
}

/// Works one page off each note that is due; whether there are more.
async fn expand(app: &App, now: Timestamp) -> Result<bool, store::Error> {
    let notes = logouts::notes(&mut app.db.read().await?, now, NOTES).await?;
    let mut more = i64::try_from(notes.len()).unwrap_or(0) == NOTES;
    for note in &notes {
        match step(app, note).await {
            Ok(has_more) => more |= has_more,
            // The others need not wait for this one; without haste, for it may fail again.
            Err(error) => {
                tracing::warn!(%note.id, "a logout's note could not be worked off and will be tried again: {error}");
                more = false;
            }
        }
    }
    Ok(more)
}

/// Turns the next families of a note into deliveries, in one transaction; whether it has more.
async fn step(app: &App, note: &Note) -> Result<bool, store::Error> {
    let (note, now) = (note.clone(), app.clock.now());
    in_transaction!(app.db, app.patient_deadline(), [note], |tx| {
        if !logouts::lock_for_update(tx, &note).await? {
            return Ok(false);
        }
        let page = logouts::page(tx, &note, FAMILIES).await?;
        let whole = i64::try_from(page.len()).unwrap_or(0) == FAMILIES;
        let Some((last, _)) = page.last() else {
            logouts::mark_done(tx, &note, now.after(NEXT_PASS)).await?;
            return Ok(false);
        };
        let clients: BTreeSet<&str> = page.iter().map(|(_, client)| client.as_str()).collect();
        for client in clients {
            let listens = store::clients::by_id(tx, client).await?;
            if listens.is_some_and(|client| client.metadata.backchannel_logout_uri.is_some()) {
                logouts::tell(tx, &note, client, last, now).await?;
            }
        }
        if whole {
            logouts::advance(tx, &note, last).await?;
        } else {
            logouts::mark_done(tx, &note, now.after(NEXT_PASS)).await?;
        }
        Ok(whole)
    })
}

async fn attempt(app: &App, delivery: &Delivery) -> Heard {
    match deliver(app, delivery).await {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!("a logout could not be told and will be tried again: {error}");
            None
        }
    }
}

async fn deliver(app: &App, delivery: &Delivery) -> Result<Heard, store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let client = store::clients::by_id(&mut db.read().await?, &delivery.client).await?;
    let listening = client.as_ref().and_then(|client| Some((client, client.metadata.backchannel_logout_uri.as_ref()?)));
    let (attempted, heard) = match listening {
        None => (Attempted::GivenUp("the client has no back-channel address any more".into()), None),
        Some((client, address)) => {
            let proof = logout_token(app, client, delivery, now).await?;
            match app.outbound.post_form(address, &[("logout_token", &proof)]).await {
                Ok(()) => (Attempted::Delivered, Some(true)),
                Err(error) => (failed(delivery, &format!("{error:#}"), app.clock.now()), Some(false)),
            }
        }
    };
    let name = client.as_ref().map_or(delivery.client.as_str(), |client| client.client_id.as_str());
    report(app, name, delivery, &attempted);
    let (delivery, now) = (delivery.clone(), app.clock.now());
    in_transaction!(db, app.patient_deadline(), [delivery, attempted], |tx| {
        logouts::settle(tx, &delivery, &attempted, now).await
    })?;
    Ok(heard)
}

fn failed(delivery: &Delivery, why: &str, now: Timestamp) -> Attempted {
    let why: String = why.chars().take(200).collect();
    if Timestamp(delivery.created_at).after(GIVE_UP) <= now {
        return Attempted::GivenUp(why);
    }
    let index = usize::try_from(delivery.attempts - 1).unwrap_or(0).min(PAUSES.len() - 1);
    Attempted::Again(why, now.after(PAUSES[index]))
}

fn report(app: &App, client_id: &str, delivery: &Delivery, attempted: &Attempted) {
    let (attempts, sid) = (delivery.attempts, &delivery.sid);
    match attempted {
        Attempted::Delivered => {
            app.metrics.logout_told(Told::Delivered);
            tracing::info!(client.id = client_id, %sid, attempts, "client {client_id} was told of a logout");
        }
        Attempted::Again(why, _) => {
            app.metrics.logout_told(Told::Failed);
            tracing::warn!(client.id = client_id, %sid, attempts, "client {client_id} could not be told of a logout and will be: {why}");
        }
        Attempted::GivenUp(why) => {
            app.metrics.logout_told(Told::GivenUp);
            tracing::error!(client.id = client_id, %sid, attempts, "client {client_id} was never told of a logout: {why}");
        }
    }
}

/// The logout token (§2.4), new for each try.
async fn logout_token(app: &App, client: &Client, delivery: &Delivery, now: Timestamp) -> Result<String, store::Error> {
    let claims = json!({
        "iss": app.config.issuer,
        "aud": client.client_id,
        "iat": now.seconds(),
        "exp": now.after(TOKEN_LIFE).seconds(),
        "jti": app.random.id(now),
        "sub": delivery.user_id,
        "sid": delivery.sid,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let key = in_use::signer(app, client.metadata.id_token_signed_response_alg, now).await?;
    key.sign("logout+jwt", &claims).map_err(|error| store::Error::Damaged(error.to_string()))
}
