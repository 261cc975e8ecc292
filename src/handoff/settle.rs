//! Ends what neither step could (U8): late assertions, handoffs that nobody completed, sessions that nobody was given.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::assertion::Assertion;
use super::refused::refused_events;
use super::{CLAIM, REPEAT};
use crate::app::App;
use crate::crypto::secret::digest;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::refusal::Refusal;
use crate::model::session::{EndReason, Method};
use crate::store::handoffs::{Handoff, State};
use crate::store::{self, Tx, in_transaction};
use crate::time::{Random, Timestamp};
use crate::web::layers::Arrival;

/// How many rows one transaction settles.
const BATCH: i64 = 100;
/// How long a record is owed before we give up: longer than any failover.
const OWED_TRIES: u32 = 120;
const OWED_PAUSE: Duration = Duration::from_secs(5);
/// As many records are owed at once.
const OWED_AT_ONCE: usize = 10_000;
/// A clock is never set back further than this while a request is in hand.
const CLOCK_STEP: Duration = Duration::from_mins(1);

/// Records a late assertion: it is spent from here on. Of repeats the first is recorded, later ones are counted. An
/// earlier try of the same arrival, whose commit happened unseen, is no repeat.
///
/// # Errors
/// When the database fails.
pub async fn record_late(app: App, assertion: Assertion, arrival: Arrival) -> Result<(), store::Error> {
    let now = app.clock.now();
    let events = refused_events(&app, &assertion, &arrival);
    let (late, repeated) = (events.event(Refusal::TimedOut, None), events.event(Refusal::Replayed, None));
    let (issuer, jti_hash) = (assertion.trusted.issuer.id.clone(), digest(&assertion.jti));
    let (code, name) = (assertion.provider_code.clone(), assertion.login_name.clone());
    let (db, reference, since) = (&app.db, arrival.visitor.reference.clone(), arrival.now.before(CLOCK_STEP));
    let counted =
        in_transaction!(db, app.patient_deadline(), [late, repeated, issuer, jti_hash, code, name, reference], |tx| {
            if store::single_use::claim(tx, CLAIM, &issuer, &jti_hash, now).await? {
                let late = about_named(tx, late, &code, &name).await?;
                store::activity::record(tx, &late).await?;
                return Ok(false);
            }
            if store::handoffs::was_begun_by(tx, &issuer, &jti_hash, &reference).await?
                || store::activity::was_recorded(tx, &reference, since).await?
            {
                return Ok(false);
            }
            let first = store::single_use::claim(tx, REPEAT, &issuer, &jti_hash, now).await?;
            if first {
                let repeated = about_named(tx, repeated, &code, &name).await?;
                store::activity::record(tx, &repeated).await?;
            }
            Ok(!first)
        })?;
    if counted {
        app.metrics.handoff_repeated();
    }
    Ok(())
}

/// Puts the user on a record, where the named one exists, so that the agency sees it.
async fn about_named(tx: &mut Tx, event: Event, code: &str, name: &str) -> Result<Event, store::Error> {
    use crate::model::{login_name::LoginName, provider::ProviderCode};
    let (Some(code), Some(name)) = (ProviderCode::parse(code), LoginName::parse(name)) else {
        return Ok(event);
    };
    Ok(match store::users::by_name(tx, &code, &name).await? {
        Some(account) => event.about(&account),
        None => event,
    })
}

/// Records a late assertion as soon as the database answers; until then the record is owed.
pub async fn record_late_at_last(app: App, assertion: Assertion, arrival: Arrival) {
    let reference = arrival.visitor.reference.clone();
    at_last(&app, &reference, || record_late(app.clone(), assertion.clone(), arrival.clone())).await;
}

/// Ends what a second step whose time-out was answered may have opened, as soon as the database answers.
pub async fn end_unheard_at_last(app: App, handoff_id: String, handle_hash: String) {
    at_last(&app, &handoff_id, || end_unheard(&app, &handoff_id, &handle_hash)).await;
}

/// Tries until it is written; until then it is owed.
async fn at_last<F: Future<Output = Result<(), store::Error>>>(app: &App, reference: &str, write: impl Fn() -> F) {
    static OWED: Semaphore = Semaphore::const_new(OWED_AT_ONCE);
    let Ok(_place) = OWED.try_acquire() else {
        tracing::error!(%reference, "a timed-out handoff will not be recorded: {OWED_AT_ONCE} others are owed already");
        return;
    };
    for attempt in 0..OWED_TRIES {
        let Err(error) = write().await else { return };
        if attempt == 0 {
            app.metrics.unrecorded();
            tracing::error!(%reference, "a timed-out handoff could not be recorded yet: {error}");
        }
        tokio::time::sleep(OWED_PAUSE).await;
    }
    tracing::error!(%reference, "a timed-out handoff was never recorded");
}

