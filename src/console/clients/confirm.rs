//! What an operator confirms about a client: its end, switching it off and on, and a new secret.

use std::time::Duration;

use axum::response::Response;
use zeroize::Zeroizing;

use super::client::{LIST, find};
use super::secret;
use crate::app::App;
use crate::console::admins::TherapAdmin;
use crate::console::answers::{back, switched};
use crate::console::confirm::{Confirmation, Input, PathAction, Question, counted};
use crate::model::client::Client;
use crate::model::words;
use crate::operations::admin_context::AdminContext;
use crate::operations::clients::{self, Deleted, Rotated};
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::{FieldErrors, choices};
use crate::web::ids::Id;
use crate::web::notice::Notice;

/// An act on a client, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It and all that is its are removed.
    Delete,
    /// It is switched off.
    Disable,
    /// It is switched on again.
    Enable,
    /// It gets another secret.
    RotateSecret,
}
words!(Action { Delete = "delete", Disable = "disable", Enable = "enable", RotateSecret = "rotate-secret" });

/// For how long the secrets before a new one may go on working.
const OVERLAPS: [(&str, &str); 6] = [
    ("0", "Not at all: they stop working now"),
    ("1", "1 hour"),
    ("24", "1 day"),
    ("168", "7 days"),
    ("720", "30 days"),
    ("2160", "90 days"),
];
const USUAL_OVERLAP: &str = "24";

/// An act on a client, about to be confirmed.
#[derive(Debug)]
pub struct OfClient {
    act: Action,
    client: Client,
    /// The newest secret that it was asked of.
    newest: String,
    /// For how long older secrets go on working.
    overlap: Duration,
}

impl Confirmation for OfClient {
    type Admin = TherapAdmin;
    type Named = (Id, PathAction<Action>);

    async fn question(
        app: &App,
        now: Timestamp,
        _: &TherapAdmin,
        (Id(id), PathAction(act)): Self::Named,
        typed: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let (client, keep_old) = (find(app, &id).await?, typed.take("keep_old"));
        let hours = OVERLAPS.iter().find(|(hours, _)| *hours == keep_old).and_then(|(hours, _)| hours.parse().ok());
        let keep_old = if keep_old.is_empty() { USUAL_OVERLAP } else { &keep_old };
        let (mut question, newest) = match question(app, now, act, &client, keep_old).await? {
            Ok(asked) => asked,
            Err(why) => return Ok(Err(back(LIST, &id, why))),
        };
        if act == Action::RotateSecret && hours.is_none() {
            question.faults.add("keep-old", "Please choose one of the list.");
        }
        let overlap = Duration::from_hours(hours.unwrap_or_default());
        Ok(Ok((question, Self { act, client, newest, overlap })))
    }

    /// A new secret is shown on the answer, this once.
    async fn carry_out(self, admin: &TherapAdmin, by: &AdminContext) -> Result<Response, PageError> {
        let Self { act, client, newest, overlap } = self;
        let (id, name) = (&client.id, &client.client_id);
        match act {
            Action::Disable => switched(LIST, id, clients::set_enabled(by, name, false).await?, Notice::ClientDisabled),
            Action::Enable => switched(LIST, id, clients::set_enabled(by, name, true).await?, Notice::ClientEnabled),
            Action::Delete => match clients::delete(by, name, Some(client.revision)).await? {
                Deleted::Stale => Ok(back(LIST, id, Notice::ClientMovedOn)),
                Deleted::Done => Ok(Notice::ClientDeleted.at(LIST)),
                Deleted::NotFound => Err(PageError::NotFound),
            },
            Action::RotateSecret => {
                let text = Zeroizing::new(clients::make_secret(&by.app));
                match clients::rotate_secret(by, name, &text, overlap, Some(newest)).await? {
                    Rotated::Done { before } => {
                        let until = (before > 0).then(|| by.now.after(overlap));
                        Ok(secret::show(&by.app, admin, "The client has a new secret", &client, text, until))
                    }
                    Rotated::Before => Ok(back(LIST, id, Notice::SecretMovedOn)),
                    Rotated::NoSecret => Ok(back(LIST, id, Notice::NoSecret)),
                    Rotated::NotFound => Err(PageError::NotFound),
                }
            }
        }
    }
}

