//! What an admin confirms about a user: an admin's lock, a deactivation, a reset of the password, the end of sessions, the
//! removal of a link. A Provider Admin types no password for it; of the own account the first three are another admin's.
//! A Therap Admin, who comes from outside, confirms what else there is to do too: removing a lock.

use std::marker::PhantomData;

use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::temporary::TemporaryPasswords;
use crate::app::App;
use crate::console::admins::UsersAdmin;
use crate::console::answers::{back, switched};
use crate::console::confirm::{Confirmation, Input, PathAction, Question, ends_of_user};
use crate::console::providers::confirm::reset_effects;
use crate::model::user::{Account, STRIKES};
use crate::model::words;
use crate::operations::admin_context::AdminContext;
use crate::operations::users::{self, Ended, Locks, Unlocked, Untied, check_reason};
use crate::store;
use crate::store::issuers::Tie;
use crate::store::sessions::Of;
use crate::time::Timestamp;
use crate::web::address::with_query;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::{UserId, checked};
use crate::web::notice::Notice;
use crate::web::session_list::{self, SessionView};

/// An act on a user, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An admin's lock.
    Lock,
    /// The lock that the query's `lock` names is removed.
    Unlock,
    /// The user cannot sign in, and all sessions end.
    Deactivate,
    /// A temporary password.
    ResetPassword,
    /// The session that the query's `session` names ends, or every one.
    EndSessions,
    /// The link to the issuer that the query's `issuer` names is removed.
    Untie,
}
words!(Action {
    Lock = "lock",
    Unlock = "unlock",
    Deactivate = "deactivate",
    ResetPassword = "reset-password",
    EndSessions = "end-sessions",
    Untie = "untie",
});

/// The query: which part of the user is meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Which {
    lock: String,
    session: String,
    issuer: String,
}

/// What of a user an act is about.
#[derive(Debug)]
enum Object {
    /// An admin's lock, with its reason.
    Lock(Option<String>),
    /// One of the two locks.
    Unlock(Locks),
    Deactivate,
    ResetPassword,
    /// Every session.
    Sessions,
    /// One.
    Session(Box<SessionView>),
    /// A link.
    Tie(Tie),
}

/// An act on a user of the admin's provider, about to be confirmed.
#[derive(Debug)]
pub struct OfUser<A> {
    user: Account,
    object: Object,
    admin: PhantomData<fn() -> A>,
}

impl<A: UsersAdmin> Confirmation for OfUser<A> {
    type Admin = A;
    type Named = (UserId, PathAction<Action>, Query<Which>);

    /// A lock may have a reason, in the field `reason`.
    async fn question(
        app: &App,
        now: Timestamp,
        admin: &A,
        (UserId(id), PathAction(act), Query(which)): Self::Named,
        typed: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let mut conn = app.db.read().await?;
        // Another provider's user is nobody (G15).
        let user = store::users::in_scope(&mut conn, admin.scope(), &id).await?.ok_or(PageError::NotFound)?;
        let nothing = |why| Ok(Err(back(&admin.list(), &id, why)));
        let reason = typed.take("reason");
        let checked_reason = check_reason(&reason);
        let object = match act {
            Action::Lock | Action::Deactivate | Action::ResetPassword if user.id == admin.session().user_id => {
                return nothing(Notice::OwnAccount);
            }
            Action::Lock if user.admin_locked => None,
            Action::Lock => Some(Object::Lock(checked_reason.clone().ok().flatten())),
            Action::Unlock => match which.lock.as_str() {
                "admin" => user.admin_locked.then_some(Object::Unlock(Locks::Admin)),
                "password" => (user.failures >= STRIKES).then_some(Object::Unlock(Locks::Password)),
                _ => return Err(PageError::BadForm("It does not say which lock is to go.")),
            },
            Action::Deactivate => user.active.then_some(Object::Deactivate),
            Action::ResetPassword => Some(Object::ResetPassword),
            Action::EndSessions if which.session.is_empty() => Some(Object::Sessions),
            Action::EndSessions => {
                let session = checked(&which.session).unwrap_or_default();
                let zone = &admin.session().time_zone;
                let found = session_list::of_user(&mut conn, &id, None, zone, now).await?;
                found.into_iter().find(|one| one.id == session).map(|one| Object::Session(Box::new(one)))
            }
            Action::Untie => {
                let ties = store::issuers::ties_of_user(&mut conn, &id).await?;
                ties.into_iter().find(|tie| tie.issuer == which.issuer).map(Object::Tie)
            }
        };
        let Some(object) = object else {
            return nothing(Notice::AlreadyDone);
        };
        let usable = store::sessions::count(&mut conn, Of::User(&id), now).await?;
        drop(conn);
        let its_page = format!("{}/{id}", admin.list());
        let mut question = about(app, &object, &user, ends_of_user(usable), reason, &its_page);
        if matches!(object, Object::Lock(_)) {
            question.check("The reason", checked_reason);
        }
        Ok(Ok((question, Self { user, object, admin: PhantomData })))
    }

