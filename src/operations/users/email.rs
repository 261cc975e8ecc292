//! A user's e-mail address made sure: a mailed one-time link that its owner answers, or somebody who vouches for it.
//!
//! Whether it is verified stands in the user's claims alone (`email_verified`): apps know people of every agency by that.
//! So an admin of an agency cannot say it; what such an admin checked is mailed to, and no more (G38).

use std::time::Duration;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::claims::Claims;
use crate::model::email_state::{EmailState, UserEmail};
use crate::model::user::Account;
use crate::operations::admin_context::{AdminContext, Authority, Switched, in_act};
use crate::operations::passwords::address::email_of_user;
use crate::operations::passwords::link::is_of;
use crate::operations::passwords::mail::{self, Draft};
use crate::store::mails::{self, MailKind};
use crate::store::users::emails::{self, EmailLink, NewEmailLink};
use crate::store::{Conn, Error, Tx, activity, in_transaction, users};
use crate::time::Timestamp;

/// What the record of a larger act says of such a link.
pub(super) const SENT: &str = "verification e-mail sent";

/// How long the link of a verification works.
const LIFE: Duration = Duration::from_hours(7 * 24);
/// As many links are mailed within an hour to a user whose address is not proven, and to one mailbox whoever the users
/// are: staff may share one.
const TO_USER: i64 = 3;
const TO_MAILBOX: i64 = 10;
const WITHIN: Duration = Duration::from_hours(1);

/// Why a link is not mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMailed {
    /// E-mail is not configured.
    NoMail,
    /// There is no such user here.
    NotFound,
    /// The user has no address.
    NoAddress,
    /// The address is verified already.
    Verified,
    /// The user or the provider is not active: the link would not work.
    NotActive,
    /// The user has a password of their own.
    HasPassword,
    /// A Therap Admin is given no link by mail that sets a password.
    TherapAdmin,
    /// The user, or the mailbox, was mailed enough of them.
    TooMany,
    /// The outbox is full.
    Full,
}

impl NotMailed {
    /// Why, and what to do, in sentences.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoMail => "E-mail is not configured at this site.",
            Self::NotFound => "There is no such user here.",
            Self::NoAddress => "The user has no e-mail address. Add one first.",
            Self::Verified => "The e-mail address is already verified.",
            Self::NotActive => "The user is deactivated. Reactivate the user first.",
            Self::HasPassword => "The user already has a password of their own. Reset it if it is forgotten.",
            Self::TherapAdmin => "A Therap Admin is not invited by e-mail. Use `connect-idp user set-up-link`.",
            Self::TooMany => "Enough e-mails were sent to this address. Try again in an hour.",
            Self::Full => "Too many e-mails are waiting to be sent. Try again later.",
        }
    }
}

/// Mails a link by which a user proves the address; until when it works, or why it is not mailed.
pub async fn send_verification(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
) -> Result<Result<Timestamp, NotMailed>, Error> {
    let (db, provider_id, user_id) = (&act.app.db, provider_id.to_owned(), user_id.to_owned());
    in_transaction!(db, act.deadline, [act, provider_id, user_id], |tx| {
        // A user may ask for their own: the row is held to be changed before the authority reads it (`in_act!`).
        let user = users::lock_for_update(tx, &provider_id, &user_id).await?;
        act.authority.prove(tx, act.now).await?;
        let Some(user) = user else {
            return Ok(Err(NotMailed::NotFound));
        };
        let queued = queue_verification(tx, &act.app, &user, act.now).await?;
        if queued.is_ok() {
            activity::record(tx, &act.event(Kind::EmailVerificationSent).about(&user)).await?;
        }
        Ok(queued)
    })
}

/// Mails such a link to a user whose address is new, as a part of what an admin or a program does; whether it did. What
/// is done at the machine, as from a seed file, mails nobody.
pub(super) async fn verify_new(tx: &mut Tx, act: &AdminContext, user: &Account) -> Result<bool, Error> {
    if matches!(act.authority, Authority::Machine) {
        return Ok(false);
    }
    Ok(queue_verification(tx, &act.app, user, act.now).await?.is_ok())
}

