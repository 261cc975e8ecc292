//! A password set by a one-time link.

use super::link;
use super::mail::{self, Notice};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::claims::Claims;
use crate::model::session::EndReason;
use crate::model::user::Account;
use crate::operations::users::email;
use crate::store::passwords::links;
use crate::store::{Error, activity, in_transaction, sessions, strikes, users};
use crate::time::Timestamp;

/// Sets the password by a link, which is used up by it: the user's own from now on. Every session ends, a password lock
/// is lifted, an admin's stays. An invitation proves the address that it was mailed to. `false` when the link is no longer
/// good; then nothing was written.
pub async fn redeem(
    app: &App,
    secret: &Secret,
    account: &Account,
    hash: String,
    visitor: &Visitor,
    now: Timestamp,
) -> Result<bool, Error> {
    let (db, secret_hash, account) = (&app.db, secret.digest(), account.clone());
    let event = Event::new(Kind::PasswordUpdated, Outcome::Success, "user", visitor, now, &app.random).about(&account);
    in_transaction!(db, app.ordinary_deadline(now), [app, secret_hash, account, hash, event], |tx| {
        users::lock_row(tx, &account.id).await?;
        let live = link::live(tx, &secret_hash, now).await?.filter(|link| link.user_id == account.id);
        let Some(link) = live else { return Ok(false) };
        if !links::remove(tx, &secret_hash).await? || !users::set_password(tx, &account, &hash).await? {
            return Ok(false);
        }
        let mut note = "by a one-time link";
        if link.email.is_some() && !link.mailed {
            let claims = Claims::from_json(&link.claims).unwrap_or_default();
            email::prove(tx, &account.id, claims, now).await?;
            note = "by the link of an invitation, which proves the e-mail address";
        }
        strikes::clear(tx, &account.id).await?;
        users::bump_epoch(tx, &account.id).await?;
        sessions::end_others(tx, &account.id, None, EndReason::PasswordChanged, now).await?;
        activity::record(tx, &event.noting(note)).await?;
        mail::notify(tx, &app, &account, Notice::Changed, now).await?;
        Ok(true)
    })
}
