//! What the service would say of an assertion, check by check, without spending it: for the people who build the
//! sending side (`connect-idp handoff explain`).

use std::time::Duration;

use super::assertion::{Assertion, Step, Trail, verify};
use super::claim::{judge_account, judge_lock};
use super::refusal::Refusal;
use super::{CLAIM, rules, timeout, trust};
use crate::app::App;
use crate::crypto::secret::digest;
use crate::model::login_name::LoginName;
use crate::model::provider::{ProviderCode, UnifiedLogin};
use crate::store;
use crate::time::Timestamp;

/// The checks in their order, and the verdict.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Every check up to the first that fails.
    pub checks: Vec<Step>,
    /// Why no session would come of it, if none would.
    pub refused: Option<Refusal>,
}

/// Judges an assertion as it would be judged now, from a registered page.
///
/// # Errors
/// When the database cannot be asked.
pub async fn explain(app: &App, text: &str) -> Result<Explanation, store::Error> {
    let now = app.clock.now();
    let mut snapshot = trust::reload(app, now).await?;
    let mut fetched = false;
    for trusted in snapshot.issuers.clone() {
        fetched |= trust::refetch(app, &trusted.issuer, now).await?;
    }
    if fetched {
        snapshot = trust::reload(app, now).await?;
    }
    let mut trail = Trail::kept();
    let refused = match verify(text, &snapshot, rules(app), now, &mut trail) {
        Ok(assertion) => judge(app, &assertion, now, &mut trail).await?.err(),
        Err(rejected) => Some(rejected.refusal),
    };
    Ok(Explanation { checks: trail.into_steps(), refused })
}

async fn judge(
    app: &App,
    assertion: &Assertion,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Result<(), Refusal>, store::Error> {
    let facts = Facts::read(app, assertion).await?;
    Ok(facts.check(app, assertion, now, trail))
}

/// What the database says of everything the assertion names.
struct Facts {
    used: bool,
    provider: Option<crate::model::provider::Provider>,
    account: Option<crate::model::user::Account>,
    tied: Option<Refusal>,
}

impl Facts {
    async fn read(app: &App, assertion: &Assertion) -> Result<Self, store::Error> {
        let mut conn = app.db.read().await?;
        let issuer = &assertion.trusted.issuer;
        let used = store::single_use::is_claimed(&mut conn, CLAIM, &issuer.id, &digest(&assertion.jti)).await?;
        let code = ProviderCode::parse(&assertion.provider_code);
        let provider = match &code {
            Some(code) => store::providers::by_code(&mut conn, code.as_str()).await?,
            None => None,
        };
        let account = match (&code, LoginName::parse(&assertion.login_name)) {
            (Some(code), Some(name)) => store::users::by_name(&mut conn, code, &name).await?,
            _ => None,
        };
        let tied = match &account {
            Some(meant) => {
                let tied =
                    store::issuers::tied(&mut conn, &issuer.id, &meant.provider_id, &assertion.sub, &meant.id).await?;
                Refusal::of_tie(tied)
            }
            None => None,
        };
        Ok(Self { used, provider, account, tied })
    }

    fn check(&self, app: &App, assertion: &Assertion, now: Timestamp, trail: &mut Trail) -> Result<(), Refusal> {
        let deadline = assertion.deadline(now, timeout(app));
        trail.check("in time", now < deadline, Refusal::TimedOut, || left(now, deadline))?;
        trail.check("jti unused", !self.used, Refusal::Replayed, || assertion.jti.clone())?;
        let code = || assertion.provider_code.clone();
        trail.check("provider exists", self.provider.is_some(), Refusal::UnknownProvider, code)?;
        let provider = self.provider.as_ref().ok_or(Refusal::UnknownProvider)?;
        trail.check("provider active", provider.active, Refusal::InactiveProvider, code)?;
        let on = provider.unified_login == UnifiedLogin::On;
        trail.check("Unified Login on", on, Refusal::UnifiedLoginOff, || provider.unified_login.to_string())?;
        let name = || assertion.login_name.clone();
        trail.check("user exists", self.account.is_some(), Refusal::UnknownUser, name)?;
        let account = self.account.as_ref().ok_or(Refusal::UnknownUser)?;
        let state = judge_account(account);
        trail.check("user may arrive by handoff", state.is_none(), state.unwrap_or(Refusal::DeactivatedUser), name)?;
        let tied = self.tied.unwrap_or(Refusal::SubTiedToAnotherUser);
        trail.check("sub fits the user", self.tied.is_none(), tied, || assertion.sub.clone())?;
        let lock = judge_lock(account);
        trail.check("user not locked", lock.is_none(), lock.unwrap_or(Refusal::AdminLocked), name)
    }
}

fn left(now: Timestamp, deadline: Timestamp) -> String {
    let late = deadline.until(now);
    if late > Duration::ZERO {
        format!("late by {:.1} seconds", late.as_secs_f64())
    } else {
        format!("{:.1} seconds are left", now.until(deadline).as_secs_f64())
    }
}
