//! A one-time link by which a person sets a password without having one: the first Therap Admin's way
//! in, and what is mailed to whoever forgot a password.

use std::time::Duration;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::session::EndReason;
use crate::model::user::Account;
use crate::operations::act::{Act, in_act};
use crate::operations::passwords::mail;
use crate::operations::passwords::mail::Notice;
use crate::store::passwords::links;
use crate::store::{Error, Tx, activity, in_transaction, sessions, strikes, users};
use crate::time::Timestamp;

/// How long a link works that an operator hands over.
const LIFE: Duration = Duration::from_hours(24);

/// A link, this once.
#[derive(Debug)]
pub struct Link {
    /// The address to open.
    pub address: String,
    /// Until when it works.
    pub until: Timestamp,
}

/// Makes a link for a user; `None` when there is no such user here. A new user's is part of the creation and has no
/// record of its own; `new` says so.
///
/// # Errors
/// When it cannot be written.
pub async fn make(act: &Act, provider_id: &str, user_id: &str, new: bool) -> Result<Option<Link>, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    let until = act.now.after(LIFE);
    in_act!(act, [provider_id, user_id], |tx| {
        let Some(user) = users::hold(tx, &provider_id, &user_id).await? else {
            return Ok(None);
        };
        // Another is made because the one before went astray.
        links::remove_of(tx, &user.id).await?;
        let link = make_in(tx, &act.app, &user, until, false).await?;
        if !new {
            let event = act.event(Kind::PasswordReset).about(&user).noting("a one-time link was made");
            activity::record(tx, &event).await?;
        }
        Ok(Some(link))
    })
}

/// Makes a link for an account as it was read, as a part of a larger act.
///
/// # Errors
/// When it cannot be written.
pub async fn make_in(tx: &mut Tx, app: &App, account: &Account, until: Timestamp, mailed: bool) -> Result<Link, Error> {
    let secret = Secret::random(&app.random);
    let id = app.random.id(app.clock.now());
    links::insert(tx, &id, &secret.digest(), account, until, mailed).await?;
    Ok(Link { address: format!("{}/password/reset/{}", app.config.issuer, secret.reveal()), until })
}

/// The user whose password a live link sets.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(app: &App, secret: &Secret, now: Timestamp) -> Result<Option<Account>, Error> {
    let mut conn = app.db.read().await?;
    match links::user_of(&mut conn, &secret.digest(), now).await? {
        Some(id) => users::by_id(&mut conn, &id).await,
        None => Ok(None),
    }
}

/// Sets the password by a link, which is used up by it: the user's own from now on. Every session ends, a password lock
/// is lifted, an admin's stays. `false` when the link is no longer good; then nothing was written.
///
/// # Errors
/// When it cannot be written.
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
