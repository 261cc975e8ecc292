//! An invitation: a new user sets the first password by a mailed link, instead of being handed a temporary one. Using
//! the link proves the address. It ends with its time, with a new password or address of the user, with a lock and with
//! a deactivation.

use zeroize::Zeroizing;

use super::email::{NotMailed, may_mail, may_mail_to};
use super::{Created, insert, record_created, temporary_until};
use crate::crypto::secret::Secret;
use crate::model::activity::Kind;
use crate::model::claims::Claims;
use crate::model::provider::Provider;
use crate::model::user::{Account, UserType};
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::passwords::link;
use crate::operations::passwords::mail::{self, Draft};
use crate::store::mails::MailKind;
use crate::store::passwords::links::{self, Carrier};
use crate::store::users::NewUser;
use crate::store::{Error, Tx, activity, providers, users};
use crate::time::{Random, Timestamp};

/// The password of a user who is invited: nobody knows it.
#[must_use]
pub fn unknown_password(random: &Random) -> Zeroizing<String> {
    Secret::random(random).reveal().into()
}

/// Makes a user who is invited, or nothing at all. The password is [`unknown_password`], hashed.
pub async fn create(
    act: &AdminContext,
    provider_id: &str,
    user: &NewUser,
) -> Result<Result<Created, NotMailed>, Error> {
    let provider_id = provider_id.to_owned();
    let done = in_act!(act, [provider_id, user], |tx| {
        match providers::by_id(tx, &provider_id).await? {
            Some(provider) => add(tx, &act, &provider, &user).await,
            None => Ok(Ok(Created::NoSuchProvider)),
        }
    });
    if matches!(done, Err(Error::Withdrawn)) { Ok(Err(NotMailed::Full)) } else { done }
}

/// Adds a user who is invited, or writes nothing; one record. The password is [`unknown_password`], hashed.
///
/// # Errors
/// [`Error::Withdrawn`] when the outbox filled up meanwhile: the transaction must be taken back. Otherwise when it cannot
/// be written.
pub async fn add(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    user: &NewUser,
) -> Result<Result<Created, NotMailed>, Error> {
    let address = Claims::from_json(&user.claims).unwrap_or_default().email().to_owned();
    if user.user_type == UserType::TherapAdmin {
        return Ok(Err(NotMailed::TherapAdmin));
    }
    if !provider.active || !user.active {
        return Ok(Err(NotMailed::NotActive));
    }
    if let Err(why) = may_mail_to(tx, &act.app, &user.id, &address, MailKind::Invitation, act.now).await? {
        return Ok(Err(why));
    }
    let created = insert(tx, act, provider, user).await?;
    if !matches!(created, Created::Yes(_)) {
        return Ok(Ok(created));
    }
    let made = users::by_id(tx, &user.id).await?.ok_or(Error::Withdrawn)?;
    if queue(tx, act, &made, &address).await?.is_none() {
        return Err(Error::Withdrawn);
    }
    record_created(tx, act, provider, user, Some("invitation sent")).await?;
    Ok(Ok(created))
}

/// Invites a user who has no password of their own yet, or once more: the link of the mail before ends. Until when the
/// link works, or why it is not mailed.
pub async fn send(act: &AdminContext, provider_id: &str, user_id: &str) -> Result<Result<Timestamp, NotMailed>, Error> {
    let (provider_id, user_id) = (provider_id.to_owned(), user_id.to_owned());
    in_act!(act, [provider_id, user_id], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Err(NotMailed::NotFound));
        };
        if user.user_type == UserType::TherapAdmin {
            return Ok(Err(NotMailed::TherapAdmin));
        }
        if user.temporary_until.is_none() {
            return Ok(Err(NotMailed::HasPassword));
        }
        let (address, _) = match may_mail(tx, &act.app, &user, MailKind::Invitation, act.now).await? {
            Ok(address) => address,
            Err(why) => return Ok(Err(why)),
        };
        links::remove_of(tx, &user.id).await?;
        let Some(until) = queue(tx, &act, &user, &address).await? else {
            return Err(Error::Withdrawn);
        };
        activity::record(tx, &act.event(Kind::InvitationSent).about(&user)).await?;
        Ok(Ok(until))
    })
    .or_else(|error| if matches!(error, Error::Withdrawn) { Ok(Err(NotMailed::Full)) } else { Err(error) })
}

/// Mails the link; until when it works. `None` when the outbox is full: then the transaction must be taken back.
async fn queue(tx: &mut Tx, act: &AdminContext, user: &Account, address: &str) -> Result<Option<Timestamp>, Error> {
    let until = temporary_until(&act.app, act.now);
    let link = link::make_in(tx, &act.app, user, until, Carrier::Invitation(address)).await?;
    let days = act.app.config.password.temporary_days;
    let body = format!(
        "an account was made for you at {}, to sign in to Therap Connect.\n\n\
         Login Name: {}\nProvider Code: {}\n\n\
         To choose your password, open this link within {days} {}. It works once:\n\n{}\n\n\
         If you do not know {}, do not open the link. You need not do anything.\n",
        user.provider_name,
        user.login_name,
        user.provider_code,
        if days == 1 { "day" } else { "days" },
        link.address,
        user.provider_name,
    );
    let draft = Draft { kind: MailKind::Invitation, subject: "Set up your Therap Connect account", body, until };
    Ok(mail::queue(tx, &act.app, user, address, draft, act.now).await?.then_some(until))
}
