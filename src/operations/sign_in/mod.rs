//! A sign-in by password, from the typed fields to a session: one task that a closed connection cannot cancel (G3).

pub mod check_password;

use std::time::Duration;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::log;
use crate::metrics::labels::PasswordOutcome;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::session::{ACR_PASSWORD, Method};
use crate::model::user::{Account, Lock};
use crate::operations::sessions::open::{self, Browser, Opening, limits, open_session};
use crate::operations::sign_in::check_password::{Attempt, Checked, Proven, Settled, check_password};
use crate::store::{self, in_transaction};
use crate::time::Timestamp;

/// How long an unfinished sign-in waits for the Update Password page.
const PRE_AUTH_LIFE: Duration = Duration::from_mins(30);

/// How a sign-in ended.
#[derive(Debug)]
pub enum SignIn {
    /// A session, whose secret this is.
    Welcome(Secret),
    /// The password is temporary: the Update Password page, with this secret (L7).
    MustUpdate(Secret),
    /// "Invalid Credentials" (L3).
    Refused,
    /// "Your account has been locked…" (L5).
    Locked,
    /// Three were wrong in a session that asked for it again: it is over (G35).
    SessionOver,
    /// The session that asked for it again ended meanwhile: nothing begins.
    SignedOut,
    /// Nothing was answered; try again.
    Busy,
}

impl SignIn {
    const fn outcome(&self) -> PasswordOutcome {
        match self {
            Self::Welcome(_) => PasswordOutcome::Success,
            Self::MustUpdate(_) => PasswordOutcome::Unfinished,
            Self::Refused => PasswordOutcome::Refused,
            Self::Locked => PasswordOutcome::Locked,
            Self::SessionOver => PasswordOutcome::SessionOver,
            Self::SignedOut => PasswordOutcome::SignedOut,
            Self::Busy => PasswordOutcome::Busy,
        }
    }
}

/// Signs in, or says why not. The strike is settled and the record written before this returns, whoever still waits.
pub async fn sign_in(app: &App, attempt: Attempt, browser: Browser) -> Result<SignIn, store::Error> {
    let owned = app.clone();
    let task = log::spawn(async move { decide(&owned, attempt, browser).await });
    let done = match task.await.unwrap_or(Err(store::Error::TaskDied)) {
        Err(store::Error::Late | store::Error::Stalled(_)) => Ok(SignIn::Busy),
        other => other,
    };
    let outcome = done.as_ref().map_or(PasswordOutcome::Failed, SignIn::outcome);
    app.metrics.password(outcome);
    log::sign_in(Method::Password.as_str(), outcome.as_str());
    done
}

async fn decide(app: &App, attempt: Attempt, browser: Browser) -> Result<SignIn, store::Error> {
    let proven = match check_password(app, &attempt).await? {
        Checked::Right(proven) => proven,
        Checked::Wrong => return Ok(SignIn::Refused),
        Checked::Locked => return Ok(SignIn::Locked),
        Checked::SessionOver => return Ok(SignIn::SessionOver),
        Checked::Busy => return Ok(SignIn::Busy),
    };
    let now = app.clock.now();
    let secret = Secret::random(&app.random);
    let must_update = proven.account.must_update();
    let settled = if must_update {
        begin_update(app, &proven, &attempt, browser, &secret, now).await?
    } else {
        welcome(app, &proven, &attempt, browser, &secret, now).await?
    };
    Ok(match settled {
        Settled::Good if must_update => SignIn::MustUpdate(secret),
        Settled::Good => SignIn::Welcome(secret),
        Settled::Locked(_) => SignIn::Locked,
        Settled::SignedOut => SignIn::SignedOut,
        Settled::Changed => SignIn::Refused,
        Settled::Lapsed => SignIn::Busy,
    })
}