/// Records every pending handoff whose time is over, one failure each; how many.
///
/// # Errors
/// When the database fails.
pub async fn expire_pending(app: &App) -> Result<usize, store::Error> {
    let (db, now, random) = (&app.db, app.clock.now(), app.random.clone());
    in_transaction!(db, app.patient_deadline(), [random], |tx| {
        let expired = store::handoffs::expire(tx, now, BATCH).await?;
        for handoff in &expired {
            let event = timed_out(tx, handoff, now, &random).await?;
            store::activity::record(tx, &event).await?;
        }
        Ok(expired.len())
    })
}

/// The failure record of a handoff that ran out of time.
///
/// # Errors
/// When the database fails.
pub async fn timed_out(tx: &mut Tx, handoff: &Handoff, now: Timestamp, random: &Random) -> Result<Event, store::Error> {
    let visitor = Visitor {
        address: handoff.address.clone(),
        browser: handoff.browser.clone(),
        reference: handoff.reference.clone(),
    };
    let event = Event::new(Kind::SignIn, Outcome::Refused, "system", &visitor, now, random)
        .by(Method::Handoff)
        .because(Refusal::TimedOut.as_str())
        .of_handoff(&handoff.id);
    Ok(match store::users::by_id(tx, &handoff.user_id).await? {
        Some(account) => event.about(&account),
        None => event,
    })
}

/// Ends every handoff session that no browser used within five minutes, each with a record that follows its success;
/// how many.
///
/// # Errors
/// When the database fails.
pub async fn end_never_given(app: &App) -> Result<usize, store::Error> {
    let before = Timestamp(app.clock.now().0 - store::sessions::UNUSED_LIMIT_MS);
    let found = store::sessions::never_given(&mut app.db.read().await?, before, BATCH).await?;
    for handoff_id in &found {
        end_unused(app, handoff_id).await?;
    }
    Ok(found.len())
}

async fn end_unused(app: &App, handoff_id: &str) -> Result<(), store::Error> {
    let (db, now, random, handoff_id) = (&app.db, app.clock.now(), app.random.clone(), handoff_id.to_owned());
    in_transaction!(db, app.patient_deadline(), [random, handoff_id], |tx| end_unused_in(tx, &handoff_id, now, &random)
        .await)
}

/// Ends the session of a handoff that was answered as a time-out, if one came of it after all.
async fn end_unheard(app: &App, handoff_id: &str, handle_hash: &str) -> Result<(), store::Error> {
    let (db, now, random) = (&app.db, app.clock.now(), app.random.clone());
    let (handoff_id, handle_hash) = (handoff_id.to_owned(), handle_hash.to_owned());
    in_transaction!(db, app.patient_deadline(), [random, handoff_id, handle_hash], |tx| {
        // Holding the row waits for a commit whose connection broke; one that comes after it finds nothing pending.
        match store::handoffs::lock_for_update(tx, &handoff_id, &handle_hash).await? {
            Some(handoff) if handoff.state == State::Pending => {
                store::handoffs::settle(tx, &handoff_id, State::Failed).await?;
                let event = timed_out(tx, &handoff, now, &random).await?;
                store::activity::record(tx, &event).await
            }
            Some(_) => end_unused_in(tx, &handoff_id, now, &random).await,
            None => Ok(()),
        }
    })
}

/// Ends the session of a handoff if nobody has used it, with a record of the time-out.
///
/// # Errors
/// When the database fails.
pub async fn end_unused_in(tx: &mut Tx, handoff_id: &str, now: Timestamp, random: &Random) -> Result<(), store::Error> {
    let Some((session_id, user_id)) = store::sessions::unused_of_handoff(tx, handoff_id).await? else {
        return Ok(());
    };
    if store::sessions::end(tx, &session_id, EndReason::NeverGiven, now).await? {
        let visitor = Visitor { reference: random.reference(), ..Visitor::default() };
        let mut event = Event::new(Kind::SignIn, Outcome::Refused, "system", &visitor, now, random)
            .by(Method::Handoff)
            .because(Refusal::TimedOut.as_str())
            .of_handoff(handoff_id);
        if let Some(account) = store::users::by_id(tx, &user_id).await? {
            event = event.about(&account);
        }
        store::activity::record(tx, &event).await?;
    }
    Ok(())
}
