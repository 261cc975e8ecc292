//! `POST /unified-login`: from a signed assertion to a pending handoff (U2, U5 to U8), judged in the order of U7.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::oneshot;

use super::assertion::{Assertion, Rejected, Rules, Signed, Trail, verify};
use super::refusal::{Message, Refusal};
use super::{CLAIM, MALFORMED, REPEAT, refused_page, settle, trust};
use crate::app::App;
use crate::cache::issuers::Snapshot;
use crate::crypto::secret::{Secret, digest};
use crate::model::event::{Event, Kind, Outcome, Visitor};
use crate::model::login_name::LoginName;
use crate::model::provider::{ProviderCode, UnifiedLogin};
use crate::model::session::{ACR_HANDOFF, Method as Door};
use crate::model::user::{Account, Lock, UserType};
use crate::store::handoffs::{Handoff, State};
use crate::store::{self, Tx, in_transaction};
use crate::time::{Deadline, Timestamp};
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::fields::{Fields, NotAForm};
use crate::web::layers::{Arrival, MAX_BODY};

/// How long the answer to a late assertion waits for its record.
const RECORD_PATIENCE: Duration = Duration::from_millis(500);

/// How an arrival ends.
enum Received {
    /// A pending handoff: its id, and the handle for its cookie.
    Pending(String, Secret),
    /// Refused, for a reason that the person need not know.
    Refused(Refusal),
}

/// Any method on `/unified-login`; only a POST can be right.
pub async fn any(app: App, arrival: Arrival, request: Request) -> Response {
    // Before the assertion can be read, the 30 seconds run from the arrival.
    let deadline = Deadline::after(timeout(&app), arrival.now);
    let received = deadline.run(receive(&app, &arrival, request)).await;
    match received.unwrap_or(Ok(Received::Refused(Refusal::TimedOut))) {
        Ok(Received::Pending(id, handle)) => {
            let mut response = Redirect::to(&format!("/unified-login/complete?h={id}")).into_response();
            response.headers_mut().append(header::SET_COOKIE, Cookie::Handoff(id).set(&handle, &app.config));
            response
        }
        Ok(Received::Refused(refusal)) => refuse(&app, refusal, &arrival.visitor),
        Err(error) => PageError::HandoffUnavailable(error.to_string()).into_response(),
    }
}

/// The page, and the one line in the log.
pub(super) fn refuse(app: &App, refusal: Refusal, visitor: &Visitor) -> Response {
    let outcome = if refusal.message() == Message::TimedOut { "timed_out" } else { "refused" };
    app.metrics.sign_in(Door::Handoff.as_str(), outcome);
    app.metrics.handoff_refused(refusal.as_str());
    tracing::warn!(reason = %refusal, address = %visitor.address, "a handoff was refused: {refusal}");
    refused_page(app, refusal.message(), &visitor.reference)
}

pub(super) fn timeout(app: &App) -> Duration {
    Duration::from_secs(app.config.handoff.timeout_seconds.into())
}

async fn receive(app: &App, arrival: &Arrival, request: Request) -> Result<Received, store::Error> {
    let (parts, body) = request.into_parts();
    let mut snapshot = trust::snapshot(app, arrival.now).await?;
    let origin = match judge_sender(&parts.method, &parts.uri, &parts.headers, &snapshot) {
        Ok(origin) => origin,
        Err(Refusal::OriginNotRegistered) => {
            // Registered a moment ago, perhaps.
            match trust::fresher(app, &snapshot, arrival.now).await? {
                Some(fresh) => snapshot = fresh,
                None => return Ok(Received::Refused(Refusal::OriginNotRegistered)),
            }
            match judge_sender(&parts.method, &parts.uri, &parts.headers, &snapshot) {
                Ok(origin) => origin,
                Err(refusal) => return Ok(Received::Refused(refusal)),
            }
        }
        Err(refusal) => return Ok(Received::Refused(refusal)),
    };
    let text = match read_assertion(&parts.headers, body).await {
        Ok(text) => text,
        Err(refusal) => return Ok(Received::Refused(refusal)),
    };
    // Twice at most: a revision that changed between the verifier and the transaction is judged again, once.
    for _ in 0..2 {
        let assertion = match prove(app, &text, &origin, &mut snapshot, arrival).await? {
            Ok(assertion) => assertion,
            Err(rejected) => return record_rejected(app, rejected, arrival).await,
        };
        match claim_in_time(app, assertion, arrival).await? {
            Claimed::Pending(id, handle) => return Ok(Received::Pending(id, handle)),
            Claimed::Refused(refusal) => return Ok(Received::Refused(refusal)),
            Claimed::IssuerChanged => snapshot = trust::reload(app, app.clock.now()).await?,
        }
    }
    Ok(Received::Refused(Refusal::ChangedMeanwhile))
}

