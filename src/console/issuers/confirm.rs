//! What an operator confirms about a trusted issuer (U13): switching it off and on, the end of its sessions, of its links.

use axum::http::HeaderMap;
use axum::response::Response;

use super::issuer::{LIST, find};
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::{back, switched};
use crate::console::confirm::{Input, PathAction, Question, counted, ends};
use crate::console::reauth::Sender;
use crate::model::issuer::TrustedIssuer;
use crate::model::words;
use crate::operations::admin_context::Edited;
use crate::operations::issuers;
use crate::store;
use crate::store::sessions::Of;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::Id;
use crate::web::layers::Arrival;
use crate::web::notice::Notice;

/// An act on an issuer, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is switched off.
    Disable,
    /// It is switched on again.
    Enable,
    /// All sessions end.
    EndSessions,
    /// All links to users are removed.
    Untie,
}
words!(Action { Disable = "disable", Enable = "enable", EndSessions = "end-sessions", Untie = "untie" });

/// `GET` of each act: what it would do.
///
/// # Errors
/// When there is no such issuer, or the database cannot be asked.
pub async fn ask(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    PathAction(act): PathAction<Action>,
) -> Result<Response, PageError> {
    Ok(match question(&app, arrival.now, act, &find(&app, &id).await?, false).await? {
        Ok(question) => question.for_therap_admin(&app, &admin.session),
        Err(why) => back(LIST, &id, why),
    })
}

/// `POST` of each act. An issuer's sessions live on when it is switched off, unless the field `end_sessions` says otherwise.
///
/// # Errors
/// When there is no such issuer, or the database fails.
pub async fn answer(
    app: App,
    arrival: Arrival,
    admin: TherapAdmin,
    Id(id): Id,
    PathAction(act): PathAction<Action>,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, PageError> {
    let issuer = find(&app, &id).await?;
    let end_sessions = fields.take("end_sessions") == "yes";
    let mut question = match question(&app, arrival.now, act, &issuer, end_sessions).await? {
        Ok(question) => question,
        Err(why) => return Ok(back(LIST, &id, why)),
    };
    let sender = Sender { app: &app, arrival: &arrival, admin: &admin, headers: &headers };
    let proof = match question.confirmed_by_therap_admin(&sender, &mut fields).await? {
        Ok(proof) => proof,
        Err(again) => return Ok(again),
    };
    Ok(proof.on(carry_out(&app, &arrival, &admin, act, &issuer, end_sessions).await))
}

async fn carry_out(
    app: &App,
    arrival: &Arrival,
    admin: &TherapAdmin,
    act: Action,
    issuer: &TrustedIssuer,
    end_sessions: bool,
) -> Result<Response, PageError> {
    let (by, id, name) = (admin.act(app, arrival).of(issuer.version()), &issuer.id, &issuer.issuer);
    match act {
        Action::Disable => switched(LIST, id, issuers::disable(&by, name, end_sessions).await?, Notice::IssuerDisabled),
        Action::Enable => switched(LIST, id, issuers::enable(&by, name).await?, Notice::IssuerEnabled),
        Action::EndSessions => switched(LIST, id, issuers::end_sessions(&by, name).await?, Notice::IssuerSessionsEnded),
        Action::Untie => match issuers::untie_all(&by, name).await? {
            Edited::Changed(Some(_)) => Ok(back(LIST, id, Notice::IssuerUntied)),
            Edited::Changed(None) => Err(PageError::NotFound),
            Edited::Stale => Ok(back(LIST, id, Notice::ChangedSince)),
        },
    }
}

/// What the page asks; or why there is nothing to ask.
async fn question(
    app: &App,
    now: Timestamp,
    act: Action,
    issuer: &TrustedIssuer,
    end_sessions: bool,
) -> Result<Result<Question, Notice>, PageError> {
    if (act == Action::Disable && !issuer.enabled) || (act == Action::Enable && issuer.enabled) {
        return Ok(Err(Notice::AlreadyDone));
    }
    let mut conn = app.db.read_much().await?;
    let usable = store::sessions::count(&mut conn, Of::Issuer(&issuer.id), now).await?;
    let ties = store::issuers::count_ties(&mut conn, &issuer.id).await?;
    drop(conn);
    let name = &issuer.display_name;
    let (title, heading, button, effects) = match act {
        Action::Disable => {
            let effects = vec!["No handoff from it is accepted until it is switched on again.".to_owned()];
            ("Switch off issuer", format!("Switch off {name}?"), "Switch off", effects)
        }
        Action::Enable => {
            let effects =
                vec!["Its handoffs open sessions of every provider with Unified Login on, immediately.".to_owned()];
            ("Switch on issuer", format!("Switch on {name}?"), "Switch on", effects)
        }
        Action::EndSessions => {
            let heading = format!("End all sessions that {name} opened?");
            ("End sessions", heading, "End all sessions", vec![ends(usable)])
        }
        Action::Untie => {
            let effects = vec![
                format!("Removes the links of {}. This cannot be undone.", counted(ties, "user")),
                "The next handoff of each user makes a new link. Open sessions continue.".to_owned(),
            ];
            ("Unlink all users", format!("Unlink all users from {name}?"), "Unlink all users", effects)
        }
    };
    let too = format!(
        "Also end the {} that it opened, of {}",
        counted(usable.sessions, "session"),
        counted(usable.users, "user")
    );
    let input = match act {
        Action::Disable => Input::Tick { id: "end-too", name: "end_sessions", label: too, ticked: end_sessions },
        Action::Enable | Action::EndSessions | Action::Untie => Input::Nothing,
    };
    Ok(Ok(Question {
        title,
        heading,
        object: vec![("Name", name.clone()), ("Issuer", issuer.issuer.clone())],
        effects,
        input,
        button,
        address: format!("{LIST}/{}/{act}", issuer.id),
        back: format!("{LIST}/{}", issuer.id),
        seen: issuer.version().to_string(),
        faults: FieldErrors::default(),
    }))
}
