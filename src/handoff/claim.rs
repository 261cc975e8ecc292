//! The transaction that spends an assertion: claim the `jti`, check provider and user, store a pending handoff (U8).

use std::time::Duration;

use tokio::sync::oneshot;

use super::assertion::Assertion;
use super::refused::refused_events;
use super::{CLAIM, REPEAT, settle, timeout};
use crate::app::App;
use crate::crypto::secret::{Secret, digest};
use crate::log;
use crate::model::login_name::LoginName;
use crate::model::provider::{ProviderCode, UnifiedLogin};
use crate::model::refusal::Refusal;
use crate::model::session::ACR_HANDOFF;
use crate::model::user::{Account, Lock, UserType};
use crate::store::handoffs::meant::{Meant, named};
use crate::store::handoffs::{Handoff, State, VerifiedBy};
use crate::store::issuers::Tied;
use crate::store::{self, Conn, in_one_statement, in_transaction};
use crate::time::Deadline;
use crate::web::layers::Arrival;
use crate::web::return_to::ReturnTo;

/// How long the answer to a late assertion waits for its record.
const RECORD_PATIENCE: Duration = Duration::from_millis(500);

/// How a claim ends.
pub(super) enum Claimed {
    /// A pending handoff: its id, and the handle for its cookie.
    Pending(String, Secret),
    /// Refused, and recorded.
    Refused(Refusal),
    /// The issuer's row is not the one the verifier knew: check again.
    IssuerChanged,
}

/// Claims before the deadline, or says that it is late. The work continues on its own and settles what nobody waits
/// for.
pub(super) async fn claim_in_time(app: &App, assertion: Assertion, arrival: &Arrival) -> Result<Claimed, store::Error> {
    let deadline = Deadline::at(assertion.deadline(arrival.now, timeout(app)), app.clock.now());
    if deadline.is_past(app.clock.now()) {
        // Recorded before the answer where the database lets us; the answer does not wait long for it.
        let recorded = log::spawn(settle::record_late_at_last(app.clone(), assertion, arrival.clone()));
        let _ = tokio::time::timeout(RECORD_PATIENCE, recorded).await;
        return Ok(Claimed::Refused(Refusal::TimedOut));
    }
    let (answer, waiting) = oneshot::channel();
    let (app, arrival) = (app.clone(), arrival.clone());
    log::spawn(async move {
        let claimed = claim(&app, &assertion, &arrival, deadline).await;
        let late = matches!(claimed, Err(store::Error::Late | store::Error::Stalled(_)));
        if late {
            // Nothing was written. The person reads the time-out at the deadline, not before.
            deadline.reached().await;
        }
        let failed = claimed.is_err();
        let unheard = answer.send(claimed).is_err();
        // What broke after the page was answered is a time-out as well, whatever the result of the commit.
        if late || (failed && unheard && deadline.left().is_zero()) {
            settle::record_late_at_last(app, assertion, arrival).await;
        }
    });
    match deadline.run(waiting).await {
        Some(Ok(Err(store::Error::Late | store::Error::Stalled(_)))) | None => Ok(Claimed::Refused(Refusal::TimedOut)),
        Some(Ok(claimed)) => claimed,
        Some(Err(_)) => Err(store::Error::TaskDied),
    }
}

