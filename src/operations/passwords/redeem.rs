//! A password set by a one-time link.

use super::mail::{self, Notice};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::session::EndReason;
use crate::model::user::Account;
use crate::store::passwords::links;
use crate::store::{Error, activity, in_transaction, sessions, strikes, users};
use crate::time::Timestamp;

/// Sets the password by a link, which is used up by it: the user's own from now on. Every session ends, a password lock
/// is lifted, an admin's stays. `false` when the link is no longer good; then nothing was written.
pub async fn redeem(
    app: &App,
    secret: &Secret,
    account: &Account,
    hash: String,
    visitor: &Visitor,
    now: Timestamp,
) -> Result<bool, Error> {
    let (db, secret_hash, account) = (&app.db, secret.digest(), account.clone());
    let event = Event::new(Kind::PasswordUpdated, Outcome::Success, "user", visitor, now, &app.random)
        .about(&account)
        .noting("by a one-time link");
    in_transaction!(db, app.ordinary_deadline(now), [app, secret_hash, account, hash, event], |tx| {
        users::lock_row(tx, &account.id).await?;
        let live = links::user_of(tx, &secret_hash, now).await?.as_ref() == Some(&account.id);
        if !live || !links::remove(tx, &secret_hash).await? || !users::set_password(tx, &account, &hash).await? {
            return Ok(false);
        }
        strikes::clear(tx, &account.id).await?;
        users::bump_epoch(tx, &account.id).await?;
        sessions::end_others(tx, &account.id, None, EndReason::PasswordChanged, now).await?;
        activity::record(tx, &event).await?;
        mail::notify(tx, &app, &account, Notice::Changed, now).await?;
        Ok(true)
    })
}
