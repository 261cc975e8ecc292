//! `/operator/requests/{id}/approve`: Unified Login for a provider that asked for it hands out trust, and is confirmed (G34).

use axum::response::Response;

use super::requests::PATH;
use crate::app::App;
use crate::console::admins::{TherapAdmin, agency};
use crate::console::confirm::{Confirmation, Input, Question, counted};
use crate::model::provider::UnifiedLogin;
use crate::operations::admin_context::AdminContext;
use crate::operations::unified_login::{self, Decision, Transition, check_note};
use crate::store;
use crate::time::Timestamp;
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::Id;
use crate::web::notice::Notice;

/// A request that is about to be approved.
#[derive(Debug)]
pub struct Approval {
    provider_id: String,
    /// The step that was read; none when a seed asked.
    step: Option<String>,
    /// What is written to it.
    reason: String,
}

impl Confirmation for Approval {
    type Admin = TherapAdmin;
    type Named = Id;

    /// The provider reads what the field `reason` says.
    async fn question(
        app: &App,
        _: Timestamp,
        admin: &TherapAdmin,
        Id(id): Id,
        typed: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let provider = agency(app, &id).await?;
        if provider.unified_login != UnifiedLogin::Requested {
            return Ok(Err(Notice::RequestMovedOn.at(PATH)));
        }
        let mut conn = app.db.read().await?;
        let step = store::unified_login::of_provider(&mut conn, &id, 1).await?.pop();
        let users = store::users::count_active(&mut conn, &id).await?;
        drop(conn);
        let mut object = vec![("Name", provider.name.clone()), ("Provider Code", provider.code.clone())];
        if let Some(step) = &step {
            object.push(("Requested by", step.actor.clone()));
            object.push(("Since", Timestamp(step.at).in_zone(&admin.session.time_zone)));
            object.extend(step.note.clone().map(|note| ("Note", note)));
        }
        let reason = typed.take("reason");
        let checked = check_note("reason", &reason);
        let version = provider.version();
        let step = step.map(|step| step.id);
        let mut question = Question {
            title: "Approve Unified Login",
            heading: format!("Approve Unified Login for {}?", provider.name),
            object,
            effects: vec![
                format!(
                    "Lets {} come in from Therap Services, without a password here.",
                    counted(users, "active user")
                ),
                "Therap Services shows its button to them within a minute.".to_owned(),
            ],
            input: Input::Lines {
                id: "reason",
                label: "Reason (optional)",
                hint: "Shown to the provider. At most 500 characters.",
                value: reason.clone(),
            },
            button: "Approve",
            address: format!("{PATH}/{id}/approve"),
            back: PATH.to_owned(),
            version,
            seen: format!("{version}.{}", step.as_deref().unwrap_or_default()),
            faults: FieldErrors::default(),
        };
        question.check("The reason", checked);
        Ok(Ok((question, Self { provider_id: id, step, reason })))
    }

    async fn carry_out(self, _: &TherapAdmin, by: &AdminContext) -> Result<Response, PageError> {
        let Self { provider_id, step, reason } = self;
        match unified_login::decide(by, &provider_id, step, Decision::Approve, &reason).await? {
            Transition::Yes => Ok(Notice::RequestApproved.at(PATH)),
            Transition::Stale => Ok(Notice::RequestMovedOn.at(PATH)),
            // What was typed was checked above.
            Transition::NotFound | Transition::Invalid(_) => Err(PageError::NotFound),
        }
    }
}