/// Origin and fetch metadata, before anything is read: none of this spends the assertion.
fn judge_sender(method: &Method, uri: &Uri, headers: &HeaderMap, snapshot: &Snapshot) -> Result<String, Refusal> {
    if method != Method::POST {
        return Err(Refusal::NotPost);
    }
    let in_query = |name: &str| {
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).any(|(key, _)| key == name)
    };
    if in_query("assertion") || in_query("handle") {
        return Err(Refusal::QueryNotAllowed);
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return Err(Refusal::OriginMissing);
    };
    let origin = origin.to_str().map_err(|_| Refusal::OriginNotRegistered)?;
    if origin == "null" {
        return Err(Refusal::OriginNull);
    }
    if !snapshot.knows_origin(origin) {
        return Err(Refusal::OriginNotRegistered);
    }
    let says = |name: &str, wanted: &str| headers.get_all(name).iter().all(|value| value == wanted);
    if !says("sec-fetch-mode", "navigate") || !says("sec-fetch-dest", "document") {
        return Err(Refusal::NotATopLevelNavigation);
    }
    Ok(origin.to_owned())
}

async fn read_assertion(headers: &HeaderMap, body: Body) -> Result<String, Refusal> {
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::TooLarge)?;
    let mut fields = Fields::parse(headers, &body).map_err(|fault| match fault {
        NotAForm::WrongType => Refusal::NotAForm,
        NotAForm::Repeated => Refusal::FieldRepeated,
    })?;
    let assertion = fields.take_if_present("assertion").ok_or(Refusal::FieldMissing)?;
    if fields.take_if_present("handle").is_some() {
        return Err(Refusal::BothFields);
    }
    Ok(assertion)
}

/// Verifies, and once more where a refusal may come from an old snapshot or from keys that the issuer just replaced.
async fn prove(
    app: &App,
    text: &str,
    origin: &str,
    snapshot: &mut Arc<Snapshot>,
    arrival: &Arrival,
) -> Result<Result<Assertion, Rejected>, store::Error> {
    let now = app.clock.now();
    let first = verify_from(app, text, origin, snapshot, now);
    let Err(Rejected { refusal, signed: None }) = &first else {
        return Ok(first);
    };
    if let Some(fresh) = trust::fresher(app, snapshot, arrival.now).await? {
        *snapshot = fresh;
    }
    if *refusal == Refusal::UnknownKid
        && let Some(trusted) = named_issuer(text, snapshot)
        && trust::refetch(app, &trusted.issuer, now).await?
        && let Some(fresh) = app.issuers.get()
    {
        *snapshot = fresh;
    }
    Ok(verify_from(app, text, origin, snapshot, app.clock.now()))
}

fn named_issuer(text: &str, snapshot: &Snapshot) -> Option<Arc<crate::cache::issuers::Trusted>> {
    let jws = crate::crypto::jws::Unverified::parse(text, super::assertion::MAX_BYTES).ok()?;
    snapshot.issuer(jws.claims().ok()?.get("iss")?.as_str()?).cloned()
}

fn verify_from(app: &App, text: &str, origin: &str, snapshot: &Snapshot, now: Timestamp) -> Result<Assertion, Rejected> {
    let rules = rules(app);
    let verified = verify(text, snapshot, rules, now, &mut Trail::default());
    let trusted = match &verified {
        Ok(assertion) => &assertion.trusted,
        Err(Rejected { signed: Some(signed), .. }) => &signed.trusted,
        Err(_) => return verified,
    };
    if trusted.issuer.origins.iter().any(|registered| registered == origin) {
        verified
    } else {
        Err(Refusal::OriginOfAnotherIssuer.into())
    }
}

pub(super) fn rules(app: &App) -> Rules<'_> {
    Rules {
        audience: &app.config.issuer,
        future_skew: Duration::from_secs(app.config.handoff.future_skew_seconds.into()),
    }
}

