//! A one-time link by which a person sets a password without having one: the first Therap Admin's way
//! in, and what is mailed to whoever forgot a password.

use std::time::Duration;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::Kind;
use crate::model::claims::Claims;
use crate::model::email::is_same;
use crate::model::user::Account;
use crate::operations::admin_context::{AdminContext, in_act};
use crate::store::passwords::links::{self, Carrier, PasswordLink};
use crate::store::{Conn, Error, Tx, activity, users};
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
pub async fn make(act: &AdminContext, provider_id: &str, user_id: &str, new: bool) -> Result<Option<Link>, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    let until = act.now.after(LIFE);
    in_act!(act, [provider_id, user_id], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(None);
        };
        // Another is made because the one before went astray.
        links::remove_of(tx, &user.id).await?;
        let link = make_in(tx, &act.app, &user, until, Carrier::Hand).await?;
        if !new {
            let event = act.event(Kind::PasswordReset).about(&user).noting("a one-time link was made");
            activity::record(tx, &event).await?;
        }
        Ok(Some(link))
    })
}

/// Makes a link for an account as it was read, as a part of a larger act.
pub async fn make_in(
    tx: &mut Tx,
    app: &App,
    account: &Account,
    until: Timestamp,
    carrier: Carrier<'_>,
) -> Result<Link, Error> {
    let secret = Secret::random(&app.random);
    let id = app.random.id(app.clock.now());
    links::insert(tx, &id, &secret.digest(), account, until, carrier).await?;
    Ok(Link { address: format!("{}/password/reset/{}", app.config.issuer, secret.reveal()), until })
}

/// The user whose password a live link sets.
pub async fn find(app: &App, secret: &Secret, now: Timestamp) -> Result<Option<Account>, Error> {
    let mut conn = app.db.read().await?;
    match live(&mut conn, &secret.digest(), now).await? {
        Some(link) => users::by_id(&mut conn, &link.user_id).await,
        None => Ok(None),
    }
}

/// The live link of a secret's digest: nothing it rests on has changed, the address that it was mailed to neither.
pub(super) async fn live(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<PasswordLink>, Error> {
    let found = links::find(conn, secret_hash, now).await?;
    Ok(found.filter(|link| link.email.as_ref().is_none_or(|email| is_of(email, &link.claims))))
}

/// Whether an address is the one of these claims.
pub(in crate::operations) fn is_of(address: &str, claims: &str) -> bool {
    Claims::from_json(claims).is_ok_and(|claims| is_same(claims.email(), address))
}
