//! `POST /unified-login`: from a signed assertion to a pending handoff (U2, U5 to U8), checked in the order of U7.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::assertion::{Assertion, Rejected, Signed, Trail, verify};
use super::claim::{Claimed, claim_in_time};
use super::{CLOCK_IS_WRONG, MALFORMED, refused_page, rules, settle, timeout, trust, unavailable};
use crate::app::App;
use crate::cache::issuers::Snapshot;
use crate::crypto::secret::Secret;
use crate::log;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::header_text;
use crate::model::refusal::Refusal;
use crate::model::session::Method as Door;
use crate::operations::refused_handoffs;
use crate::store::{self, in_transaction};
use crate::time::{Deadline, Timestamp};
use crate::web::body::given_up;
use crate::web::cookies::Cookie;
use crate::web::fields::{Fields, NotAForm};
use crate::web::layers::{Arrival, BodyIsLate, MAX_BODY};

/// How an arrival ends.
enum Received {
    /// A pending handoff: its id, and the handle for its cookie.
    Pending(String, Secret),
    /// Refused, for a reason that the person need not know.
    Refused(Refusal),
}

/// Any method on `/unified-login`; only a POST can be right.
pub async fn any(app: App, arrival: Arrival, request: Request) -> Response {
    let origin = request.headers().get(header::ORIGIN).map(|origin| bounded(origin.as_bytes()));
    // Before the assertion can be read, the 30 seconds run from the arrival.
    let deadline = Deadline::after(timeout(&app), arrival.now);
    if request.extensions().get::<BodyIsLate>().is_some() {
        return given_up(refuse(&app, Refusal::TimedOut, &arrival.visitor));
    }
    if app.clock_is_wrong() {
        return unavailable(&app, CLOCK_IS_WRONG.into());
    }
    let received = deadline.run(receive(&app, &arrival, request)).await;
    match received.unwrap_or(Ok(Received::Refused(Refusal::TimedOut))) {
        Ok(Received::Pending(id, handle)) => {
            log::sign_in(Door::Handoff.as_str(), "pending");
            let mut response = Redirect::to(&format!("/unified-login/complete?h={id}")).into_response();
            response.headers_mut().append(header::SET_COOKIE, Cookie::Handoff(id).set(&handle, &app.config));
            response
        }
        Ok(Received::Refused(refusal)) => {
            tracing::info!(origin = origin.as_deref().unwrap_or("absent"), "the refused handoff came from this origin");
            refuse(&app, refusal, &arrival.visitor)
        }
        Err(error) => unavailable(&app, error.to_string()),
    }
}

/// What a stranger sent, as much of it as is logged; whoever writes the log escapes it.
fn bounded(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(120).collect()
}

/// What a refused assertion says of itself, unproven, so that its sender can be told which one it was.
fn log_claims(text: &str) {
    let Ok(jws) = crate::crypto::jws::Unverified::parse(text, super::assertion::MAX_BYTES) else { return };
    let Ok(claims) = jws.claims() else { return };
    let shown =
        |value: Option<&serde_json::Value>| bounded(value.map(ToString::to_string).unwrap_or_default().as_bytes());
    let claim = |name: &str| shown(claims.get(name));
    tracing::info!(
        iss = claim("iss"),
        kid = shown(jws.header.get("kid")),
        aud = claim("aud"),
        jti = claim("jti"),
        iat = claim("iat"),
        exp = claim("exp"),
        "the refused assertion says of itself"
    );
}

/// The page, and the one line in the log.
pub(super) fn refuse(app: &App, refusal: Refusal, visitor: &Visitor) -> Response {
    log::sign_in(Door::Handoff.as_str(), app.metrics.handoff_refused(refusal).as_str());
    refused_handoffs::note(app, refusal.as_str(), visitor);
    tracing::warn!(reason = %refusal, address = %visitor.address, "a handoff was refused: {refusal}");
    refused_page(app, refusal, &visitor.reference)
}

async fn receive(app: &App, arrival: &Arrival, request: Request) -> Result<Received, store::Error> {
    let (parts, body) = request.into_parts();
    let mut snapshot = trust::snapshot(app, arrival.now).await?;
    let origin = match check_sender(&parts.method, &parts.uri, &parts.headers, &snapshot) {
        Ok(origin) => origin,
        Err(Refusal::OriginNotRegistered) => {
            // Registered a moment ago, perhaps.
            match trust::fresher(app, &snapshot, arrival.now).await? {
                Some(fresh) => snapshot = fresh,
                None => return Ok(Received::Refused(Refusal::OriginNotRegistered)),
            }
            match check_sender(&parts.method, &parts.uri, &parts.headers, &snapshot) {
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
    // Twice at most: a revision that changed between the verifier and the transaction is checked again, once.
    for tried in 0..2 {
        let assertion = match prove(app, &text, &origin, &mut snapshot, arrival).await? {
            Ok(assertion) => assertion,
            Err(rejected) => {
                log_claims(&text);
                return record_rejected(app, rejected, arrival).await;
            }
        };
        if tried == 0 {
            app.metrics.handoff_arrived(assertion.iat.until(arrival.now));
        }
        let limit = Deadline::at(assertion.deadline(arrival.now, timeout(app)), app.clock.now());
        match claim_in_time(app, assertion.clone(), arrival).await? {
            Claimed::Pending(id, handle) => return Ok(Received::Pending(id, handle)),
            Claimed::Refused(refusal) => {
                log_claims(&text);
                return Ok(Received::Refused(refusal));
            }
            Claimed::IssuerChanged => {
                let Some(fresh) = limit.run(trust::reload(app, app.clock.now())).await else {
                    log::spawn(settle::record_late_at_last(app.clone(), assertion, arrival.clone()));
                    return Ok(Received::Refused(Refusal::TimedOut));
                };
                snapshot = fresh?;
            }
        }
    }
    Ok(Received::Refused(Refusal::ChangedMeanwhile))
}

/// Origin and fetch metadata, before anything is read: none of this spends the assertion.
fn check_sender(method: &Method, uri: &Uri, headers: &HeaderMap, snapshot: &Snapshot) -> Result<String, Refusal> {
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
    let origin = header_text::ascii(origin).ok_or(Refusal::OriginNotRegistered)?;
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

fn verify_from(
    app: &App,
    text: &str,
    origin: &str,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Assertion, Rejected> {
    let verified = verify(text, snapshot, rules(app), now, &mut Trail::default());
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