    /// A temporary password is shown on the answer, this once.
    async fn carry_out(self, admin: &A, by: &AdminContext) -> Result<Response, PageError> {
        let Self { user, object, .. } = self;
        let (list, id, provider_id) = (&admin.list(), &user.id, admin.scope().provider_id());
        match object {
            Object::Lock(reason) => {
                switched(list, id, users::lock_because(by, provider_id, id, reason).await?, Notice::UserLocked)
            }
            Object::Unlock(locks) => match users::unlock(by, provider_id, id, locks).await? {
                Unlocked::Yes { .. } | Unlocked::WasNot => Ok(back(list, id, Notice::UserUnlocked)),
                Unlocked::Stale => Ok(back(list, id, Notice::ChangedSince)),
                Unlocked::NotFound => Err(PageError::NotFound),
            },
            Object::Deactivate => {
                switched(list, id, users::set_active(by, provider_id, id, false).await?, Notice::UserDeactivated)
            }
            Object::ResetPassword => {
                let (session, provider_code) = (admin.session(), user.provider_code.as_str());
                let passwords = TemporaryPasswords { app: &by.app, act: by, session, provider_id, provider_code };
                let reset = passwords.reset(&user, &format!("{list}/{id}")).await?;
                Ok(reset.unwrap_or_else(|why| back(list, id, why)))
            }
            Object::Sessions => match users::end_sessions(by, provider_id, id).await? {
                Ended::Yes(_) => Ok(back(list, id, Notice::UserSessionsEnded)),
                Ended::Stale => Ok(back(list, id, Notice::ChangedSince)),
                Ended::NotFound => Err(PageError::NotFound),
            },
            Object::Session(session) => {
                let ended = users::end_session(by, provider_id, id, &session.id).await?;
                switched(list, id, ended, Notice::SessionEnded)
            }
            Object::Tie(tie) => match users::untie(by, provider_id, id, Some(&tie.issuer)).await? {
                Untied::Yes(_) | Untied::WasNot | Untied::NoSuchIssuer => Ok(back(list, id, Notice::UserUntied)),
                Untied::Stale => Ok(back(list, id, Notice::ChangedSince)),
                Untied::NoSuchUser => Err(PageError::NotFound),
            },
        }
    }
}

/// What the page asks.
fn about(app: &App, object: &Object, user: &Account, ends: String, reason: String, its_page: &str) -> Question {
    let name = &user.name;
    let until = |what: &str| format!("The user cannot sign in, with a password or from Therap Services, until {what}.");
    let mut facts = vec![
        ("Name", name.clone()),
        ("Login Name", user.login_name.clone()),
        ("User Type", user.user_type.to_string()),
    ];
    let mut input = Input::Nothing;
    // What else must not have changed.
    let mut seen = format!("{}.{}", user.version(), user.password_version);
    let at = |act: Action| format!("{its_page}/{act}");
    let (title, heading, button, address, effects) = match object {
        Object::Lock(_) => {
            input = Input::Line {
                id: "reason",
                label: "Reason (optional)",
                hint: "Shown to the admins of your agency and kept in User Activity. At most 500 characters.",
                value: reason,
            };
            let effects = vec![ends, until("an admin unlocks the account")];
            ("Lock user", format!("Lock {name}?"), "Lock", at(Action::Lock), effects)
        }
        Object::Unlock(locks) => {
            let (lock, which, other) = match locks {
                Locks::Password => ("password", "password lock", user.admin_locked.then_some("lock by an admin")),
                Locks::Admin | Locks::Both => {
                    ("admin", "lock by an admin", (user.failures >= STRIKES).then_some("password lock"))
                }
            };
            let mut effects = vec![format!("Removes the {which}.")];
            effects
                .extend(other.map(|other| format!("The {other} stays: the user cannot sign in with a password yet.")));
            let address = with_query(&at(Action::Unlock), "lock", lock);
            ("Unlock user", format!("Remove the {which} of {name}?"), "Unlock", address, effects)
        }
        Object::Deactivate => {
            let kept = "The account and its activity are kept.".to_owned();
            let effects = vec![ends, until("the account is reactivated"), kept];
            ("Deactivate user", format!("Deactivate {name}?"), "Deactivate", at(Action::Deactivate), effects)
        }
        Object::ResetPassword => {
            let effects = [vec![ends], reset_effects(app, user)].concat();
            let heading = format!("Reset the password of {name}?");
            ("Reset password", heading, "Reset password", at(Action::ResetPassword), effects)
        }
        Object::Sessions => {
            let effects = vec![ends, "The user can sign in again.".to_owned()];
            (
                "End sessions",
                format!("End every session of {name}?"),
                "End every session",
                at(Action::EndSessions),
                effects,
            )
        }
        Object::Session(session) => {
            facts.extend([("Started", session.started.clone()), ("Browser", session.browser.clone())]);
            let effects = vec![
                "Ends this one session. The apps that it signed in to are told.".to_owned(),
                "The user can sign in again.".to_owned(),
            ];
            let address = with_query(&at(Action::EndSessions), "session", &session.id);
            ("End session", format!("End this session of {name}?"), "End session", address, effects)
        }
        Object::Tie(tie) => {
            facts.extend([("Therap Services ID", tie.sub.clone()), ("Issuer", tie.issuer.clone())]);
            seen = format!("{seen}.{}", tie.sub);
            let effects = vec![
                "Removes the link. This cannot be undone.".to_owned(),
                "Whichever account of Therap Services signs in as this user next is linked instead.".to_owned(),
                "Open sessions continue.".to_owned(),
            ];
            let address = with_query(&at(Action::Untie), "issuer", &tie.issuer);
            ("Unlink user", format!("Unlink {name} from Therap Services?"), "Unlink", address, effects)
        }
    };
    Question {
        title,
        heading,
        object: facts,
        effects,
        input,
        button,
        address,
        back: its_page.to_owned(),
        version: user.version(),
        seen,
        faults: FieldErrors::default(),
    }
}
