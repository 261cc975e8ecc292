//! Opening a session, by whichever sign-in method: one row, one record, and what happens to whatever this browser held
//! before (U3).

use std::time::Duration;

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::session::{EndReason, Method, Session};
use crate::model::user::Account;
use crate::store::sessions::NewSession;
use crate::store::{self, Tx};
use crate::time::{Random, Timestamp};

/// How long a browser may still ask, or log out, with the secret of a session that another tab just renewed.
pub const RENEWAL: Duration = Duration::from_secs(10);

/// What a browser brought along besides what it signs in with: digests of its cookies' secrets.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// The session it holds.
    pub session: Option<String>,
    /// The unfinished sign-in it holds.
    pub pre_auth: Option<String>,
}

/// Everything a new session is made of.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The user, as checked.
    pub account: Account,
    /// The sign-in method.
    pub method: Method,
    /// How sure the sign-in is.
    pub acr: String,
    /// How it was done: a JSON array.
    pub amr: Option<String>,
    /// When credentials were checked.
    pub auth_time: Timestamp,
    /// A handoff's issuer: id and epoch.
    pub issuer: Option<(String, i64)>,
    /// A handoff's id.
    pub handoff_id: Option<String>,
    /// Digest of the new secret.
    pub secret_hash: String,
    /// What the browser held.
    pub browser: Browser,
    /// From where.
    pub visitor: Visitor,
    /// How long it may be unused.
    pub idle: Duration,
    /// How long it may live.
    pub absolute: Duration,
    /// Ids are drawn from here.
    pub random: Random,
}

/// A session whose cookie has yet to be sent.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the cookie carries.
    pub secret: Secret,
}

/// The limits of an account's sessions: the provider's own, within the operator's.
#[must_use]
pub fn limits(app: &App, idle_minutes: Option<i64>, absolute_hours: Option<i64>) -> (Duration, Duration) {
    let least = |operator: u32, own: Option<i64>| {
        own.and_then(|own| u64::try_from(own).ok()).map_or(u64::from(operator), |own| own.min(operator.into()))
    };
    let idle = least(app.config.session.idle_minutes, idle_minutes);
    let absolute = least(app.config.session.absolute_hours, absolute_hours);
    (Duration::from_mins(idle), Duration::from_hours(absolute))
}

/// Opens the session and records it, in the caller's transaction. The browser's own session of the same user is
/// renewed: a new row and secret under the same `sid`; another user's is ended.
pub async fn open_session(tx: &mut Tx, opening: &Opening, now: Timestamp) -> Result<(), store::Error> {
    let id = opening.random.id(now);
    let renewed = settle_old_session(tx, opening, now).await?;
    let auth_time = renewed.as_ref().map_or(opening.auth_time, |old| later_second(opening, old));
    let sid = renewed.map_or_else(|| opening.random.id(now), |old| old.sid);
    if let Some(pre_auth) = &opening.browser.pre_auth {
        store::passwords::pre_auths::remove(tx, pre_auth).await?;
    }
    let account = &opening.account;
    let session = NewSession {
        id: id.clone(),
        sid,
        secret_hash: opening.secret_hash.clone(),
        provider_id: account.provider_id.clone(),
        user_id: account.id.clone(),
        user_epoch: account.epoch,
        provider_epoch: account.provider_epoch,
        issuer: opening.issuer.clone(),
        handoff_id: opening.handoff_id.clone(),
        method: opening.method,
        acr: opening.acr.clone(),
        amr: opening.amr.clone(),
        auth_time: auth_time.0,
        idle_until: now.after(opening.idle),
        expires_at: now.after(opening.absolute),
        address: opening.visitor.address.clone(),
        browser: opening.visitor.browser.clone(),
    };
    let mut event = Event::new(Kind::SignIn, Outcome::Success, "user", &opening.visitor, now, &opening.random)
        .by(opening.method)
        .about(account)
        .of_session(&id);
    event.note = opening.method.note().map(str::to_owned);
    event.handoff_id.clone_from(&opening.handoff_id);
    store::sessions::open(tx, &session, &event, now).await
}

/// When credentials were checked. Whoever gives a password again has an `auth_time` that is later in whole seconds,
/// which is all that an app sees of it.
fn later_second(opening: &Opening, old: &Session) -> Timestamp {
    match opening.method {
        Method::Password => opening.auth_time.max(Timestamp::from_seconds(Timestamp(old.auth_time).seconds() + 1)),
        Method::Handoff => opening.auth_time,
    }
}

/// Ends what the browser held; the session that is renewed, if it was the same user's.
async fn settle_old_session(tx: &mut Tx, opening: &Opening, now: Timestamp) -> Result<Option<Session>, store::Error> {
    let Some(old) = held(tx, &opening.browser, now).await? else {
        return Ok(None);
    };
    if old.user_id == opening.account.id {
        let renewed = store::sessions::end(tx, &old.id, EndReason::Renewed, now).await?;
        return Ok(renewed.then_some(old));
    }
    replace(tx, &old, &opening.visitor, now, &opening.random).await?;
    Ok(None)
}

/// The session that a browser holds, also where it is idle: what apps were given under it lives on until it is ended.
pub async fn held(tx: &mut Tx, browser: &Browser, now: Timestamp) -> Result<Option<Session>, store::Error> {
    match &browser.session {
        Some(secret_hash) => store::sessions::standing(tx, secret_hash, now).await,
        None => Ok(None),
    }
}

/// Ends another user's session in a browser that somebody else signs in with.
pub async fn replace(
    tx: &mut Tx,
    old: &Session,
    visitor: &Visitor,
    now: Timestamp,
    random: &Random,
) -> Result<(), store::Error> {
    if store::sessions::end(tx, &old.id, EndReason::Replaced, now).await? {
        let event = Event::new(Kind::SessionEnded, Outcome::Success, "system", visitor, now, random);
        store::activity::record(tx, &of_session(event, old).because("another_user_signed_in")).await?;
    }
    Ok(())
}

/// An event about a session's user.
#[must_use]
pub fn of_session(event: Event, session: &Session) -> Event {
    Event {
        provider_id: Some(session.provider_id.clone()),
        provider_code: Some(session.provider_code.clone()),
        user_id: Some(session.user_id.clone()),
        login_name: Some(session.login_name.clone()),
        session_id: Some(session.id.clone()),
        ..event
    }
}
