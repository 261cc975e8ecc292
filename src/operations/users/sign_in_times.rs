//! When each user last signed in, noted with the user beside the sign-ins: lists are sorted by it, and nobody who signs in
//! waits for it. The record is the truth: a list shows what it says, and this is read from it.

use std::time::Duration;

use crate::app::App;
use crate::store::users::sign_in_times;
use crate::store::{Error, in_transaction};

/// As many users are read or noted at once.
const BATCH: i64 = 200;
/// A sign-in is on record this long after its time at the latest, whichever replica's clock it has.
const SETTLES: Duration = Duration::from_mins(5);

/// Notes the sign-ins of the last minutes.
///
/// # Errors
/// When the database fails; the next round tries again.
pub async fn note_new(app: &App) -> Result<(), Error> {
    let since = app.clock.now().before(SETTLES);
    loop {
        let found = sign_in_times::unnoted(&mut app.db.read_much().await?, since, BATCH).await?;
        let is_last = i64::try_from(found.len()).is_ok_and(|count| count < BATCH);
        note(app, found).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// Corrects what programs of the version before left as it was: the next batch of users after `after`, by id; whom it came to, until it is through
/// with everybody.
///
/// # Errors
/// When the database fails; the same batch is tried again.
pub async fn note_old(app: &App, after: &str) -> Result<Option<String>, Error> {
    let found = sign_in_times::on_record(&mut app.db.read_much().await?, after, BATCH).await?;
    let last = found.last().map(|(id, ..)| id.clone());
    note(app, found.into_iter().filter(|(_, noted, at)| noted != at).collect()).await?;
    Ok(last)
}

/// In the order of ids: replicas that note the same at once never wait for each other in a circle.
async fn note(app: &App, found: Vec<(String, i64, i64)>) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    in_transaction!(app.db, app.patient_deadline(), [found], |tx| {
        for (id, noted, at) in &found {
            sign_in_times::note(tx, id, *noted, *at).await?;
        }
        Ok(())
    })
}