/// Mails such a link to a user whose row is held, and records nothing.
async fn queue_verification(
    tx: &mut Tx,
    app: &App,
    user: &Account,
    now: Timestamp,
) -> Result<Result<Timestamp, NotMailed>, Error> {
    let address = match may_mail(tx, app, user, MailKind::EmailVerification, now).await? {
        Ok((_, EmailState::Verified)) => return Ok(Err(NotMailed::Verified)),
        Ok((address, _)) => address,
        Err(why) => return Ok(Err(why)),
    };
    let (secret, until) = (Secret::random(&app.random), now.after(LIFE));
    let body = format!(
        "this address was entered for the Therap Connect account {} at {}.\n\n\
         If the account is yours, open this link within {} days and press the button there. It works once:\n\n\
         {}/email/verify/{}\n\n\
         If you do not know the account, do not open the link. You need not do anything.\n",
        user.login_name,
        user.provider_name,
        LIFE.as_secs() / 86_400,
        app.config.issuer,
        secret.reveal()
    );
    let draft = Draft {
        kind: MailKind::EmailVerification,
        subject: "Verify your e-mail address for Therap Connect",
        body,
        until,
    };
    if !mail::queue(tx, app, user, &address, draft, now).await? {
        return Ok(Err(NotMailed::Full));
    }
    let link = NewEmailLink {
        id: &app.random.id(now),
        secret_hash: &secret.digest(),
        provider_id: &user.provider_id,
        user_id: &user.id,
        address: &address,
        expires_at: until,
    };
    emails::insert_link(tx, &link, now).await?;
    Ok(Ok(until))
}

/// A user's address and what is known of it, if a link may be mailed there now.
pub(super) async fn may_mail(
    tx: &mut Tx,
    app: &App,
    user: &Account,
    kind: MailKind,
    now: Timestamp,
) -> Result<Result<(String, EmailState), NotMailed>, Error> {
    let email = email_of_user(tx, &user.id).await?;
    let (address, state) = email.map_or((String::new(), EmailState::Absent), |email| (email.address, email.state));
    if !user.is_live() {
        return Ok(Err(NotMailed::NotActive));
    }
    let may = may_mail_to(tx, app, &user.id, &address, kind, now).await?;
    Ok(may.map(|()| (address, state)))
}

/// Whether a link of this kind may be mailed to an address now, for a user of this id.
pub(super) async fn may_mail_to(
    tx: &mut Tx,
    app: &App,
    user_id: &str,
    address: &str,
    kind: MailKind,
    now: Timestamp,
) -> Result<Result<(), NotMailed>, Error> {
    if app.mailer.is_none() {
        return Ok(Err(NotMailed::NoMail));
    }
    if address.is_empty() {
        return Ok(Err(NotMailed::NoAddress));
    }
    let recipient = mail::recipient(app, address);
    let (to_user, to_mailbox) = mails::unproven_since(tx, user_id, &recipient, now.before(WITHIN)).await?;
    if to_user >= TO_USER || to_mailbox >= TO_MAILBOX {
        return Ok(Err(NotMailed::TooMany));
    }
    if mails::waiting(tx, kind).await? >= mail::WAITING_CAP {
        return Ok(Err(NotMailed::Full));
    }
    Ok(Ok(()))
}

/// The user and the address of a link that may still prove it.
pub async fn find(app: &App, secret: &Secret, now: Timestamp) -> Result<Option<(Account, String)>, Error> {
    let mut conn = app.db.read().await?;
    let Some(link) = live(&mut conn, &secret.digest(), now).await? else {
        return Ok(None);
    };
    let user = users::by_id(&mut conn, &link.user_id).await?;
    Ok(user.map(|user| (user, link.address)))
}

/// The live link of a secret's digest: the address is still the user's.
async fn live(conn: &mut Conn, secret_hash: &str, now: Timestamp) -> Result<Option<EmailLink>, Error> {
    let found = emails::link(conn, secret_hash, now).await?;
    Ok(found.filter(|link| is_of(&link.address, &link.claims)))
}

