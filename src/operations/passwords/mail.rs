//! Mail to users (L6): the link that sets a forgotten password, and notices that a password is another.
//!
//! Asking writes one row, the same for everybody: whether there is anybody to write to is looked up later, by a job
//! (`jobs::mail`). So neither the answer nor its time says who exists, and no request waits for a mail server.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::config::Site;
use crate::crypto::seal;
use crate::model::email;
use crate::model::email_state::UserEmail;
use crate::model::login_name::LoginName;
use crate::model::provider::ProviderCode;
use crate::model::user::{Account, UserType};
use crate::operations::passwords::address::email_of_user;
use crate::operations::passwords::link;
use crate::outbound::mail::Email;
use crate::store::mails::{self, Mail, MailKind, NewMail};
use crate::store::passwords::links::Carrier;
use crate::store::{Error, Tx, in_transaction, providers, users};
use crate::time::Timestamp;

/// How long a mailed link works.
const LINK_LIFE: Duration = Duration::from_mins(15);
/// How long a notice is tried: after a day it is no news.
const NOTICE_LIFE: Duration = Duration::from_hours(24);
/// As many links are mailed to one user within an hour; further ones are not.
const LINKS: i64 = 3;
const LINKS_WITHIN: Duration = Duration::from_hours(1);
/// As many of each kind may wait; further ones are turned away (G22).
pub(in crate::operations) const WAITING_CAP: i64 = 10_000;
/// No Login Name and no Provider Code is longer; what is, is unknown.
const LONGEST: usize = 1024;

/// What somebody typed who forgot a password.
#[derive(Deserialize, Serialize)]
struct LinkRequest {
    login_name: String,
    provider_code: String,
}

/// Takes down that somebody asks for a link; `false` when too many wait already. One step, whoever asks.
pub async fn ask(app: &App, login_name: &str, provider_code: &str, now: Timestamp) -> Result<bool, Error> {
    let short = |text: &str| if text.len() <= LONGEST { text.to_owned() } else { String::new() };
    let asked = LinkRequest { login_name: short(login_name), provider_code: short(provider_code) };
    let mail = sealed(app, MailKind::LinkRequest, &asked, now.after(LINK_LIFE), now)?;
    in_transaction!(app.db, app.ordinary_deadline(now), [mail], |tx| mails::insert(tx, &mail, now, WAITING_CAP).await)
}

/// Answers what somebody asked: a link for whom it is due, nothing for anybody else. The question goes either way.
///
/// # Errors
/// When the database fails; it is answered later.
pub async fn answer(app: &App, mail: &Mail, now: Timestamp) -> Result<(), Error> {
    let asked: Option<LinkRequest> = opened(app, mail);
    let names = asked
        .and_then(|asked| Some((ProviderCode::parse(&asked.provider_code)?, LoginName::parse(&asked.login_name)?)));
    let id = mail.id.clone();
    let made = in_transaction!(app.db, app.patient_deadline(), [app, id, names], |tx| {
        let found = match &names {
            Some((code, name)) => users::by_name(tx, code, name).await?,
            None => None,
        };
        if let Some(found) = &found {
            users::lock_row(tx, &found.id).await?;
        }
        if !mails::remove(tx, &id).await? {
            return Ok(None);
        }
        match found {
            Some(found) => link_for(tx, &app, &found.id, now).await.map(Some),
            None => Ok(Some("it is nobody's")),
        }
    })?;
    if let Some(what) = made {
        tracing::info!(mail = %mail.id, "somebody asked for a link that sets a password: {what}");
    }
    Ok(())
}

/// Makes the link of a user, if one is due; says the result, for the log.
async fn link_for(tx: &mut Tx, app: &App, user_id: &str, now: Timestamp) -> Result<&'static str, Error> {
    let Some(account) = users::by_id(tx, user_id).await?.filter(Account::is_live) else {
        return Ok("the account is not active");
    };
    if account.admin_locked {
        return Ok("an administrator locked the account");
    }
    // Whoever runs the service is let in by another operator, not by a mailbox.
    if account.user_type == UserType::TherapAdmin {
        return Ok("a Therap Admin is given no link by mail");
    }
    if !providers::by_id(tx, &account.provider_id).await?.is_some_and(|provider| provider.reset_by_mail) {
        return Ok("the provider does not allow it");
    }
    let Some(to) = address_of(tx, &account.id).await? else {
        return Ok("the user has no verified e-mail address");
    };
    if mails::links_since(tx, &account.id, now.before(LINKS_WITHIN)).await? >= LINKS {
        return Ok("the user was mailed enough of them");
    }
    let link = link::make_in(tx, app, &account, now.after(LINK_LIFE), Carrier::Mail(&to)).await?;
    let body = format!(
        "somebody asked for a new password for the Therap Connect account {} at {}.\n\n\
         To choose one, open this address within 15 minutes. It works once:\n\n{}\n\n\
         If that was not you, you need not do anything: your password has not changed.\n",
        account.login_name, account.provider_name, link.address
    );
    let draft =
        Draft { kind: MailKind::ResetLink, subject: "Set a new Therap Connect password", body, until: link.until };
    queue(tx, app, &account, &to, draft, now).await?;
    Ok("a link is mailed")
}

/// What a user is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The user's own password is a new one.
    Changed,
    /// An administrator gave a temporary one.
    Reset,
}

