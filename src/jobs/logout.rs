//! Tells relying parties of logouts (OpenID Connect Back-Channel Logout §2.5; R4): notes become deliveries, deliveries are
//! tried until they arrive. Several replicas share the work: a note is held while it is worked off, a delivery is taken
//! for as long as one try may last.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;

use crate::app::App;
use crate::model::client::Client;
use crate::operations::signing_keys;
use crate::store::logouts::{self, Attempted, Delivery, Note};
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

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
/// Families that one step of a note takes; deliveries that are under way at once, and looked for at a time.
const FAMILIES: i64 = 200;
const AT_ONCE: usize = 16;
const BATCH: i64 = 64;

/// Runs until `stop` says so.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = work_off(&app).await {
            tracing::warn!("logouts could not be told and will be tried again: {error}");
        }
    }
}

/// Turns every note into deliveries, and tries every delivery that is due.
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn work_off(app: &App) -> Result<(), store::Error> {
    loop {
        let notes = logouts::notes(&mut app.db.read().await?, BATCH).await?;
        for note in &notes {
            expand(app, note).await?;
        }
        if i64::try_from(notes.len()).unwrap_or(0) < BATCH {
            break;
        }
    }
    let now = app.clock.now();
    let due = logouts::due(&mut app.db.read().await?, now, BATCH).await?;
    stream::iter(due).for_each_concurrent(AT_ONCE, |delivery| attempt(app, delivery)).await;
    Ok(())
}

/// Works a note off, step by step; each step is one transaction.
async fn expand(app: &App, note: &Note) -> Result<(), store::Error> {
    let (db, mut note) = (&app.db, note.clone());
    loop {
        let now = app.clock.now();
        let next = in_transaction!(db, app.patient_deadline(), [note], |tx| {
            let Some(found) = logouts::families_of(tx, &note, FAMILIES).await? else {
                return Ok(None);
            };
            for told in &found {
                let client = store::clients::by_id(tx, &told.client).await?;
                if client.is_some_and(|client| client.metadata.backchannel_logout_uri.is_some()) {
                    logouts::insert(tx, told, now).await?;
                }
            }
            let whole = i64::try_from(found.len()).unwrap_or(0) == FAMILIES;
            let next = found.last().map(|told| told.id.clone()).filter(|_| whole);
            logouts::advance(tx, &note, next.as_deref()).await?;
            Ok(next)
        })?;
        match next {
            Some(cursor) => note.cursor = cursor,
            None => return Ok(()),
        }
    }
}

async fn attempt(app: &App, delivery: Delivery) {
    if let Err(error) = deliver(app, delivery).await {
        tracing::warn!("a logout could not be told and will be tried again: {error}");
    }
}

async fn deliver(app: &App, due: Delivery) -> Result<(), store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let held =
        in_transaction!(db, app.patient_deadline(), [due], |tx| logouts::take(tx, &due, now, now.after(LEASE)).await)?;
    let Some(delivery) = held else {
        return Ok(());
    };
    let client = store::clients::by_id(&mut db.read().await?, &delivery.client).await?;
    let attempted =
        match client.as_ref().and_then(|client| Some((client, client.metadata.backchannel_logout_uri.as_ref()?))) {
            None => Attempted::GivenUp("the client has no back-channel address any more".into()),
            Some((client, address)) => {
                let proof = logout_token(app, client, &delivery, now).await?;
                match app.outbound.post_form(address, &[("logout_token", &proof)]).await {
                    Ok(()) => Attempted::Delivered,
                    Err(error) => failed(&delivery, &format!("{error:#}"), app.clock.now()),
                }
            }
        };
    let name = client.as_ref().map_or(delivery.client.as_str(), |client| client.client_id.as_str());
    report(app, name, &delivery, &attempted);
    let now = app.clock.now();
    in_transaction!(db, app.patient_deadline(), [delivery, attempted], |tx| {
        logouts::settle(tx, &delivery, &attempted, now).await
    })
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
            app.metrics.logout_told("delivered");
            tracing::info!(client.id = client_id, %sid, attempts, "client {client_id} was told of a logout");
        }
        Attempted::Again(why, _) => {
            app.metrics.logout_told("failed");
            tracing::warn!(client.id = client_id, %sid, attempts, "client {client_id} could not be told of a logout and will be: {why}");
        }
        Attempted::GivenUp(why) => {
            app.metrics.logout_told("given_up");
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
    let key = signing_keys::signer(app, client.metadata.id_token_signed_response_alg, now).await?;
    key.sign("logout+jwt", &claims).map_err(|error| store::Error::Damaged(error.to_string()))
}