async fn claim(
    app: &App,
    assertion: &Assertion,
    arrival: &Arrival,
    deadline: Deadline,
) -> Result<Claimed, store::Error> {
    if app.issuers.is_full(&assertion.trusted.issuer.id) {
        return Err(store::Error::Full);
    }
    let now = app.clock.now();
    let handle = Secret::random(&app.random);
    // The id's birth is when the clock started, so that the second step knows its deadline before it asks the database.
    let id = app.random.id_born(deadline.timestamp().before(timeout(app)));
    let pending = pending(assertion, arrival, deadline, &id, &handle);
    let refused = refused_events(app, assertion, arrival);
    let (db, name) = (&app.db, Named::parse(assertion));
    let trusted = &assertion.trusted.issuer;
    let (issuer_name, own_issuer) = (trusted.issuer.clone(), app.config.issuer.clone());
    let usable_from = assertion.iat.before(Duration::from_secs(app.config.handoff.future_skew_seconds.into()));
    let by = VerifiedBy { revision: trusted.revision, last_good_jwks: trusted.last_good_jwks.clone() };
    // Nobody cancels this task: a server that is gone without a word would keep it, and a connection with it.
    let good = deadline.run(good(app, &pending, &name, &issuer_name, &by)).await.ok_or(store::Error::Late)??;
    if let Some(good) = good {
        let claimed = in_one_statement!(db, deadline, [good, by], |tx| {
            store::handoffs::claim(tx, CLAIM, &good, Some(&by), usable_from, now).await
        })?;
        if claimed {
            if is_lost(&pending, good.target.as_deref()) {
                warn_of_lost_target();
            }
            return Ok(Claimed::Pending(id, handle));
        }
    }
    let outcome = in_transaction!(db, deadline, [pending, refused, name, issuer_name, by, own_issuer], |tx| {
        let meant = named(tx, &issuer_name, &pending.sub, name.code.as_ref(), name.name.as_ref()).await?;
        let Some(meant) = meant.filter(|meant| is_unchanged(meant, &by)) else {
            return Ok(Found::IssuerChanged);
        };
        let (issuer, issuer_epoch, jti_hash) = (meant.issuer_id.clone(), meant.issuer_epoch, pending.jti_hash.clone());
        match check(tx, &name, &pending.sub, meant).await? {
            Ok(account) => {
                log::name_provider(&account.provider_code);
                let target = landing(tx, pending.target.as_deref(), &own_issuer).await?;
                let is_lost = is_lost(&pending, target.as_deref());
                let pending = about(account, issuer_epoch, target, pending);
                if store::handoffs::claim(tx, CLAIM, &pending, None, usable_from, now).await? {
                    if is_lost {
                        tx.after_commit(warn_of_lost_target);
                    }
                    return Ok(Found::Pending);
                }
            }
            Err((refusal, account)) => {
                if store::single_use::claim_usable(tx, CLAIM, &issuer, &pending.jti_hash, usable_from, now).await? {
                    if let Some(account) = &account {
                        log::name_provider(&account.provider_code);
                    }
                    store::activity::record(tx, &refused.event(refusal, account.as_ref())).await?;
                    return Ok(Found::Refused(refusal));
                }
            }
        }
        // Used before: the first repeat is recorded.
        let first = store::single_use::claim(tx, REPEAT, &issuer, &jti_hash, now).await?;
        if first {
            store::activity::record(tx, &refused.event(Refusal::Replayed, None)).await?;
        }
        Ok(Found::Repeated { first })
    })?;
    Ok(match outcome {
        Found::Pending => Claimed::Pending(id, handle),
        Found::Refused(refusal) => Claimed::Refused(refusal),
        Found::IssuerChanged => Claimed::IssuerChanged,
        Found::Repeated { first } => {
            if !first {
                app.metrics.handoff_repeated();
            }
            Claimed::Refused(Refusal::Replayed)
        }
    })
}

/// Whether keys of an issuer that verified are its keys: another replica may have replaced them meanwhile. Then once more, by
/// those that it found.
fn is_unchanged(meant: &Meant, by: &VerifiedBy) -> bool {
    meant.issuer_revision == by.revision && meant.last_good_jwks == by.last_good_jwks
}

/// The row of an assertion that nothing speaks against, so that one statement of PostgreSQL's can claim it, which reads the
/// issuer once more; of the user, the second step does. `None` where anything else is to be found out.
async fn good(
    app: &App,
    pending: &Handoff,
    name: &Named,
    issuer: &str,
    by: &VerifiedBy,
) -> Result<Option<Handoff>, store::Error> {
    if !app.db.writes_at_once() {
        return Ok(None);
    }
    let mut conn = app.db.read().await?;
    let meant = named(&mut conn, issuer, &pending.sub, name.code.as_ref(), name.name.as_ref()).await?;
    let Some(meant) = meant.filter(|meant| is_unchanged(meant, by)) else {
        return Ok(None);
    };
    let epoch = meant.issuer_epoch;
    let Ok(account) = check(&mut conn, name, &pending.sub, meant).await? else {
        return Ok(None);
    };
    log::name_provider(&account.provider_code);
    let target = landing(&mut conn, pending.target.as_deref(), &app.config.issuer).await?;
    Ok(Some(about(account, epoch, target, pending.clone())))
}

/// What the transaction found.
enum Found {
    Pending,
    Refused(Refusal),
    Repeated { first: bool },
    IssuerChanged,
}

impl Refusal {
    /// What a tie says, if it refuses.
    #[must_use]
    pub const fn of_tie(tied: Tied) -> Option<Self> {
        match tied {
            Tied::Yes | Tied::No => None,
            Tied::SubElsewhere => Some(Self::SubTiedToAnotherUser),
            Tied::UserElsewhere => Some(Self::UserTiedToAnotherSub),
        }
    }
}

/// Who is meant, as parsed; what does not parse is nobody.
#[derive(Clone, Debug)]
pub(super) struct Named {
    code: Option<ProviderCode>,
    name: Option<LoginName>,
}

impl Named {
    pub(super) fn parse(assertion: &Assertion) -> Self {
        Self { code: ProviderCode::parse(&assertion.provider_code), name: LoginName::parse(&assertion.login_name) }
    }
}