/// Verifies an address by a link of it, which is used up by that, as is every other of the user. `false` when the link
/// is no longer good; then nothing was written.
pub async fn verify(
    app: &App,
    secret: &Secret,
    user: &Account,
    visitor: &Visitor,
    now: Timestamp,
) -> Result<bool, Error> {
    let (db, secret_hash, user) = (&app.db, secret.digest(), user.clone());
    let event = Event::new(Kind::EmailVerified, Outcome::Success, "user", visitor, now, &app.random)
        .about(&user)
        .noting("by a mailed link");
    in_transaction!(db, app.ordinary_deadline(now), [secret_hash, user, event], |tx| {
        users::lock_row(tx, &user.id).await?;
        let Some(link) = live(tx, &secret_hash, now).await?.filter(|link| link.user_id == user.id) else {
            return Ok(false);
        };
        prove(tx, &user.id, Claims::from_json(&link.claims).unwrap_or_default(), now).await?;
        activity::record(tx, &event).await?;
        Ok(true)
    })
}

/// Notes that the owner of the address in these claims proved it, or an operator vouches for it. The user's row is held.
pub(in crate::operations) async fn prove(
    tx: &mut Tx,
    user_id: &str,
    claims: Claims,
    now: Timestamp,
) -> Result<(), Error> {
    emails::remove_links(tx, user_id).await?;
    if claims.verified_email().is_none() {
        emails::put_claims(tx, user_id, &claims.verified().to_json()).await?;
        emails::put(tx, user_id, None, now).await?;
    }
    Ok(())
}

/// What somebody who vouches for an address makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// Checked, by an admin or a program of the agency.
    Checked,
    /// Verified, by the operator.
    Verified,
}

/// Vouches for a user's address, as long as it is the one that was seen.
pub async fn vouch(
    act: &AdminContext,
    provider_id: &str,
    user_id: &str,
    seen: &str,
    vouched: Vouched,
) -> Result<Switched, Error> {
    let (provider_id, user_id, seen) = (provider_id.to_owned(), user_id.to_owned(), seen.to_owned());
    in_act!(act, [provider_id, user_id, seen], |tx| {
        let Some(user) = users::lock_for_update(tx, &provider_id, &user_id).await? else {
            return Ok(Switched::NotFound);
        };
        let stored = emails::find(tx, &user.id).await?;
        let claims = stored.as_ref().and_then(|stored| Claims::from_json(&stored.claims).ok()).unwrap_or_default();
        let checked = stored.as_ref().and_then(|stored| stored.email_checked.as_deref());
        let email = UserEmail::of(&claims, checked, None);
        // A session that somebody else got hold of is not made a way to come back.
        if act.is_by(&user) {
            return Ok(Switched::Own);
        }
        if email.address != seen || email.state == EmailState::Absent {
            return Ok(Switched::Stale);
        }
        let kind = match (vouched, email.state) {
            (_, EmailState::Verified) | (Vouched::Checked, EmailState::Checked) => return Ok(Switched::Already),
            (Vouched::Checked, _) => {
                emails::put_claims(tx, &user.id, &claims.to_json()).await?;
                emails::put(tx, &user.id, Some(&email.address), act.now).await?;
                Kind::EmailChecked
            }
            (Vouched::Verified, _) => {
                prove(tx, &user.id, claims, act.now).await?;
                Kind::EmailVerified
            }
        };
        activity::record(tx, &act.event(kind).about(&user)).await?;
        Ok(Switched::Done)
    })
}

/// After a change of a user's claims: since when the address stands as it does, and who is told. Whether a link is
/// mailed to a new address.
pub(super) async fn changed(
    tx: &mut Tx,
    act: &AdminContext,
    user: &Account,
    before: &UserEmail,
) -> Result<bool, Error> {
    let Some(after) = email_of_user(tx, &user.id).await? else {
        return Ok(false);
    };
    let same = crate::model::email::is_same(&before.address, &after.address);
    if same && before.state == after.state {
        return Ok(false);
    }
    emails::put(tx, &user.id, None, act.now).await?;
    if same {
        return Ok(false);
    }
    emails::remove_links(tx, &user.id).await?;
    if let Some(former) = before.reachable() {
        mail::notify_former(tx, &act.app, user, former, act.now).await?;
    }
    verify_new(tx, act, user).await
}