/// A refusal from a trusted signature on is recorded, once for each assertion (U8).
async fn record_rejected(app: &App, rejected: Rejected, arrival: &Arrival) -> Result<Received, store::Error> {
    let Rejected { refusal, signed } = rejected;
    if let Some(signed) = signed {
        let event = rejected_event(app, &signed, refusal, arrival);
        let (db, issuer, digest) = (&app.db, signed.trusted.issuer.id.clone(), signed.digest.clone());
        let now = arrival.now;
        let first = in_transaction!(db, app.ordinary_deadline(now), [issuer, digest, event], |tx| {
            let first = store::single_use::claim(tx, MALFORMED, &issuer, &digest, now).await?;
            if first {
                store::activity::record(tx, &event).await?;
            }
            Ok(first)
        })?;
        if !first {
            app.metrics.handoff_repeated();
        }
    }
    Ok(Received::Refused(refusal))
}

fn rejected_event(app: &App, signed: &Signed, refusal: Refusal, arrival: &Arrival) -> Event {
    let actor = format!("issuer {}", signed.trusted.issuer.issuer);
    let event = Event::new(Kind::SignIn, Outcome::Refused, &actor, &arrival.visitor, arrival.now, &app.random);
    Event {
        maybe_provider_code: signed.provider_code.clone(),
        provider_code: signed.provider_code.clone(),
        login_name: signed.login_name.clone(),
        ..event.by(Door::Handoff).because(refusal.as_str())
    }
}

/// What the claiming transaction found.
enum Claimed {
    Pending(String, Secret),
    Refused(Refusal),
    /// The issuer's row is not the one the verifier knew: judge again.
    IssuerChanged,
}

/// Claims before the deadline, or says that it is late. The work goes on by itself and settles what nobody waits for.
async fn claim_in_time(app: &App, assertion: Assertion, arrival: &Arrival) -> Result<Claimed, store::Error> {
    let deadline = Deadline::at(assertion.deadline(arrival.now, timeout(app)), app.clock.now());
    if deadline.is_past(app.clock.now()) {
        // Recorded before the answer where the database lets us; the answer does not wait long for it.
        let recorded = tokio::spawn(settle::record_late_at_last(app.clone(), assertion, arrival.clone()));
        let _ = tokio::time::timeout(RECORD_PATIENCE, recorded).await;
        return Ok(Claimed::Refused(Refusal::TimedOut));
    }
    let (answer, waiting) = oneshot::channel();
    let (app, arrival) = (app.clone(), arrival.clone());
    tokio::spawn(async move {
        let claimed = claim(&app, &assertion, &arrival, deadline).await;
        let late = matches!(claimed, Err(store::Error::Late | store::Error::Stalled(_)));
        if late {
            // Nothing was written. The person reads the time-out at the deadline, not before.
            deadline.reached().await;
        }
        let _ = answer.send(claimed);
        if late {
            settle::record_late_at_last(app, assertion, arrival).await;
        }
    });
    match deadline.run(waiting).await {
        Some(Ok(Err(store::Error::Late | store::Error::Stalled(_)))) | None => Ok(Claimed::Refused(Refusal::TimedOut)),
        Some(Ok(claimed)) => claimed,
        Some(Err(_)) => Err(store::Error::TaskDied),
    }
}

