//! `GET` and `POST /password/change`: a new password at will, giving the current one (L8).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use zeroize::Zeroizing;

use super::update_password::{SAME_AS_CURRENT, UpdatePage, busy, check, throttled};
use crate::app::App;
use crate::crypto::secret::Secret;
use crate::log;
use crate::model::activity::{Event, Kind, Outcome};
use crate::model::password_rules;
use crate::model::session::{EndReason, Session};
use crate::model::user::Account;
use crate::operations::passwords::mail;
use crate::operations::sign_in::check_password::{Attempt, Checked, Proven, Settled, Typist, check_password};
use crate::store::{self, in_transaction};
use crate::web::cookies::Cookie;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};
use crate::web::session::SignedIn;
use crate::web::sign_in_words::LOCKED;

const PATH: &str = "/password/change";

/// `GET /password/change`
pub async fn get(app: App, signed_in: SignedIn) -> Response {
    respond(StatusCode::OK, Shape::Entrance, &blank(&app, &signed_in.session))
}

/// `GET /.well-known/change-password` (W3C, *A Well-Known URL for Changing Passwords*).
pub async fn well_known() -> Redirect {
    Redirect::to(PATH)
}

/// `POST /password/change`
///
/// # Errors
/// When the database fails.
pub async fn post(app: App, arrival: Arrival, signed_in: SignedIn, mut fields: Fields) -> Result<Response, PageError> {
    let session = signed_in.session;
    let mut page = blank(&app, &session);
    let found = store::users::by_id(&mut app.db.read().await?, &session.user_id).await?;
    let account = found.ok_or(PageError::NotFound)?;
    let current = fields.take_secret("current_password");
    if current.is_empty() {
        page.current_errors.push("Please enter your current password.".into());
    }
    let new = check(&mut fields, &mut page);
    // What was typed is compared, never the stored hash: whoever only holds the session learns nothing from it.
    if new.is_some() && new == password_rules::prepare(&current) {
        page.new_errors.push(SAME_AS_CURRENT.into());
    }
    let Some(new) = new.filter(|_| page.is_clean()) else {
        return Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page));
    };
    if let Err(seconds) = app.throttle.take(arrival.ip, arrival.now).await {
        return Ok(throttled(page, seconds));
    }
    match change(&app, &session, &account, current, new, &arrival).await? {
        Changed::Done(secret) => {
            let mut response = Notice::PasswordChanged.at("/sessions");
            response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&secret, &app.config));
            Ok(response)
        }
        Changed::SessionOver => Ok(Notice::ThreeWrongPasswords.at("/login")),
        Changed::SignedOut => Ok(Redirect::to("/login").into_response()),
        Changed::WrongCurrent => {
            page.current_errors.push("The current password is incorrect.".into());
            Ok(respond(StatusCode::UNPROCESSABLE_ENTITY, Shape::Entrance, &page))
        }
        Changed::Locked => {
            page.current_errors.push(LOCKED.into());
            Ok(respond(StatusCode::FORBIDDEN, Shape::Entrance, &page))
        }
        Changed::Busy => Ok(busy(page)),
    }
}

fn blank(app: &App, session: &Session) -> UpdatePage {
    UpdatePage {
        page: Page::new(app, "Change Password"),
        action: PATH.into(),
        heading: "Change Password",
        intro: "Your other sessions end when the password changes. This one stays.",
        login_name: session.login_name.clone(),
        ask_current: true,
        by_link: false,
        current_errors: Vec::new(),
        new_errors: Vec::new(),
        confirm_errors: Vec::new(),
    }
}

enum Changed {
    /// The session has this secret now (U3).
    Done(Secret),
    WrongCurrent,
    Locked,
    /// Three were wrong.
    SessionOver,
    /// Somebody logged out meanwhile: nothing was changed.
    SignedOut,
    Busy,
}

/// One task, as a sign-in is: a wrong current password counts against this session (G4, G35).
async fn change(
    app: &App,
    session: &Session,
    account: &Account,
    current: Zeroizing<String>,
    new: Zeroizing<String>,
    arrival: &Arrival,
) -> Result<Changed, store::Error> {
    let attempt = Attempt {
        provider_code: account.provider_code.clone(),
        login_name: account.login_name.clone(),
        password: current,
        purpose: Kind::PasswordChanged,
        typist: Typist::SignedIn(session.clone()),
        visitor: arrival.visitor.clone(),
        deadline: app.answer_deadline(arrival.now),
    };
    let (app, session) = (app.clone(), session.clone());
    let task = log::spawn(async move { decide(&app, &session, &attempt, new).await });
    match task.await.map_err(|_| store::Error::TaskDied)? {
        Err(store::Error::Late | store::Error::Stalled(_)) => Ok(Changed::Busy),
        other => other,
    }
}

async fn decide(
    app: &App,
    session: &Session,
    attempt: &Attempt,
    new: Zeroizing<String>,
) -> Result<Changed, store::Error> {
    let proven = match check_password(app, attempt).await? {
        Checked::Right(proven) => proven,
        Checked::Wrong => return Ok(Changed::WrongCurrent),
        Checked::Locked => return Ok(Changed::Locked),
        Checked::SessionOver => return Ok(Changed::SessionOver),
        Checked::Busy => return Ok(Changed::Busy),
    };
    let Ok(hash) = app.hashes.hash(&proven.turn, new).await else {
        proven.give_back(app).await?;
        return Ok(Changed::Busy);
    };
    write(app, session, &proven, hash, attempt).await
}

async fn write(
    app: &App,
    session: &Session,
    proven: &Proven,
    hash: String,
    attempt: &Attempt,
) -> Result<Changed, store::Error> {
    let (db, now) = (&app.db, app.clock.now());
    let (facts, account) = (proven.facts(), proven.account.clone());
    let (session_id, sid) = (session.id.clone(), session.sid.clone());
    let secret = Secret::random(&app.random);
    let secret_hash = secret.digest();
    let event = Event::new(Kind::PasswordChanged, Outcome::Success, "user", &attempt.visitor, now, &app.random)
        .about(&account)
        .of_session(&session_id);
    let written = in_transaction!(
        db,
        attempt.deadline,
        [app, facts, account, session_id, sid, hash, event, secret_hash],
        |tx| {
            store::users::lock_row(tx, &account.id).await?;
            Ok(match Proven::settle(&facts, tx, now).await? {
                Settled::Locked(_) => Written::Locked,
                Settled::SignedOut => Written::SignedOut,
                Settled::Lapsed | Settled::Changed => Written::Busy,
                Settled::Good if !store::sessions::renew(tx, &session_id, &secret_hash, now).await? => {
                    Written::SignedOut
                }
                Settled::Good if !store::users::set_password(tx, &account, &hash).await? => Written::Busy,
                Settled::Good => {
                    store::sessions::end_all_but(tx, &account.id, &session_id, EndReason::PasswordChanged, now).await?;
                    store::tokens::families::revoke_of_others(tx, &account.id, &sid, "password_changed", now).await?;
                    store::activity::record(tx, &event).await?;
                    mail::notify(tx, &app, &account, mail::Notice::Changed, now).await?;
                    Written::Done
                }
            })
        }
    )?;
    Ok(match written {
        Written::Done => Changed::Done(secret),
        Written::Locked => Changed::Locked,
        Written::SignedOut => Changed::SignedOut,
        Written::Busy => Changed::Busy,
    })
}

/// What the transaction did.
enum Written {
    Done,
    Locked,
    SignedOut,
    Busy,
}
