//! The only comparison of a password with an account (G4), with its strikes (G3) and unknown accounts (G5).
//!
//! A guess waits its turn, owns a strike before its hash runs, and is answered only after the strike is settled: a
//! wrong one here, a right one in the transaction of what it opens ([`Proven::settle`]).

use std::time::Duration;

use zeroize::Zeroizing;

use crate::app::App;
use crate::cache::hash_queue::{Turn, Whose};
use crate::log;
use crate::metrics::labels::Lockout;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::login_name::LoginName;
use crate::model::password_rules;
use crate::model::provider::ProviderCode;
use crate::model::session::{EndReason, Method, Session};
use crate::model::user::{Account, Lock, STRIKES};
use crate::operations::sessions::open;
use crate::store::strikes::{Guessed, Reserved};
use crate::store::{self, Tx, in_transaction};
use crate::time::{Deadline, Timestamp};

/// A slot not settled by then lapses without a strike: nothing was answered, so nothing was learnt.
const SLOT_LIFE: Duration = Duration::from_secs(15);
/// How long a guess waits for one of the three chances.
const SLOT_PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks, when other replicas hold the chances.
const SLOT_RETRY: Duration = Duration::from_millis(25);
/// An unknown Login Name forgets its strikes after this.
const PHANTOM_LIFE: Duration = Duration::from_hours(24);

/// What somebody typed.
#[derive(Clone)]
pub struct Attempt {
    /// As typed; nothing is trimmed.
    pub provider_code: String,
    /// As typed.
    pub login_name: String,
    /// As typed.
    pub password: Zeroizing<String>,
    /// What the password is asked for: [`Kind::SignIn`] or [`Kind::PasswordChanged`].
    pub purpose: Kind,
    /// Who types it.
    pub typist: Typist,
    /// From where.
    pub visitor: Visitor,
    /// Past it nobody is there to be answered, so nothing is compared, counted or opened any more.
    pub deadline: Deadline,
}

/// Who types a password.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "one value a sign-in")]
pub enum Typist {
    /// A stranger, as far as we know: a wrong one is a strike at the account.
    Stranger,
    /// The person who is signed in: a wrong one counts against this session alone, and the third ends it. What
    /// strangers typed bars nothing here (G35).
    SignedIn(Session),
}

/// The result. Everything but `Right` and `Busy` is settled and recorded.
#[expect(clippy::large_enum_variant, reason = "one value a sign-in, matched at once")]
pub enum Checked {
    /// The password is the account's; its strike is still in hand.
    Right(Proven),
    /// "Invalid Credentials", whatever was wrong.
    Wrong,
    /// "Your account has been locked…"
    Locked,
    /// Three were wrong in a session: it is over.
    SessionOver,
    /// Nothing was compared, or nothing may be answered: try again.
    Busy,
}

/// A right password whose strike has yet to be given back.
#[must_use = "a strike that is not settled keeps one of three chances for 15 seconds"]
pub struct Proven {
    /// Who it is, as read before the comparison.
    pub account: Account,
    /// Leave to hash for this account, until the strike is settled.
    pub turn: Turn,
    guessed: Guessed,
    /// The `sid` in which it was typed.
    session: Option<String>,
    slot: String,
    rehashed: Option<String>,
}

