//! What the service would say of an assertion, check by check to the last one, without spending it: for the people who
//! build the sending side (`connect-idp handoff explain`, and the page [`super::workbench`]).

use std::time::Duration;

use super::assertion::{Examined, MAX_BYTES, Step, Trail, examine, late_at};
use super::claim::{check_lock, check_user};
use super::trail::Outcome;
use super::{CLAIM, rules, timeout, trust};
use crate::app::App;
use crate::cache::issuers::Snapshot;
use crate::crypto::jws::Unverified;
use crate::crypto::secret::digest;
use crate::model::login_name::LoginName;
use crate::model::provider::{Provider, ProviderCode, UnifiedLogin};
use crate::model::refusal::Refusal;
use crate::model::user::Account;
use crate::store;
use crate::time::Timestamp;

/// The checks in their order, and the verdict.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Every check.
    pub checks: Vec<Step>,
    /// Why no session would come of it, if none would: the first check that is wrong.
    pub refused: Option<Refusal>,
    /// When it would be accepted: at its own time, where nothing is wrong but that it came later.
    pub at_its_time: Option<Timestamp>,
}

/// Whom it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// An operator, who may know of every provider and user.
    Operator,
    /// Anybody: of providers and users they learn what the holder of an issuer's key learns anyway.
    Stranger,
}

/// Checks an assertion as it would be checked now, or at another time, from a registered page.
///
/// # Errors
/// When the database cannot be asked.
pub async fn explain(
    app: &App,
    text: &str,
    at: Option<Timestamp>,
    reader: Reader,
) -> Result<Explanation, store::Error> {
    let now = app.clock.now();
    let at = at.unwrap_or(now);
    let snapshot = with_fresh_keys(app, text, now).await?;
    let mut trail = Trail::kept();
    // A trail that is kept refuses nothing: it goes on.
    let examined = examine(text, &snapshot, rules(app), at, &mut trail).unwrap_or_default();
    let only_late = trail.first_wrong().is_none();
    if only_late || reader == Reader::Operator {
        let facts = Facts::read(app, &examined).await?;
        // A kept trail lets every check pass.
        let _ = facts.check(app, &examined, at, &mut trail);
    } else {
        trail.skip(&["in time", "jti unused"], NOT_PROVEN);
        trail.skip(&ACCOUNT, NOT_PROVEN);
    }
    let refused = trail.first_wrong();
    let checks = trail.into_steps();
    let wrong = checks.iter().filter(|step| matches!(step.outcome, Outcome::Wrong(_))).count();
    let at_its_time = examined.claims.iat.filter(|_| only_late && wrong == 1 && refused == Some(Refusal::TimedOut));
    Ok(Explanation { checks, refused, at_its_time })
}

/// The trusted issuers, and the keys of the one that is named as its address gives them now.
async fn with_fresh_keys(app: &App, text: &str, now: Timestamp) -> Result<std::sync::Arc<Snapshot>, store::Error> {
    let snapshot = trust::reload(app, now).await?;
    let claims = Unverified::parse(text, MAX_BYTES).ok().and_then(|jws| jws.claims().ok()).unwrap_or_default();
    let named = claims.get("iss").and_then(serde_json::Value::as_str).and_then(|iss| snapshot.issuer(iss));
    match named {
        Some(trusted) if trust::refetch(app, &trusted.issuer, now).await? => trust::reload(app, now).await,
        Some(_) | None => Ok(snapshot),
    }
}

/// What the database says of everything the assertion names.
struct Facts {
    used: Option<bool>,
    provider: Option<Provider>,
    account: Option<Account>,
    tied: Option<Refusal>,
}

/// Why a stranger is not told of what the database holds.
const NOT_PROVEN: &str = "it takes an assertion of which all checks above hold";

/// The checks of provider and user, in their order.
const ACCOUNT: [&str; 7] = [
    "provider exists",
    "provider active",
    "Unified Login on",
    "user exists",
    "user may arrive by handoff",
    "sub fits the user",
    "user not locked",
];