async fn claim(app: &App, assertion: &Assertion, arrival: &Arrival, deadline: Deadline) -> Result<Claimed, store::Error> {
    let now = app.clock.now();
    let handle = Secret::random(&app.random);
    // The id's birth is when the clock started, so that the second step knows its deadline before it asks the database.
    let id = app.random.id(deadline.timestamp().before(timeout(app)));
    let pending = pending(assertion, arrival, deadline, &id, &handle);
    let refused = refused_events(app, assertion, arrival);
    let (db, name) = (&app.db, Named::parse(assertion));
    let (issuer_name, revision) = (assertion.trusted.issuer.issuer.clone(), assertion.trusted.issuer.revision);
    let outcome = in_transaction!(db, deadline, [pending, refused, name, issuer_name], |tx| {
        let Some(issuer) = store::issuers::by_name(tx, &issuer_name).await?.filter(|issuer| issuer.revision == revision) else {
            return Ok(Step::IssuerChanged);
        };
        if !store::single_use::claim(tx, CLAIM, &issuer.id, &pending.jti_hash, now).await? {
            let first = store::single_use::claim(tx, REPEAT, &issuer.id, &pending.jti_hash, now).await?;
            if first {
                store::activity::record(tx, &refused.event(Refusal::Replayed, None)).await?;
            }
            return Ok(Step::Repeated { first });
        }
        match judge(tx, &name, &pending.sub, &issuer.id).await? {
            Ok(account) => {
                let pending = Handoff {
                    issuer_epoch: issuer.epoch,
                    provider_id: account.provider_id,
                    user_id: account.id,
                    user_epoch: account.epoch,
                    provider_epoch: account.provider_epoch,
                    ..pending
                };
                store::handoffs::insert(tx, &pending, now).await?;
                Ok(Step::Pending)
            }
            Err((refusal, account)) => {
                store::activity::record(tx, &refused.event(refusal, account.as_ref())).await?;
                Ok(Step::Refused(refusal))
            }
        }
    })?;
    Ok(match outcome {
        Step::Pending => Claimed::Pending(id, handle),
        Step::Refused(refusal) => Claimed::Refused(refusal),
        Step::IssuerChanged => Claimed::IssuerChanged,
        Step::Repeated { first } => {
            if !first {
                app.metrics.handoff_repeated();
            }
            Claimed::Refused(Refusal::Replayed)
        }
    })
}

enum Step {
    Pending,
    Refused(Refusal),
    Repeated { first: bool },
    IssuerChanged,
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
pub(super) async fn judge(
    tx: &mut Tx,
    named: &Named,
    sub: &str,
    issuer_id: &str,
) -> Result<Result<Account, (Refusal, Option<Account>)>, store::Error> {
    let (Some(code), Some(name)) = (&named.code, &named.name) else {
        let refusal = if named.code.is_none() { Refusal::UnknownProvider } else { Refusal::UnknownUser };
        return Ok(Err((refusal, None)));
    };
    let Some(account) = store::users::by_name(tx, code, name).await? else {
        let refusal = match store::providers::by_code(tx, code.as_str()).await? {
            None => Refusal::UnknownProvider,
            Some(provider) if !provider.active => Refusal::InactiveProvider,
            Some(provider) if provider.unified_login != UnifiedLogin::On => Refusal::UnifiedLoginOff,
            Some(_) => Refusal::UnknownUser,
        };
        return Ok(Err((refusal, None)));
    };
    if let Some(refusal) = judge_account(&account) {
        return Ok(Err((refusal, Some(account))));
    }
    let tied = store::issuers::tied(tx, issuer_id, &account.provider_id, sub, &account.id).await?;
    if let Some(refusal) = Refusal::of_tie(tied).or_else(|| judge_lock(&account)) {
        return Ok(Err((refusal, Some(account))));
    }
    Ok(Ok(account))
}

/// What the account itself says against a handoff, before its locks.
pub(super) fn judge_account(account: &Account) -> Option<Refusal> {
    if account.user_type == UserType::TherapAdmin {
        Some(Refusal::TherapAdmin)
    } else if !account.provider_active {
        Some(Refusal::InactiveProvider)
    } else if account.unified_login != UnifiedLogin::On {
        Some(Refusal::UnifiedLoginOff)
    } else if !account.active {
        Some(Refusal::DeactivatedUser)
    } else {
        None
    }
}

pub(super) fn judge_lock(account: &Account) -> Option<Refusal> {
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

/// The record of a refusal, whose reason only the transaction knows.
#[derive(Clone)]
pub(super) struct RefusedEvents(Event);

pub(super) fn refused_events(app: &App, assertion: &Assertion, arrival: &Arrival) -> RefusedEvents {
    let actor = format!("issuer {}", assertion.trusted.issuer.issuer);
    let event = Event::new(Kind::SignIn, Outcome::Refused, &actor, &arrival.visitor, app.clock.now(), &app.random);
    RefusedEvents(Event {
        maybe_provider_code: Some(assertion.provider_code.clone()),
        provider_code: Some(assertion.provider_code.chars().take(255).collect()),
        login_name: Some(assertion.login_name.chars().take(255).collect()),
        ..event.by(Door::Handoff)
    })
}

impl RefusedEvents {
    pub(super) fn event(&self, refusal: Refusal, account: Option<&Account>) -> Event {
        let event = self.0.clone().because(refusal.as_str());
        match account {
            Some(account) => event.about(account),
            None => event,
        }
    }
}