/// Tells a user with a verified address of a new password, in the transaction that sets it. Nothing without `[mail]`.
pub async fn notify(tx: &mut Tx, app: &App, account: &Account, notice: Notice, now: Timestamp) -> Result<(), Error> {
    if app.mailer.is_none() {
        return Ok(());
    }
    let Some(to) = address_of(tx, &account.id).await? else {
        return Ok(());
    };
    let (kind, subject, what) = match notice {
        Notice::Changed => (MailKind::PasswordChanged, "Your Therap Connect password was changed", "was changed"),
        Notice::Reset => {
            (MailKind::PasswordReset, "Your Therap Connect password was reset", "was reset by an administrator")
        }
    };
    let body = format!(
        "the password of the Therap Connect account {} at {} {what}.\n\n\
         If you do not know why, tell a Provider Admin of your agency.\n",
        account.login_name, account.provider_name
    );
    let draft = Draft { kind, subject, body, until: now.after(NOTICE_LIFE) };
    if !queue(tx, app, account, &to, draft, now).await? {
        let id = account.id.clone();
        tx.after_commit(move || {
            tracing::error!(user.id = %id, "a user is not told of a new password: {WAITING_CAP} such mails wait already");
        });
    }
    Ok(())
}

/// Tells the owner of an address that was a user's that it is not any more. The user's new data are written.
pub(in crate::operations) async fn notify_former(
    tx: &mut Tx,
    app: &App,
    account: &Account,
    former: &str,
    now: Timestamp,
) -> Result<(), Error> {
    if app.mailer.is_none() {
        return Ok(());
    }
    let body = format!(
        "this is no longer the e-mail address of the Therap Connect account {} at {}. No further mail about the account \
         comes here.\n\nIf you do not know why, tell a Provider Admin of your agency.\n",
        account.login_name, account.provider_name
    );
    let subject = "Your e-mail address at Therap Connect was changed";
    let draft = Draft { kind: MailKind::EmailChanged, subject, body, until: now.after(NOTICE_LIFE) };
    queue(tx, app, account, former, draft, now).await?;
    Ok(())
}

/// The e-mail that a queued mail becomes; `None` when no key of ours opens it.
#[must_use]
pub fn email_of(app: &App, mail: &Mail) -> Option<Email> {
    opened(app, mail)
}

/// The address that mail for a user alone may go to.
async fn address_of(tx: &mut Tx, user_id: &str) -> Result<Option<String>, Error> {
    let email = email_of_user(tx, user_id).await?;
    Ok(email.as_ref().and_then(UserEmail::reachable).map(str::to_owned))
}

/// A mail to be.
#[derive(Debug)]
pub(in crate::operations) struct Draft<'a> {
    /// What it is.
    pub(in crate::operations) kind: MailKind,
    /// One line.
    pub(in crate::operations) subject: &'a str,
    /// What stands between the greeting and the end.
    pub(in crate::operations) body: String,
    /// From then on it is worth nothing.
    pub(in crate::operations) until: Timestamp,
}

/// Puts a mail to a user into the outbox; `false` when too many of its kind wait.
pub(in crate::operations) async fn queue(
    tx: &mut Tx,
    app: &App,
    account: &Account,
    to: &str,
    draft: Draft<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let is_unproven = matches!(draft.kind, MailKind::EmailVerification | MailKind::Invitation);
    let content = email(app, account, to.to_owned(), draft.subject, &draft.body);
    let mut mail = sealed(app, draft.kind, &content, draft.until, now)?;
    mail.user_id = Some(account.id.clone());
    mail.recipient = is_unproven.then(|| recipient(app, to));
    mails::insert(tx, &mail, now, WAITING_CAP).await
}

/// What is stored of a mailbox, so that nobody fills it in the name of many users.
pub(in crate::operations) fn recipient(app: &App, address: &str) -> String {
    // Which case a mailbox hears to is its server's to know: here all are one.
    app.name_key.derive("mailboxes").keyed_hash(&[&email::key(address).to_lowercase()])
}

fn email(app: &App, account: &Account, to: String, subject: &str, body: &str) -> Email {
    let beta =
        if app.config.site == Site::Beta { "\nThis is a non-production site for training and testing.\n" } else { "" };
    let from = &app.config.issuer;
    let body = format!("Hello {},\n\n{body}{beta}\nTherap Connect\n{from}\n", account.name);
    Email { to, subject: subject.to_owned(), body }
}

/// Each mail is sealed for itself: moved to another row it does not open.
fn purpose(id: &str, kind: MailKind) -> String {
    format!("mail {id} {}", kind.stored_as())
}

fn sealed(
    app: &App,
    kind: MailKind,
    content: &impl Serialize,
    good_until: Timestamp,
    now: Timestamp,
) -> Result<NewMail, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Damaged(format!("a mail cannot be sealed: {error}"));
    let id = app.random.id(now);
    let json = serde_json::to_vec(content).map_err(|error| failed(&error))?;
    let sealed = seal::seal(&app.keys, &purpose(&id, kind), &json).map_err(|error| failed(&error))?;
    Ok(NewMail { id, kind, user_id: None, recipient: None, sealed, good_until })
}

fn opened<T: DeserializeOwned>(app: &App, mail: &Mail) -> Option<T> {
    let bytes = seal::open(&app.keys, &purpose(&mail.id, mail.kind), &mail.sealed)?;
    serde_json::from_slice(&bytes).ok()
}
