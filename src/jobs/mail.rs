//! Sends what waits in the outbox of mail, and answers who asked for a link. Several replicas share the work: each mail
//! is taken for as long as one try may last, and is the same message however often it is tried.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;

use crate::app::App;
use crate::metrics::labels::{Job, Told};
use crate::operations::passwords::mail::{answer, email_of};
use crate::outbound::mail::{Mailer, NotSent};
use crate::store::mails::{self, Attempted, Mail, MailKind};
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

/// How often it looks for work.
const EVERY: Duration = Duration::from_millis(700);
/// A try lasts no longer; then another replica may try.
const LEASE: Duration = Duration::from_mins(2);
/// Pauses after the first, second, … failure; the last one repeats.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_hours(1),
];
/// Mails that are under way at once, and looked for at a time.
const AT_ONCE: usize = 4;
const BATCH: i64 = 64;

/// Runs until `stop` says so; not at all without `[mail]`.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    if app.mailer.is_none() {
        return;
    }
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        let done = process_batch(&app).await;
        app.metrics.job_ran(Job::Mail, done.is_ok(), app.clock.now());
        if let Err(error) = done {
            tracing::warn!("mails could not be sent and will be tried again: {error}");
        }
    }
}

/// Tries everything that is due.
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn process_batch(app: &App) -> Result<(), store::Error> {
    let Some(mailer) = &app.mailer else {
        return Ok(());
    };
    let due = mails::due(&mut app.db.read().await?, app.clock.now(), BATCH).await?;
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, |id| async move {
            if let Err(error) = attempt(app, mailer, &id).await {
                tracing::warn!(mail = %id, "a mail could not be sent and will be tried again: {error}");
            }
        })
        .await;
    Ok(())
}

async fn attempt(app: &App, mailer: &Mailer, id: &str) -> Result<(), store::Error> {
    let (db, now, id) = (&app.db, app.clock.now(), id.to_owned());
    let held =
        in_transaction!(db, app.patient_deadline(), [id], |tx| mails::take(tx, &id, now, now.after(LEASE)).await)?;
    let Some(mail) = held else {
        return Ok(());
    };
    let attempted = if Timestamp(mail.good_until) <= now {
        Attempted::GivenUp("its time is over".into())
    } else if mail.kind == MailKind::LinkRequest {
        return answer(app, &mail, now).await;
    } else {
        match email_of(app, &mail) {
            None => Attempted::GivenUp("no key-encryption key of ours opens it".into()),
            Some(email) => match mailer.send(&mail.id, &email).await {
                Ok(()) => Attempted::Sent,
                Err(NotSent::Ever(why)) => Attempted::GivenUp(shortened(&why)),
                Err(NotSent::Now(why)) => Attempted::Again(shortened(&why), next(&mail, app.clock.now())),
            },
        }
    };
    report(app, &mail, &attempted);
    let now = app.clock.now();
    in_transaction!(db, app.patient_deadline(), [id, attempted], |tx| mails::settle(tx, &id, &attempted, now).await)
}

fn next(mail: &Mail, now: Timestamp) -> Timestamp {
    let index = usize::try_from(mail.attempts - 1).unwrap_or(0).min(PAUSES.len() - 1);
    now.after(PAUSES[index])
}

fn shortened(why: &str) -> String {
    why.chars().filter(|sign| !sign.is_control()).take(200).collect()
}

fn report(app: &App, mail: &Mail, attempted: &Attempted) {
    let (id, kind, attempts) = (&mail.id, mail.kind.as_str(), mail.attempts);
    match attempted {
        Attempted::Sent => {
            app.metrics.mail_sent(Told::Delivered);
            tracing::info!(mail = %id, kind, attempts, "a mail ({kind}) was sent");
        }
        Attempted::Again(why, _) => {
            app.metrics.mail_sent(Told::Failed);
            tracing::warn!(mail = %id, kind, attempts, "a mail ({kind}) could not be sent and will be: {why}");
        }
        Attempted::GivenUp(why) => {
            app.metrics.mail_sent(Told::GivenUp);
            tracing::error!(mail = %id, kind, attempts, "a mail ({kind}) was never sent: {why}");
        }
    }
}
