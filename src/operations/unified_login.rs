//! The way to Unified Login (U1): a Provider Admin asks and may withdraw, a Therap Admin approves, declines and may
//! switch off later. Each step is noted, and is one record.

use std::time::Duration;

use super::admin_context::{AdminContext, Lines, ValidationError, check_words, in_act};
use super::passwords::mail::{self, Draft};
use super::providers::take_step;
use crate::model::claims::Claims;
use crate::model::provider::{Provider, ProviderKind, Step, UnifiedLogin};
use crate::store::mails::MailKind;
use crate::store::users::emails;
use crate::store::{Error, Tx, providers, unified_login, users};

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It is taken, and recorded.
    Yes,
    /// The state is no longer the one that the step begins at; nothing is recorded.
    Stale,
    /// There is no such provider.
    NotFound,
    /// What was written to it cannot stand, or is missing; nothing is recorded.
    Invalid(ValidationError),
}

/// Checks what somebody wrote to a step; empty is nothing.
///
/// # Errors
/// What it must be.
pub fn check_note(key: &'static str, words: &str) -> Result<Option<String>, ValidationError> {
    check_words(key, words, Lines::Several)
}

/// A Provider Admin asks for Unified Login, perhaps with a note.
pub async fn request(act: &AdminContext, provider_id: &str, note: &str) -> Result<Transition, Error> {
    take(act, provider_id, Step::Requested, check_note("note", note), |provider| {
        provider.unified_login == UnifiedLogin::Off
    })
    .await
}

/// A Provider Admin takes the request back.
pub async fn withdraw(act: &AdminContext, provider_id: &str) -> Result<Transition, Error> {
    take(act, provider_id, Step::Withdrawn, Ok(None), |provider| provider.unified_login == UnifiedLogin::Requested)
        .await
}

/// A Therap Admin's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Unified Login is on.
    Approve,
    /// It stays off.
    Decline,
}

/// A Therap Admin decides the request that was read: the one of this step, none when a seed asked. Whoever declines
/// says why.
pub async fn decide(
    act: &AdminContext,
    provider_id: &str,
    read: Option<String>,
    decision: Decision,
    reason: &str,
) -> Result<Transition, Error> {
    let words = match check_note("reason", reason) {
        Ok(None) if decision == Decision::Decline => {
            Err(ValidationError::new("reason", "must say why the request is declined"))
        }
        words => words,
    };
    let provider_id = provider_id.to_owned();
    let step = if decision == Decision::Approve { Step::Approved } else { Step::Declined };
    in_act!(act, holding providers(provider_id), [provider_id, read, words], |tx| {
        let Some(provider) = agency(tx, &provider_id).await? else {
            return Ok(Transition::NotFound);
        };
        let newest = unified_login::of_provider(tx, &provider.id, 1).await?.pop();
        let is_another = provider.unified_login != UnifiedLogin::Requested || newest.map(|step| step.id) != read;
        if is_another || act.is_stale(provider.version()) {
            return Ok(Transition::Stale);
        }
        // Whoever decides what nobody asks any more is told that, not what is wrong with the words.
        step_with(tx, &act, &provider, step, words).await
    })
}

/// Takes a step with what was written to it, where that can stand.
async fn step_with(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    step: Step,
    words: Result<Option<String>, ValidationError>,
) -> Result<Transition, Error> {
    let words = match words {
        Ok(words) => words,
        Err(invalid) => return Ok(Transition::Invalid(invalid)),
    };
    take_step(tx, act, provider, step, words.as_deref()).await?;
    tell(tx, act, provider, step, words.as_deref()).await?;
    Ok(Transition::Yes)
}

/// How many admins are told of a step, by Login Name; the others see it on their pages.
const TOLD: i64 = 50;
/// How long such a mail is tried: it stands on a page, too.
const NOTICE_LIFE: Duration = Duration::from_hours(24);

/// Mails those who wait for a step that it is taken: Therap Admins of a request, the agency's Provider Admins of what was
/// decided. Only verified addresses, and only where the operator wants it.
async fn tell(
    tx: &mut Tx,
    act: &AdminContext,
    provider: &Provider,
    step: Step,
    words: Option<&str>,
) -> Result<(), Error> {
    if !act.app.config.mail.as_ref().is_some_and(|mail| mail.unified_login) {
        return Ok(());
    }
    let (name, issuer) = (format!("{} ({})", provider.name, provider.code), &act.app.config.issuer);
    let realm = providers::operator_realm(tx).await?.map(|realm| realm.id).unwrap_or_default();
    let (whom, subject, mut body) = match step {
        Step::Requested => {
            (&realm, "A request for Unified Login is waiting", format!("{name} asks for Unified Login."))
        }
        Step::Approved => (
            &provider.id,
            "Unified Login is on",
            format!("Therap approved the request for Unified Login. It is on for {name}."),
        ),
        Step::Declined => (
            &provider.id,
            "The request for Unified Login was declined",
            format!("Therap declined the request for Unified Login of {name}."),
        ),
        Step::SwitchedOff => {
            (&provider.id, "Unified Login was switched off", format!("Therap switched Unified Login off for {name}."))
        }
        Step::Withdrawn | Step::SwitchedOn => return Ok(()),
    };
    if let Some(words) = words {
        let what = if step == Step::Requested { "Note" } else { "Reason" };
        body = format!("{body}\n\n{what}: {words}");
    }
    let page = if step == Step::Requested { "/operator/requests" } else { "/admin/provider" };
    body = format!("{body}\n\nSee {issuer}{page}\n");
    for admin in emails::of_admins(tx, whom, TOLD).await? {
        let claims = Claims::from_json(&admin.claims).unwrap_or_default();
        let (Some(to), Some(user)) = (claims.verified_email(), users::by_id(tx, &admin.user_id).await?) else {
            continue;
        };
        let until = act.now.after(NOTICE_LIFE);
        let draft = Draft { kind: MailKind::UnifiedLogin, subject, body: body.clone(), until };
        if !mail::queue(tx, &act.app, &user, to, draft, act.now).await? {
            let id = provider.id.clone();
            tx.after_commit(move || {
                tracing::error!(provider.id = %id, "admins are not told of a step of Unified Login: too many such mails wait already");
            });
            break;
        }
    }
    Ok(())
}

/// A Therap Admin switches Unified Login off, perhaps with a reason.
pub async fn switch_off(act: &AdminContext, provider_id: &str, reason: &str) -> Result<Transition, Error> {
    take(act, provider_id, Step::SwitchedOff, check_note("reason", reason), |provider| {
        provider.unified_login == UnifiedLogin::On
    })
    .await
}

async fn take(
    act: &AdminContext,
    provider_id: &str,
    step: Step,
    words: Result<Option<String>, ValidationError>,
    may: impl Fn(&Provider) -> bool + Copy + Send + Sync + 'static,
) -> Result<Transition, Error> {
    let provider_id = provider_id.to_owned();
    in_act!(act, holding providers(provider_id), [provider_id, words], |tx| {
        let Some(provider) = agency(tx, &provider_id).await? else {
            return Ok(Transition::NotFound);
        };
        if !may(&provider) || act.is_stale(provider.version()) {
            return Ok(Transition::Stale);
        }
        step_with(tx, &act, &provider, step, words).await
    })
}

/// The agency with this id, held. The operator realm has no Unified Login.
async fn agency(tx: &mut Tx, id: &str) -> Result<Option<Provider>, Error> {
    Ok(providers::lock_for_update(tx, id).await?.filter(|provider| provider.kind == ProviderKind::Agency))
}