async fn welcome(
    app: &App,
    proven: &Proven,
    attempt: &Attempt,
    browser: Browser,
    secret: &Secret,
    now: Timestamp,
) -> Result<Settled, store::Error> {
    let (facts, visitor) = (proven.facts(), &attempt.visitor);
    let opening = opening(app, &proven.account, visitor, browser, secret, now);
    let changed = changed_events(app, &proven.account, visitor, now);
    let db = &app.db;
    in_transaction!(db, attempt.deadline, [facts, opening, changed], |tx| {
        let settled = Proven::settle(&facts, tx, now).await?;
        match changed_event(&changed, settled) {
            Some(event) => store::activity::record(tx, event).await?,
            None if settled == Settled::Good => open_session(tx, &opening, now).await?,
            None => {}
        }
        Ok(settled)
    })
}

/// What a session by password is made of.
#[must_use]
pub fn opening(
    app: &App,
    account: &Account,
    visitor: &Visitor,
    browser: Browser,
    secret: &Secret,
    auth_time: Timestamp,
) -> Opening {
    let (idle, absolute) = limits(app, account.idle_minutes, account.absolute_hours);
    Opening {
        account: account.clone(),
        method: Method::Password,
        acr: ACR_PASSWORD.into(),
        amr: Some(r#"["pwd"]"#.into()),
        auth_time,
        issuer: None,
        handoff_id: None,
        secret_hash: secret.digest(),
        browser,
        visitor: visitor.clone(),
        idle,
        absolute,
        random: app.random.clone(),
    }
}

async fn begin_update(
    app: &App,
    proven: &Proven,
    attempt: &Attempt,
    browser: Browser,
    secret: &Secret,
    now: Timestamp,
) -> Result<Settled, store::Error> {
    let visitor = &attempt.visitor;
    let (facts, account, secret_hash, random) =
        (proven.facts(), proven.account.clone(), secret.digest(), app.random.clone());
    let unfinished = Event::new(Kind::SignIn, Outcome::Unfinished, "user", visitor, now, &app.random)
        .by(Method::Password)
        .about(&account)
        .because("temporary_password");
    let changed = changed_events(app, &account, visitor, now);
    let (db, visitor) = (&app.db, visitor.clone());
    in_transaction!(
        db,
        attempt.deadline,
        [facts, account, secret_hash, random, unfinished, changed, visitor, browser],
        |tx| {
            let settled = Proven::settle(&facts, tx, now).await?;
            if let Some(event) = changed_event(&changed, settled) {
                store::activity::record(tx, event).await?;
            }
            if settled == Settled::Good {
                // No unfinished sign-in of one user may stand beside the session of another.
                if let Some(old) = open::held(tx, &browser, now).await?.filter(|old| old.user_id != account.id) {
                    open::replace(tx, &old, &visitor, now, &random).await?;
                }
                if let Some(earlier) = &browser.pre_auth {
                    store::passwords::pre_auths::remove(tx, earlier).await?;
                }
                let id = random.id(now);
                store::passwords::pre_auths::insert(tx, &id, &secret_hash, &account, now, now.after(PRE_AUTH_LIFE))
                    .await?;
                store::activity::record(tx, &unfinished).await?;
            }
            Ok(settled)
        }
    )
}

/// The records of a right password that came to nothing because the account changed under it.
#[derive(Clone)]
struct ChangedEvents {
    admin_locked: Event,
    password_locked: Event,
    changed: Event,
}

fn changed_events(app: &App, account: &Account, visitor: &Visitor, now: Timestamp) -> ChangedEvents {
    let refused = |reason| {
        Event::new(Kind::SignIn, Outcome::Refused, "user", visitor, now, &app.random)
            .by(Method::Password)
            .about(account)
            .because(reason)
    };
    ChangedEvents {
        admin_locked: refused("admin_locked"),
        password_locked: refused("password_locked"),
        changed: refused("changed_meanwhile"),
    }
}

const fn changed_event(events: &ChangedEvents, settled: Settled) -> Option<&Event> {
    match settled {
        Settled::Good | Settled::Lapsed | Settled::SignedOut => None,
        Settled::Locked(Lock::Admin) => Some(&events.admin_locked),
        Settled::Locked(Lock::Password) => Some(&events.password_locked),
        Settled::Changed => Some(&events.changed),
    }
}