/// What the page asks, and the newest secret that it was asked of; or why there is nothing to ask.
async fn question(
    app: &App,
    now: Timestamp,
    act: Action,
    client: &Client,
    keep_old: &str,
) -> Result<Result<(Question, String), Notice>, PageError> {
    match act {
        Action::Disable if !client.enabled => return Ok(Err(Notice::AlreadyDone)),
        Action::Enable if client.enabled => return Ok(Err(Notice::AlreadyDone)),
        Action::RotateSecret if !client.metadata.has_secret() => return Ok(Err(Notice::NoSecret)),
        Action::Delete | Action::Disable | Action::Enable | Action::RotateSecret => {}
    }
    let mut conn = app.db.read().await?;
    let holdings = store::clients::holdings(&mut conn, &client.id, now).await?;
    let secrets = store::clients::secrets(&mut conn, &client.id).await?;
    let undelivered = store::statistics::failing_by_client(&mut conn, Some(&client.id)).await?.pop();
    drop(conn);
    let working = secrets.iter().filter(|secret| secret.expires_at.is_none_or(|at| at > now.0)).count();
    let working = i64::try_from(working).unwrap_or(i64::MAX);
    let tokens = match holdings.families {
        0 => "It holds no tokens of users now.".to_owned(),
        families => format!("Revokes the tokens of {}.", counted(families, "sign-in")),
    };
    let name = client.name();
    let newest = clients::newest(&secrets);
    let version = client.version();
    let (title, heading, button, effects) = match act {
        Action::Delete => {
            let waiting = undelivered.as_ref().map_or(0, |row| row.waiting);
            let mut effects =
                vec![format!("Deletes the client and {}. This cannot be undone.", counted(working, "secret"))];
            if holdings.consents > 0 {
                effects.push(format!("Deletes the consents of {}.", counted(holdings.consents, "user")));
            }
            effects.push(tokens);
            if waiting > 0 {
                effects.push(format!("Drops {}.", counted(waiting, "undelivered logout")));
            }
            ("Delete client", format!("Delete the client {name}?"), "Delete client", effects)
        }
        Action::Disable => {
            let until = "Nobody can sign in with it until it is switched on again.".to_owned();
            ("Switch off client", format!("Switch off the client {name}?"), "Switch off", vec![tokens, until])
        }
        Action::Enable => {
            let effects = vec!["It can sign people in and get tokens again.".to_owned()];
            ("Switch on client", format!("Switch on the client {name}?"), "Switch on", effects)
        }
        Action::RotateSecret => {
            let effects = vec![
                "Creates a new secret, which is shown once, on the next page.".to_owned(),
                format!(
                    "{} in use now.",
                    if working == 1 { "1 secret is".into() } else { format!("{working} secrets are") }
                ),
                "If the old secrets stop working now, the access tokens obtained with them are revoked too.".to_owned(),
            ];
            ("Rotate secret", format!("Rotate the secret of {name}?"), "Rotate secret", effects)
        }
    };
    let input = match act {
        Action::RotateSecret => Input::One {
            id: "keep-old",
            name: "keep_old",
            label: "Keep old secrets valid for",
            choices: choices(&OVERLAPS, keep_old),
        },
        Action::Delete | Action::Disable | Action::Enable => Input::Nothing,
    };
    let seen = if act == Action::RotateSecret { format!("{version}.{newest}") } else { version.to_string() };
    let question = Question {
        title,
        heading,
        object: vec![("Name", name.to_owned()), ("client_id", client.client_id.clone())],
        effects,
        input,
        button,
        address: format!("{LIST}/{}/{act}", client.id),
        back: format!("{LIST}/{}", client.id),
        version,
        seen,
        faults: FieldErrors::default(),
    };
    Ok(Ok((question, newest)))
}
