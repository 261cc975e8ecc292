//! What an operator confirms about a trusted issuer (U13): switching it off and on, the end of its sessions, of its links.

use axum::response::Response;

use super::issuer::{LIST, find};
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::{back, switched};
use crate::console::confirm::{Confirmation, Input, PathAction, Question, counted, ends};
use crate::model::issuer::TrustedIssuer;
use crate::model::words;
use crate::operations::admin_context::{AdminContext, Edited};
use crate::operations::issuers;
use crate::store;
use crate::store::sessions::Of;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::Id;
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

/// An act on an issuer, about to be confirmed.
#[derive(Debug)]
pub struct OfIssuer {
    act: Action,
    issuer: TrustedIssuer,
    /// Its sessions end too when it is switched off.
    end_sessions: bool,
}

impl Confirmation for OfIssuer {
    type Admin = TherapAdmin;
    type Named = (Id, PathAction<Action>);

    async fn question(
        app: &App,
        now: Timestamp,
        _: &TherapAdmin,
        (Id(id), PathAction(act)): Self::Named,
        typed: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let (issuer, end_sessions) = (find(app, &id).await?, typed.take("end_sessions") == "yes");
        Ok(match question(app, now, act, &issuer, end_sessions).await? {
            Ok(question) => Ok((question, Self { act, issuer, end_sessions })),
            Err(why) => Err(back(LIST, &id, why)),
        })
    }

    async fn carry_out(self, _: &TherapAdmin, by: &AdminContext) -> Result<Response, PageError> {
        let (id, name, end_sessions) = (&self.issuer.id, &self.issuer.issuer, self.end_sessions);
        match self.act {
            Action::Disable => {
                switched(LIST, id, issuers::disable(by, name, end_sessions).await?, Notice::IssuerDisabled)
            }
            Action::Enable => switched(LIST, id, issuers::enable(by, name).await?, Notice::IssuerEnabled),
            Action::EndSessions => {
                switched(LIST, id, issuers::end_sessions(by, name).await?, Notice::IssuerSessionsEnded)
            }
            Action::Untie => match issuers::untie_all(by, name).await? {
                Edited::Changed(Some(_)) => Ok(back(LIST, id, Notice::IssuerUntied)),
                Edited::Changed(None) => Err(PageError::NotFound),
                Edited::Stale => Ok(back(LIST, id, Notice::ChangedSince)),
            },
        }
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
        version: issuer.version(),
        seen: issuer.version().to_string(),
        faults: FieldErrors::default(),
    }))
}
