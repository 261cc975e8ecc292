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
use crate::model::claims::Claims;
use crate::model::login_name::LoginName;
use crate::model::provider::ProviderCode;
use crate::model::user::{Account, UserType};
use crate::operations::passwords::link;
use crate::outbound::mail::Email;
use crate::store::mails::{self, Mail, MailKind, NewMail};
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
const WAITING_CAP: i64 = 10_000;
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
    let mail = sealed(app, MailKind::LinkRequest, None, &asked, now.after(LINK_LIFE), now)?;
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
    let link = link::make_in(tx, app, &account, now.after(LINK_LIFE), true).await?;
    let body = format!(
        "somebody asked for a new password for the Therap Connect account {} at {}.\n\n\
         To choose one, open this address within 15 minutes. It works once:\n\n{}\n\n\
         If that was not you, you need not do anything: your password has not changed.\n",
        account.login_name, account.provider_name, link.address
    );
    let email = email(app, &account, to, "Set a new Therap Connect password", &body);
    let mail = sealed(app, MailKind::ResetLink, Some(&account), &email, link.until, now)?;
    mails::insert(tx, &mail, now, WAITING_CAP).await?;
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
    let mail = sealed(app, kind, Some(account), &email(app, account, to, subject, &body), now.after(NOTICE_LIFE), now)?;
    if !mails::insert(tx, &mail, now, WAITING_CAP).await? {
        let id = account.id.clone();
        tx.after_commit(move || {
            tracing::error!(user.id = %id, "a user is not told of a new password: {WAITING_CAP} such mails wait already");
        });
    }
    Ok(())
}

/// The e-mail that a queued mail becomes; `None` when no key of ours opens it.
#[must_use]
pub fn email_of(app: &App, mail: &Mail) -> Option<Email> {
    opened(app, mail)
}

async fn address_of(tx: &mut Tx, user_id: &str) -> Result<Option<String>, Error> {
    let claims = users::claims(tx, user_id).await?.unwrap_or_default();
    Ok(Claims::from_json(&claims).ok().and_then(|claims| claims.verified_email().map(str::to_owned)))
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
    format!("mail {id} {kind}")
}

fn sealed(
    app: &App,
    kind: MailKind,
    account: Option<&Account>,
    content: &impl Serialize,
    good_until: Timestamp,
    now: Timestamp,
) -> Result<NewMail, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Damaged(format!("a mail cannot be sealed: {error}"));
    let id = app.random.id(now);
    let json = serde_json::to_vec(content).map_err(|error| failed(&error))?;
    let sealed = seal::seal(&app.keys, &purpose(&id, kind), &json).map_err(|error| failed(&error))?;
    Ok(NewMail { id, kind, user_id: account.map(|account| account.id.clone()), sealed, good_until })
}

fn opened<T: DeserializeOwned>(app: &App, mail: &Mail) -> Option<T> {
    let bytes = seal::open(&app.keys, &purpose(&mail.id, mail.kind), &mail.sealed)?;
    serde_json::from_slice(&bytes).ok()
}