/// Compares a password with an account. Run it on a task that a closed connection cannot cancel.
///
/// # Errors
/// When the database fails or the deadline passes: then nothing was answered, and the strike lapses automatically.
pub async fn check_password(app: &App, attempt: &Attempt) -> Result<Checked, store::Error> {
    let deadline = attempt.deadline;
    // Before anything is read or written for somebody who finds no room in the end, whoever it is.
    if app.hashes.look_in().is_err() {
        return Ok(Checked::Busy);
    }
    let subject = deadline.run(look_up(app, attempt)).await.ok_or(store::Error::Late)??;
    let Some(turn) = deadline.run(app.hashes.turn(Whose::Account(subject.guessed.account()))).await else {
        return Ok(Checked::Busy);
    };
    let Ok(place) = app.hashes.place(&turn) else {
        return Ok(Checked::Busy);
    };
    let slot = match reserve(app, &subject.guessed, deadline).await? {
        Reserved::Slot(slot) => slot,
        Reserved::Wait => return Ok(Checked::Busy),
        Reserved::Locked if matches!(attempt.typist, Typist::SignedIn(_)) => return Ok(Checked::SessionOver),
        Reserved::Locked => return record_locked(app, attempt, &subject, Lock::Password).await,
    };
    let stored = subject.account.as_ref().map(|a| a.password_hash.clone());
    let (password, preparable) = match password_rules::prepare(&attempt.password) {
        Some(password) => (password, true),
        // Refused characters: hashed all the same, so that the answer takes its time.
        None => (attempt.password.clone(), false),
    };
    let Ok(checked) = app.hashes.verify_at(&turn, place, password, stored).await else {
        give_back(app, &subject.guessed, &slot).await?;
        return Ok(Checked::Busy);
    };
    match subject.account {
        Some(account) if checked.matches && preparable => {
            if account.temporary_is_over(app.clock.now()) && !account.admin_locked {
                return temporary_is_over(app, attempt, &subject.guessed, &account, slot).await;
            }
            let session = match &attempt.typist {
                Typist::Stranger => None,
                Typist::SignedIn(session) => Some(session.sid.clone()),
            };
            let (guessed, rehashed) = (subject.guessed, checked.rehashed);
            Ok(Checked::Right(Proven { account, turn, guessed, session, slot, rehashed }))
        }
        account => settle_wrong(app, attempt, Subject { account, ..subject }, slot).await,
    }
}

/// Whose password is guessed at, and the truth about it for the record.
struct Subject {
    /// An active user of an active provider.
    account: Option<Account>,
    guessed: Guessed,
    /// Why it is unknown, for admins.
    reason: &'static str,
    /// What the record may say of a refused try: a known user's row, whatever its state.
    known: Option<Account>,
}

async fn look_up(app: &App, attempt: &Attempt) -> Result<Subject, store::Error> {
    let code = ProviderCode::parse(&attempt.provider_code);
    let name = LoginName::parse(&attempt.login_name);
    let mut conn = app.db.read().await?;
    let known = match (&code, &name) {
        (Some(code), Some(name)) => store::users::by_name(&mut conn, code, name).await?,
        _ => None,
    };
    if let Some(account) = &known {
        log::name_provider(&account.provider_code);
    }
    if let Some(account) = known.as_ref().filter(|a| a.is_live()) {
        let guessed = match &attempt.typist {
            Typist::Stranger => Guessed::User(account.id.clone()),
            Typist::SignedIn(session) => Guessed::Session(store::strikes::of_session(&session.sid)),
        };
        return Ok(Subject { account: known.clone(), guessed, reason: "wrong_password", known });
    }
    let reason = match &known {
        Some(account) if account.provider_active => "deactivated_user",
        Some(_) => "inactive_provider",
        None => "unknown_user_or_provider",
    };
    Ok(Subject {
        account: None,
        guessed: Guessed::UnknownAccount(unknown_account(app, attempt, name.as_ref())),
        reason,
        known,
    })
}

/// The account of an unknown Login Name: spellings that would be one account are one account.
fn unknown_account(app: &App, attempt: &Attempt, name: Option<&LoginName>) -> String {
    let folded = name.map_or_else(|| attempt.login_name.to_lowercase(), |n| n.key().to_owned());
    app.name_key.keyed_hash(&["phantom", &folded, &attempt.provider_code])
}

