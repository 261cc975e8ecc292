//! What an operator confirms about an agency: keeping it out, the end of its sessions, Unified Login off, and a new password
//! for one of its admins.

use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::provider::LIST;
use crate::app::App;
use crate::console::admins::{TherapAdmin, agency};
use crate::console::answers::{back, switched};
use crate::console::confirm::{Confirmation, Input, PathAction, Question, counted, ends, ends_of_user};
use crate::console::users::temporary::TemporaryPasswords;
use crate::model::provider::{Provider, UnifiedLogin};
use crate::model::user::{Account, STRIKES, UserType};
use crate::model::words;
use crate::operations::admin_context::{AdminContext, ValidationError};
use crate::operations::providers;
use crate::operations::unified_login::{self, Transition, check_note};
use crate::store;
use crate::store::sessions::Of;
use crate::time::Timestamp;
use crate::web::address::with_query;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::{Id, checked};
use crate::web::notice::Notice;

/// An act on an agency, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nobody of it gets in, and all sessions end.
    Deactivate,
    /// All sessions end.
    EndSessions,
    /// Unified Login is switched off.
    SwitchOff,
}
words!(Action { Deactivate = "deactivate", EndSessions = "end-sessions", SwitchOff = "switch-off" });

/// An act on an agency, about to be confirmed.
#[derive(Debug)]
pub struct OfProvider {
    act: Action,
    id: String,
    /// Why Unified Login is switched off, as it was typed.
    note: String,
}

impl Confirmation for OfProvider {
    type Admin = TherapAdmin;
    type Named = (Id, PathAction<Action>);

    async fn question(
        app: &App,
        now: Timestamp,
        _: &TherapAdmin,
        (Id(id), PathAction(act)): Self::Named,
        typed: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let (provider, note) = (agency(app, &id).await?, typed.take("note"));
        let mut question = match question(app, now, act, &provider, note.clone()).await? {
            Ok(question) => question,
            Err(why) => return Ok(Err(back(LIST, &id, why))),
        };
        question.check("The reason", check_note("note", &note));
        Ok(Ok((question, Self { act, id, note })))
    }

    async fn carry_out(self, _: &TherapAdmin, by: &AdminContext) -> Result<Response, PageError> {
        let Self { act, id, note } = self;
        match act {
            Action::Deactivate => {
                switched(LIST, &id, providers::set_active(by, &id, false).await?, Notice::ProviderDeactivated)
            }
            Action::EndSessions => {
                switched(LIST, &id, providers::end_sessions(by, &id).await?, Notice::ProviderSessionsEnded)
            }
            Action::SwitchOff => match unified_login::switch_off(by, &id, &note).await? {
                Transition::Yes => Ok(back(LIST, &id, Notice::UnifiedLoginOff)),
                Transition::Stale => Ok(back(LIST, &id, Notice::UnifiedLoginMovedOn)),
                // What was typed was checked above.
                Transition::NotFound | Transition::Invalid(ValidationError { .. }) => Err(PageError::NotFound),
            },
        }
    }
}

/// What the page asks; or why there is nothing to ask.
async fn question(
    app: &App,
    now: Timestamp,
    act: Action,
    provider: &Provider,
    note: String,
) -> Result<Result<Question, Notice>, PageError> {
    match act {
        Action::Deactivate if !provider.active => return Ok(Err(Notice::AlreadyDone)),
        Action::SwitchOff if provider.unified_login != UnifiedLogin::On => {
            return Ok(Err(Notice::UnifiedLoginWasOff));
        }
        Action::Deactivate | Action::EndSessions | Action::SwitchOff => {}
    }
    let mut conn = app.db.read_much().await?;
    let usable = store::sessions::count(&mut conn, Of::Provider(&provider.id), now).await?;
    drop(conn);
    let name = &provider.name;
    let (title, heading, button, effects) = match act {
        Action::Deactivate => {
            let effects = vec![
                ends(usable),
                "Its users cannot sign in, with a password or from Therap Services, until it is activated again."
                    .to_owned(),
                "Their refresh tokens stop working.".to_owned(),
            ];
            ("Deactivate provider", format!("Deactivate {name}?"), "Deactivate", effects)
        }
        Action::EndSessions => {
            let effects = vec![ends(usable), "Its users can sign in again.".to_owned()];
            ("End sessions", format!("End all sessions of {name}?"), "End all sessions", effects)
        }
        Action::SwitchOff => {
            let continuing = match usable.sessions {
                0 => "No sessions are open now.".to_owned(),
                number => {
                    let (sessions, users) = (counted(number, "open session"), counted(usable.users, "user"));
                    format!("{sessions} of {users} will continue.")
                }
            };
            let effects = vec![
                "Its users can no longer come from Therap Services; they sign in with their passwords.".to_owned(),
                continuing,
            ];
            ("Switch off Unified Login", format!("Switch off Unified Login for {name}?"), "Switch off", effects)
        }
    };
    let input = match act {
        Action::SwitchOff => Input::Lines {
            id: "note",
            label: "Reason (optional)",
            hint: "Shown to the provider. At most 500 characters.",
            value: note,
        },
        Action::Deactivate | Action::EndSessions => Input::Nothing,
    };
    let version = provider.version();
    Ok(Ok(Question {
        title,
        heading,
        object: vec![("Name", name.clone()), ("Provider Code", provider.code.clone())],
        effects,
        input,
        button,
        address: format!("{LIST}/{}/{act}", provider.id),
        back: format!("{LIST}/{}", provider.id),
        version,
        seen: version.to_string(),
        faults: FieldErrors::default(),
    }))
}