impl Facts {
    async fn read(app: &App, examined: &Examined) -> Result<Self, store::Error> {
        let mut conn = app.db.read().await?;
        let (claims, issuer) = (&examined.claims, examined.trusted.as_ref().map(|trusted| &trusted.issuer));
        let used = match (issuer, &claims.jti) {
            (Some(issuer), Some(jti)) => {
                Some(store::single_use::is_claimed(&mut conn, CLAIM, &issuer.id, &digest(jti)).await?)
            }
            _ => None,
        };
        let code = claims.provider_code.as_deref().and_then(ProviderCode::parse);
        let provider = match &code {
            Some(code) => store::providers::by_code(&mut conn, code.as_str()).await?,
            None => None,
        };
        let account = match (&code, claims.login_name.as_deref().and_then(LoginName::parse)) {
            (Some(code), Some(name)) => store::users::by_name(&mut conn, code, &name).await?,
            _ => None,
        };
        let tied = match (&account, issuer, &claims.sub) {
            (Some(meant), Some(issuer), Some(sub)) => {
                let tied = store::issuers::tied(&mut conn, &issuer.id, &meant.provider_id, sub, &meant.id).await?;
                Refusal::of_tie(tied)
            }
            _ => None,
        };
        Ok(Self { used, provider, account, tied })
    }

    fn check(&self, app: &App, examined: &Examined, at: Timestamp, trail: &mut Trail) -> Result<(), Refusal> {
        let claims = &examined.claims;
        match (claims.iat, claims.exp) {
            (Some(iat), Some(exp)) => {
                let deadline = late_at(iat, exp, at, timeout(app));
                trail.check("in time", at < deadline, Refusal::TimedOut, || left(at, deadline))?;
            }
            _ => trail.skip(&["in time"], "it takes an iat and an exp"),
        }
        match (self.used, &claims.jti) {
            (Some(used), Some(jti)) => trail.check("jti unused", !used, Refusal::Replayed, || {
                format!("{jti}{}", if used { ", must be a new one for each click" } else { "" })
            })?,
            _ => trail.skip(&["jti unused"], "it takes a trusted issuer and a jti"),
        }
        let Some(code) = &claims.provider_code else {
            trail.skip(&ACCOUNT, "it takes a provider_code");
            return Ok(());
        };
        let code = || code.clone();
        trail.check("provider exists", self.provider.is_some(), Refusal::UnknownProvider, code)?;
        let Some(provider) = &self.provider else {
            trail.skip(&ACCOUNT[1..], "there is no such provider");
            return Ok(());
        };
        trail.check("provider active", provider.active, Refusal::InactiveProvider, code)?;
        let on = provider.unified_login == UnifiedLogin::On;
        trail.check("Unified Login on", on, Refusal::UnifiedLoginOff, || provider.unified_login.to_string())?;
        self.check_user(examined, trail)
    }

    fn check_user(&self, examined: &Examined, trail: &mut Trail) -> Result<(), Refusal> {
        let claims = &examined.claims;
        let Some(name) = &claims.login_name else {
            trail.skip(&ACCOUNT[3..], "it takes a login_name");
            return Ok(());
        };
        let name = || name.clone();
        trail.check("user exists", self.account.is_some(), Refusal::UnknownUser, name)?;
        let Some(account) = &self.account else {
            trail.skip(&ACCOUNT[4..], "there is no such user");
            return Ok(());
        };
        let state = check_user(account);
        trail.check("user may arrive by handoff", state.is_none(), state.unwrap_or(Refusal::DeactivatedUser), name)?;
        match (&claims.sub, &examined.trusted) {
            (Some(sub), Some(_)) => {
                let tied = self.tied.unwrap_or(Refusal::SubTiedToAnotherUser);
                trail.check("sub fits the user", self.tied.is_none(), tied, || sub.clone())?;
            }
            _ => trail.skip(&["sub fits the user"], "it takes a trusted issuer and a sub"),
        }
        let lock = check_lock(account);
        trail.check("user not locked", lock.is_none(), lock.unwrap_or(Refusal::AdminLocked), name)
    }
}

fn left(now: Timestamp, deadline: Timestamp) -> String {
    if now < deadline {
        return format!("{:.1} seconds are left", now.until(deadline).as_secs_f64());
    }
    let late = deadline.until(now);
    let over = if late < Duration::from_hours(48) {
        format!("{:.1} seconds", late.as_secs_f64())
    } else {
        format!("{} days", late.as_secs() / 86_400)
    };
    format!("late by {over}")
}
