//! What a Provider Admin confirms about a user: an admin's lock, a deactivation, a reset of the password. No password is
//! asked for; of the own account it is another admin's.

use axum::response::Response;

use super::temporary::TemporaryPasswords;
use super::user::LIST;
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::answers::{back, switched};
use crate::console::confirm::{Input, PathAction, Question, ends_of_user};
use crate::console::providers::confirm::reset_effects;
use crate::model::user::Account;
use crate::model::words;
use crate::operations::admin_context::Version;
use crate::operations::users::{self, check_reason};
use crate::store;
use crate::store::sessions::Of;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;

/// An act on a user, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An admin's lock.
    Lock,
    /// The user cannot sign in, and all sessions end.
    Deactivate,
    /// A temporary password.
    ResetPassword,
}
words!(Action { Lock = "lock", Deactivate = "deactivate", ResetPassword = "reset-password" });

/// The user, as long as it is one of the admin's own provider (G15).
async fn find(app: &App, admin: &ProviderAdmin, id: &str) -> Result<Account, PageError> {
    let found = store::users::in_scope(&mut app.db.read().await?, &admin.scope, id).await?;
    found.ok_or(PageError::NotFound)
}

/// `GET` of each act: what it would do.
///
/// # Errors
/// When there is no such user here, or the database cannot be asked.
pub async fn ask(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    PathAction(act): PathAction<Action>,
) -> Result<Response, PageError> {
    let user = find(&app, &admin, &id).await?;
    Ok(match question(&app, arrival.now, &admin, act, &user, String::new()).await? {
        Ok((question, _)) => question.for_provider_admin(&app, &admin.session),
        Err(why) => back(LIST, &id, why),
    })
}

/// `POST` of each act. A lock may have a reason, in the field `reason`; a temporary password is shown on the answer, this
/// once.
///
/// # Errors
/// When there is no such user here, or the database fails.
pub async fn answer(
    app: App,
    arrival: Arrival,
    admin: ProviderAdmin,
    Id(id): Id,
    PathAction(act): PathAction<Action>,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let (user, typed) = (find(&app, &admin, &id).await?, fields.take("reason"));
    let (mut question, version) = match question(&app, arrival.now, &admin, act, &user, typed.clone()).await? {
        Ok(asked) => asked,
        Err(why) => return Ok(back(LIST, &id, why)),
    };
    let reason = question.check("The reason", check_reason(&typed)).flatten();
    if let Some(again) = question.refused_to_provider_admin(&app, &admin.session, &mut fields) {
        return Ok(again);
    }
    let (by, provider_id) = (admin.act(&app, &arrival).of(version), admin.scope.provider_id());
    match act {
        Action::Lock => {
            switched(LIST, &id, users::lock_because(&by, provider_id, &id, reason).await?, Notice::UserLocked)
        }
        Action::Deactivate => {
            switched(LIST, &id, users::set_active(&by, provider_id, &id, false).await?, Notice::UserDeactivated)
        }
        Action::ResetPassword => {
            let provider_code = admin.session.provider_code.as_str();
            let passwords =
                TemporaryPasswords { app: &app, act: &by, session: &admin.session, provider_id, provider_code };
            let reset = passwords.reset(&user, &format!("{LIST}/{id}")).await?;
            Ok(reset.unwrap_or_else(|why| back(LIST, &id, why)))
        }
    }
}

/// What the page asks, and of which version; or why there is nothing to ask.
async fn question(
    app: &App,
    now: Timestamp,
    admin: &ProviderAdmin,
    act: Action,
    user: &Account,
    reason: String,
) -> Result<Result<(Question, Version), Notice>, PageError> {
    if user.id == admin.session.user_id {
        return Ok(Err(Notice::OwnAccount));
    }
    if (act == Action::Lock && user.admin_locked) || (act == Action::Deactivate && !user.active) {
        return Ok(Err(Notice::AlreadyDone));
    }
    let mut conn = app.db.read().await?;
    let version = users::version(&mut conn, user).await?;
    let usable = store::sessions::count(&mut conn, Of::User(&user.id), now).await?;
    drop(conn);
    let mut effects = vec![ends_of_user(usable)];
    let until = |what: &str| format!("The user cannot sign in, with a password or from Therap Services, until {what}.");
    let (title, verb, button) = match act {
        Action::Lock => {
            effects.push(until("an admin unlocks the account"));
            ("Lock user", "Lock", "Lock")
        }
        Action::Deactivate => {
            effects.push(until("the account is reactivated"));
            effects.push("The account and its activity are kept.".to_owned());
            ("Deactivate user", "Deactivate", "Deactivate")
        }
        Action::ResetPassword => {
            effects.extend(reset_effects(app, user));
            ("Reset password", "Reset the password of", "Reset password")
        }
    };
    let input = match act {
        Action::Lock => Input::Line {
            id: "reason",
            label: "Reason (optional)",
            hint: "Shown to the admins of your agency and kept in User Activity. At most 500 characters.",
            value: reason,
        },
        Action::Deactivate | Action::ResetPassword => Input::Nothing,
    };
    let question = Question {
        title,
        heading: format!("{verb} {}?", user.name),
        object: vec![
            ("Name", user.name.clone()),
            ("Login Name", user.login_name.clone()),
            ("User Type", user.user_type.to_string()),
        ],
        effects,
        input,
        button,
        address: format!("{LIST}/{}/{act}", user.id),
        back: format!("{LIST}/{}", user.id),
        seen: format!("{version}.{}", user.password_version),
        faults: FieldErrors::default(),
    };
    Ok(Ok((question, version)))
}