async fn reserve(app: &App, guessed: &Guessed, deadline: Deadline) -> Result<Reserved, store::Error> {
    let (db, started) = (&app.db, app.clock.now());
    loop {
        let now = app.clock.now();
        let slot = app.random.id(now);
        let guessed = guessed.clone();
        let reserved = in_transaction!(db, deadline, [guessed, slot], |tx| {
            store::strikes::reserve(tx, &guessed, &slot, now, now.after(SLOT_LIFE), now.after(PHANTOM_LIFE)).await
        })?;
        if reserved != Reserved::Wait || started.after(SLOT_PATIENCE) <= now {
            return Ok(reserved);
        }
        tokio::time::sleep(SLOT_RETRY).await;
    }
}

async fn give_back(app: &App, guessed: &Guessed, slot: &str) -> Result<(), store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let (account, slot) = (guessed.account().to_owned(), slot.to_owned());
    in_transaction!(db, app.ordinary_deadline(now), [account, slot], |tx| {
        store::strikes::release(tx, &account, &slot, now).await.map(drop)
    })
}

async fn settle_wrong(app: &App, attempt: &Attempt, subject: Subject, slot: String) -> Result<Checked, store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let refused = refused(app, attempt, &subject, subject.reason, now);
    let because = |kind| {
        Event::new(kind, Outcome::Success, "system", &attempt.visitor, now, &app.random)
            .because("three_wrong_passwords")
    };
    let (session, last) = match (&attempt.typist, &subject.account) {
        (Typist::SignedIn(session), _) => {
            (Some(session.clone()), Some(open::of_session(because(Kind::SessionEnded), session)))
        }
        (Typist::Stranger, Some(account)) => (None, Some(because(Kind::AccountLocked).about(account))),
        (Typist::Stranger, None) => (None, None),
    };
    let is_signed_in = session.is_some();
    let is_somebody = subject.account.is_some();
    let account = subject.guessed.account().to_owned();
    let admin_locked = subject.account.as_ref().is_some_and(|a| a.admin_locked);
    let failures = in_transaction!(db, attempt.deadline, [account, slot, refused, session, last], |tx| {
        if !store::strikes::release(tx, &account, &slot, now).await? {
            return Ok(None);
        }
        let failures = store::strikes::count(tx, &account).await?;
        store::activity::record(tx, &refused).await?;
        match last {
            Some(last) if failures >= STRIKES => {
                let is_so = match &session {
                    Some(session) => {
                        store::sessions::end_of_sid(tx, &session.sid, EndReason::WrongPasswords, now).await?
                    }
                    None => true,
                };
                if is_so {
                    store::activity::record(tx, &last).await?;
                }
            }
            // As much work for an unknown Login Name: the third answer takes its time as the others do.
            None if failures >= STRIKES => store::settings::get(tx, "").await.map(drop)?,
            _ => {}
        }
        Ok(Some(failures))
    })?;
    if failures.is_some_and(|failures| failures >= STRIKES) && is_somebody && !is_signed_in {
        app.metrics.locked(Lockout::Password);
    }
    Ok(match failures {
        None => Checked::Busy,
        Some(failures) if failures >= STRIKES && is_signed_in => Checked::SessionOver,
        Some(failures) if failures >= STRIKES || admin_locked => Checked::Locked,
        Some(_) => Checked::Wrong,
    })
}

async fn temporary_is_over(
    app: &App,
    attempt: &Attempt,
    guessed: &Guessed,
    account: &Account,
    slot: String,
) -> Result<Checked, store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let event = Event::new(attempt.purpose, Outcome::Refused, "user", &attempt.visitor, now, &app.random)
        .by(Method::Password)
        .about(account)
        .because("temporary_password_expired");
    let guessed = guessed.clone();
    let settled = in_transaction!(db, attempt.deadline, [guessed, slot, event], |tx| {
        let settled = store::strikes::release(tx, guessed.account(), &slot, now).await?;
        if settled {
            store::activity::record(tx, &event).await?;
        }
        Ok(settled)
    })?;
    Ok(if settled { Checked::Wrong } else { Checked::Busy })
}