/// Provider and user (U5), then the locks (U6).
pub(super) async fn check(
    conn: &mut Conn,
    named: &Named,
    sub: &str,
    meant: Meant,
) -> Result<Result<Account, (Refusal, Option<Account>)>, store::Error> {
    let tied = meant.tied(sub);
    let (Some(code), Some(_)) = (&named.code, &named.name) else {
        let refusal = if named.code.is_none() { Refusal::UnknownProvider } else { Refusal::UnknownUser };
        return Ok(Err((refusal, None)));
    };
    let Some(account) = meant.account else {
        let refusal = match store::providers::by_code(conn, code.as_str()).await? {
            None => Refusal::UnknownProvider,
            Some(provider) if !provider.active => Refusal::InactiveProvider,
            Some(provider) if provider.unified_login != UnifiedLogin::On => Refusal::UnifiedLoginOff,
            Some(_) => Refusal::UnknownUser,
        };
        return Ok(Err((refusal, None)));
    };
    if let Some(refusal) = check_account(&account) {
        return Ok(Err((refusal, Some(account))));
    }
    if let Some(refusal) = Refusal::of_tie(tied).or_else(|| check_lock(&account)) {
        return Ok(Err((refusal, Some(account))));
    }
    Ok(Ok(account))
}

/// What the account itself says against a handoff, before its locks.
pub(super) fn check_account(account: &Account) -> Option<Refusal> {
    if account.user_type == UserType::TherapAdmin {
        Some(Refusal::TherapAdmin)
    } else if !account.provider_active {
        Some(Refusal::InactiveProvider)
    } else if account.unified_login != UnifiedLogin::On {
        Some(Refusal::UnifiedLoginOff)
    } else {
        check_user(account)
    }
}

/// What the user says against a handoff, whatever the provider says.
pub(super) fn check_user(account: &Account) -> Option<Refusal> {
    if account.user_type == UserType::TherapAdmin {
        Some(Refusal::TherapAdmin)
    } else if !account.active {
        Some(Refusal::DeactivatedUser)
    } else {
        None
    }
}

pub(super) fn check_lock(account: &Account) -> Option<Refusal> {
    account.lock().map(|lock| match lock {
        Lock::Password => Refusal::PasswordLocked,
        Lock::Admin => Refusal::AdminLocked,
    })
}

/// The row to be, with what the transaction will fill in still empty.
fn pending(assertion: &Assertion, arrival: &Arrival, deadline: Deadline, id: &str, handle: &Secret) -> Handoff {
    let issuer = &assertion.trusted.issuer;
    let mapped = assertion.acr.as_ref().and_then(|acr| issuer.acr.get(acr));
    Handoff {
        id: id.to_owned(),
        handle_hash: handle.digest(),
        state: State::Pending,
        issuer_id: issuer.id.clone(),
        jti_hash: digest(&assertion.jti),
        provider_id: String::new(),
        user_id: String::new(),
        user_epoch: 0,
        provider_epoch: 0,
        issuer_epoch: 0,
        sub: assertion.sub.clone(),
        deadline: deadline.timestamp().0,
        auth_time: assertion.auth_time.unwrap_or(assertion.iat).0,
        acr: mapped.cloned().unwrap_or_else(|| ACR_HANDOFF.into()),
        amr: assertion.amr.as_ref().and_then(|amr| serde_json::to_string(amr).ok()),
        target: assertion.target.clone(),
        address: arrival.visitor.address.clone(),
        browser: arrival.visitor.browser.clone(),
        reference: arrival.visitor.reference.clone(),
    }
}

/// The row with what the transaction found.
fn about(account: Account, issuer_epoch: i64, target: Option<String>, pending: Handoff) -> Handoff {
    Handoff {
        target,
        issuer_epoch,
        provider_id: account.provider_id,
        user_id: account.id,
        user_epoch: account.epoch,
        provider_epoch: account.provider_epoch,
        ..pending
    }
}

/// Where to land: a path on this site, or an app's own start of a sign-in (OpenID Connect Core §4); anything else is the
/// Dashboard.
async fn landing(conn: &mut Conn, target: Option<&str>, own_issuer: &str) -> Result<Option<String>, store::Error> {
    let Some(target) = target else {
        return Ok(None);
    };
    if let Some(path) = ReturnTo::parse_or_none(target) {
        return Ok(Some(path.to_string()));
    }
    let client = store::clients::by_client_id(conn, target).await?.filter(|client| client.enabled);
    Ok(client.and_then(|client| client.start_of_sign_in(own_issuer)))
}

/// Whether an assertion names a target, and it leads nowhere.
const fn is_lost(pending: &Handoff, target: Option<&str>) -> bool {
    pending.target.is_some() && target.is_none()
}

fn warn_of_lost_target() {
    tracing::warn!(
        "a handoff's target is neither a path on this site nor an app that starts sign-ins: it lands on the Dashboard"
    );
}