/// The query: whose password.
#[derive(Debug, Default, Deserialize)]
pub struct Whose {
    #[serde(default)]
    user: String,
}

/// The Provider Admin of an agency whom a query names.
async fn its_admin(app: &App, provider: &Provider, whose: &Whose) -> Result<Account, PageError> {
    let Some(user_id) = checked(&whose.user) else {
        return Err(PageError::BadForm("It does not say whose password is to be reset."));
    };
    let found = store::users::by_id(&mut app.db.read().await?, &user_id).await?;
    found
        .filter(|user| user.provider_id == provider.id && user.user_type == UserType::ProviderAdmin)
        .ok_or(PageError::NotFound)
}

/// A new password for one of an agency's Provider Admins, whom the query's `user` names (L6), about to be confirmed.
#[derive(Debug)]
pub struct ResetOfAdmin {
    provider: Provider,
    user: Account,
}

impl Confirmation for ResetOfAdmin {
    type Admin = TherapAdmin;
    type Named = (Id, Query<Whose>);

    async fn question(
        app: &App,
        now: Timestamp,
        _: &TherapAdmin,
        (Id(id), Query(whose)): Self::Named,
        _: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let provider = agency(app, &id).await?;
        let user = its_admin(app, &provider, &whose).await?;
        Ok(Ok((reset_question(app, now, &provider, &user).await?, Self { provider, user })))
    }

    /// The temporary password is shown on the answer, this once.
    async fn carry_out(self, admin: &TherapAdmin, by: &AdminContext) -> Result<Response, PageError> {
        let Self { provider, user } = self;
        let (provider_id, provider_code) = (provider.id.as_str(), provider.code.as_str());
        let passwords =
            TemporaryPasswords { app: &by.app, act: by, session: &admin.session, provider_id, provider_code };
        let reset = passwords.reset(&user, &format!("{LIST}/{}", provider.id)).await?;
        Ok(reset.unwrap_or_else(|why| back(LIST, &provider.id, why)))
    }
}

async fn reset_question(app: &App, now: Timestamp, provider: &Provider, user: &Account) -> Result<Question, PageError> {
    let usable = store::sessions::count(&mut app.db.read().await?, Of::User(&user.id), now).await?;
    let address = with_query(&format!("{LIST}/{}/reset-password", provider.id), "user", &user.id);
    let object = vec![
        ("Name", user.name.clone()),
        ("Login Name", user.login_name.clone()),
        ("Provider", format!("{} ({})", provider.name, provider.code)),
    ];
    let mut effects = vec![ends_of_user(usable)];
    effects.extend(reset_effects(app, user));
    Ok(Question {
        title: "Reset password",
        heading: format!("Reset the password of {}?", user.name),
        object,
        effects,
        input: Input::Nothing,
        button: "Reset password",
        address,
        back: format!("{LIST}/{}", provider.id),
        version: user.version(),
        seen: format!("{}.{}", user.version(), user.password_version),
        faults: FieldErrors::default(),
    })
}

/// What a reset does beside ending sessions (L7).
pub(in crate::console) fn reset_effects(app: &App, user: &Account) -> Vec<String> {
    let days = counted(app.config.password.temporary_days.into(), "day");
    let mut effects =
        vec![format!("Creates a temporary password, which is shown once, on the next page, and works for {days}.")];
    if user.failures >= STRIKES {
        effects.push("Removes the password lock.".to_owned());
    }
    if user.admin_locked {
        effects.push("The account stays locked by an admin.".to_owned());
    }
    effects
}