async fn record_locked(app: &App, attempt: &Attempt, subject: &Subject, lock: Lock) -> Result<Checked, store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let reason = match (&subject.account, lock) {
        (None, _) => subject.reason,
        (Some(account), _) if account.admin_locked => "admin_locked",
        (Some(_), Lock::Admin) => "admin_locked",
        (Some(_), Lock::Password) => "password_locked",
    };
    let event = refused(app, attempt, subject, reason, now);
    in_transaction!(db, attempt.deadline, [event], |tx| store::activity::record(tx, &event).await)?;
    Ok(Checked::Locked)
}

fn refused(app: &App, attempt: &Attempt, subject: &Subject, reason: &str, now: Timestamp) -> Event {
    let actor = if subject.known.is_some() { "user" } else { "stranger" };
    let event = Event::new(attempt.purpose, Outcome::Refused, actor, &attempt.visitor, now, &app.random)
        .by(Method::Password)
        .because(reason);
    match &subject.known {
        Some(account) => event.about(account),
        // What was typed there may be a password (A1): a keyed hash tells repeats apart and nothing else.
        None => Event {
            maybe_provider_code: Some(attempt.provider_code.clone()).filter(|code| ProviderCode::parse(code).is_some()),
            name_hash: Some(app.name_key.keyed_hash(&["typed", &attempt.login_name, &attempt.provider_code])),
            ..event
        },
    }
}

/// What the transaction that opens something finds when it settles a right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All is as it was checked: go on.
    Good,
    /// A lock came in between.
    Locked(Lock),
    /// The session in which it was typed ended in between.
    SignedOut,
    /// The account was deactivated or given another password in between.
    Changed,
    /// The strike lapsed: nothing may be answered.
    Lapsed,
}

impl Proven {
    /// Gives the strike back, clears the count, and looks once more whether the account is still the one that was
    /// checked (G9): in the transaction that opens what the password was for.
    pub async fn settle(facts: &SettleFacts, tx: &mut Tx, now: Timestamp) -> Result<Settled, store::Error> {
        let account = &facts.account;
        if facts.rehashed.is_some() {
            // The order of locks everywhere: user, then strikes.
            store::users::lock_row(tx, &account.id).await?;
        }
        if !store::strikes::release(tx, facts.guessed.account(), &facts.slot, now).await? {
            return Ok(Settled::Lapsed);
        }
        let Some(current) = store::users::by_id(tx, &account.id).await? else {
            return Ok(Settled::Changed);
        };
        let is_signed_in = facts.session.is_some();
        if let Some(sid) = &facts.session
            && store::sessions::lock_living(tx, sid).await?.is_none()
        {
            return Ok(Settled::SignedOut);
        }
        if let Some(lock) = current.lock().filter(|lock| *lock == Lock::Admin || !is_signed_in) {
            return Ok(Settled::Locked(lock));
        }
        let same = current.is_live()
            && current.epoch == account.epoch
            && current.provider_epoch == account.provider_epoch
            && current.password_version == account.password_version;
        if !same {
            return Ok(Settled::Changed);
        }
        // The account's own were read under the lock.
        if is_signed_in || current.failures > 0 {
            store::strikes::clear(tx, facts.guessed.account()).await?;
        }
        if let Some(hash) = &facts.rehashed {
            store::users::rehash(tx, account, hash).await?;
        }
        Ok(Settled::Good)
    }

    /// What [`Proven::settle`] needs inside a transaction that may be tried twice.
    #[must_use]
    pub fn facts(&self) -> SettleFacts {
        SettleFacts {
            account: self.account.clone(),
            guessed: self.guessed.clone(),
            session: self.session.clone(),
            slot: self.slot.clone(),
            rehashed: self.rehashed.clone(),
        }
    }

    /// Gives the strike back where nothing came of the right password.
    pub async fn give_back(&self, app: &App) -> Result<(), store::Error> {
        give_back(app, &self.guessed, &self.slot).await
    }
}

/// See [`Proven::facts`].
#[derive(Clone, Debug)]
pub struct SettleFacts {
    account: Account,
    guessed: Guessed,
    session: Option<String>,
    slot: String,
    rehashed: Option<String>,
}
