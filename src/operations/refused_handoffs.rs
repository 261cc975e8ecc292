//! Writes down which handoffs were refused before a trusted signature, so that a reference number leads to them (A4).

use crate::app::App;
use crate::model::activity::Visitor;
use crate::store::handoffs::refused::{Refused, keep};
use crate::store::{Conn, Error, in_transaction};

/// As many are written in one transaction.
const BATCH: usize = 100;

/// Notes a refusal whose page shows a reference number. Nothing has been created yet.
pub fn note(app: &App, reason: &'static str, visitor: &Visitor) {
    let now = app.clock.now();
    let refused = Refused {
        id: app.random.id(now),
        at: now,
        reference: visitor.reference.clone(),
        reason,
        address: visitor.address.clone(),
        browser: visitor.browser.clone(),
    };
    app.refusals.note(refused, now);
}

/// A connection to read the record with; for who looks for a reference number, what was noted is written down first.
pub async fn reader(app: &App, by_reference: bool) -> Result<Conn, Error> {
    if by_reference {
        write_down(app).await?;
    }
    app.db.read().await
}

/// Writes down what was noted, but for what the record has.
///
/// # Errors
/// When the database fails: then those are in the log alone.
pub async fn write_down(app: &App) -> Result<(), Error> {
    loop {
        let refused = app.refusals.take(BATCH);
        if refused.is_empty() {
            return Ok(());
        }
        in_transaction!(app.db, app.patient_deadline(), [refused], |tx| {
            for one in &refused {
                keep(tx, one).await?;
            }
            Ok(())
        })?;
    }
}
