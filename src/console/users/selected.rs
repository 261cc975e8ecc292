//! `/admin/users/selected/…`: what a Provider Admin does to several users at once. One confirmation names all of them (G34);
//! the answer says of each user what was done. Who is selected stands in the address: a reload and a sign-in in between lose
//! nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use zeroize::Zeroizing;

use super::list::back_to;
use crate::app::App;
use crate::console::admins::ProviderAdmin;
use crate::console::answers::form_again;
use crate::console::confirm::{Confirmation, Input, PathAction, Question, counted, ends};
use crate::model::user::{Account, STRIKES};
use crate::operations::admin_context::{AdminContext, Version};
use crate::operations::users::check_reason;
use crate::operations::users::selected::{MOST, Outcome, Selected, act_on};
use crate::store;
use crate::store::sessions::{Of, Usable};
use crate::time::{Deadline, Timestamp};
use crate::web::error::PageError;
use crate::web::fields::Fields;
use crate::web::form::FieldErrors;
use crate::web::ids::checked;
use crate::web::notice::Notice;
use crate::web::page::{Page, Shape, respond};

/// After so long nobody else's turn comes: what was done, and each password that was made, is told in an answer that is still
/// waited for.
const ENOUGH: Duration = Duration::from_secs(8);

/// Who is selected, and the list that they were selected on.
#[derive(Clone, Debug)]
pub struct Selection {
    ids: BTreeSet<String>,
    list: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Selection {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let (mut ids, mut list) = (BTreeSet::new(), String::new());
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if name == "list" {
                list = value.into_owned();
            } else if let Some(id) = name.strip_prefix("user.").and_then(checked)
                && !ids.insert(id)
            {
                return Err(PageError::BadForm("A user was selected twice."));
            }
        }
        if ids.len() > MOST {
            return Err(PageError::BadForm("At most 25 users can be selected at once. Select fewer, then try again."));
        }
        Ok(Self { ids, list })
    }
}

impl Selection {
    fn address(&self, what: Selected) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for id in &self.ids {
            query.append_pair(&format!("user.{id}"), "yes");
        }
        if !self.list.is_empty() {
            query.append_pair("list", &self.list);
        }
        format!("/admin/users/selected/{what}?{}", query.finish())
    }
}

/// A user to whom it would be done, as seen.
struct Target {
    user: Account,
    version: Version,
    usable: Usable,
}

/// Those to whom it would be done, and why others are left out.
struct Targets {
    users: Vec<Target>,
    own: bool,
    already: i64,
    seen: String,
}

impl Targets {
    /// Another provider's user is not found, and so left out (G15).
    async fn find(
        app: &App,
        now: Timestamp,
        admin: &ProviderAdmin,
        what: Selected,
        selection: &Selection,
    ) -> Result<Self, PageError> {
        let mut conn = app.db.read().await?;
        let mut found = Self { users: Vec::new(), own: false, already: 0, seen: String::new() };
        for (place, id) in selection.ids.iter().enumerate() {
            let Some(user) = store::users::in_scope(&mut conn, &admin.scope, id).await? else { continue };
            let is_locked = user.admin_locked || user.failures >= STRIKES;
            if user.id == admin.session.user_id {
                found.own = true;
            } else if (what == Selected::Lock && user.admin_locked) || (what == Selected::Unlock && !is_locked) {
                found.already += 1;
            } else {
                let version = user.version();
                let usable = store::sessions::count(&mut conn, Of::User(&user.id), now).await?;
                let _ = write!(found.seen, "{place}:{version}.{}-", user.password_version);
                found.users.push(Target { user, version, usable });
            }
        }
        found.users.sort_by(|a, b| (&a.user.name, &a.user.login_name).cmp(&(&b.user.name, &b.user.login_name)));
        Ok(found)
    }

    fn count(&self, fits: impl Fn(&Account) -> bool) -> i64 {
        i64::try_from(self.users.iter().filter(|target| fits(&target.user)).count()).unwrap_or(i64::MAX)
    }

    /// Why there is nobody to whom it could be done.
    fn nobody(&self) -> Option<Notice> {
        match (self.users.is_empty(), self.own, self.already) {
            (false, ..) => None,
            (true, false, 0) => Some(Notice::NobodySelected),
            (true, true, 0) => Some(Notice::OwnAccount),
            (true, ..) => Some(Notice::AlreadyDone),
        }
    }

    fn effects(&self, app: &App, what: Selected) -> Vec<String> {
        let usable = self.users.iter().fold(Usable::default(), |sum, target| Usable {
            sessions: sum.sessions + target.usable.sessions,
            users: sum.users + target.usable.users,
        });
        let ended = ends(usable);
        let deactivated = self.count(|user| !user.active);
        let (password_locked, admin_locked) =
            (self.count(|user| user.failures >= STRIKES), self.count(|user| user.admin_locked));
        let mut effects = match what {
            Selected::Lock => vec![
                ended,
                "Nobody of them can sign in, with a password or from Therap Services, until an admin unlocks the account."
                    .to_owned(),
            ],
            Selected::Unlock => vec![format!(
                "Removes {} and {}.",
                counted(password_locked, "password lock"),
                counted(admin_locked, "admin lock")
            )],
            Selected::EndSessions => vec![ended, "They can sign in again immediately.".to_owned()],
            Selected::ResetPassword => {
                let days = counted(app.config.password.temporary_days.into(), "day");
                let passwords = counted(self.count(|_| true), "temporary password");
                vec![ended, format!("Creates {passwords}, shown once, on the next page. They work for {days}.")]
            }
        };
        if what == Selected::ResetPassword && password_locked > 0 {
            effects.push(format!("Removes the password lock of {}.", counted(password_locked, "user")));
        }
        if what == Selected::ResetPassword && admin_locked > 0 {
            effects.push(format!("Locked by an admin, and stays so: {}.", counted(admin_locked, "user")));
        }
        if matches!(what, Selected::Unlock | Selected::ResetPassword) && deactivated > 0 {
            effects.push(format!("Deactivated, and stays so: {}.", counted(deactivated, "user")));
        }
        if self.already > 0 {
            let state = if what == Selected::Lock { "locked by an admin already" } else { "not locked" };
            effects.push(format!("Left out, because {state}: {}.", counted(self.already, "user")));
        }
        if self.own {
            effects.push("Your own account is left out. Ask another Provider Admin.".to_owned());
        }
        effects
    }

    fn question(&self, app: &App, what: Selected, selection: &Selection, back: String, reason: String) -> Question {
        let number = counted(self.count(|_| true), "user");
        let (title, heading, button) = match what {
            Selected::Lock => ("Lock users", format!("Lock {number}?"), "Lock"),
            Selected::Unlock => ("Unlock users", format!("Unlock {number}?"), "Unlock"),
            Selected::EndSessions => ("End sessions", format!("End every session of {number}?"), "End sessions"),
            Selected::ResetPassword => {
                ("Reset passwords", format!("Reset the password of {number}?"), "Reset passwords")
            }
        };
        let names: Vec<_> =
            self.users.iter().map(|target| format!("{} ({})", target.user.name, target.user.login_name)).collect();
        Question {
            title,
            heading,
            object: vec![("Users", names.join("\n"))],
            effects: self.effects(app, what),
            input: match what {
                Selected::Lock => Input::Line {
                    id: "reason",
                    label: "Reason (optional)",
                    hint: "Shown to the admins of your agency and kept in User Activity. At most 500 characters.",
                    value: reason,
                },
                Selected::Unlock | Selected::EndSessions | Selected::ResetPassword => Input::Nothing,
            },
            button,
            address: selection.address(what),
            back,
            // Each user's own is compared.
            version: Version::default(),
            seen: self.seen.clone(),
            faults: FieldErrors::default(),
        }
    }
}

#[derive(Template)]
#[template(path = "console/users/selected.html")]
struct DonePage {
    page: Page,
    heading: String,
    all_done: bool,
    rows: Vec<Row>,
    slips: Vec<Slip>,
    provider_code: String,
    site: String,
    back: String,
}

struct Row {
    id: String,
    login_name: String,
    name: String,
    done: bool,
    result: String,
}

/// A temporary password, shown this once.
struct Slip {
    login_name: String,
    name: String,
    password: Zeroizing<String>,
    until: String,
}

/// An act on several users, about to be confirmed.
pub struct OfSelected {
    what: Selected,
    targets: Vec<Target>,
    reason: Option<String>,
    title: &'static str,
    back: String,
}

impl Confirmation for OfSelected {
    type Admin = ProviderAdmin;
    type Named = (PathAction<Selected>, Selection);

    /// A lock may have a reason, in the field `reason`.
    async fn question(
        app: &App,
        now: Timestamp,
        admin: &ProviderAdmin,
        (PathAction(what), selection): Self::Named,
        typed: &mut Fields,
    ) -> Result<Result<(Question, Self), Response>, PageError> {
        let (back, typed) = (back_to(&selection.list, &admin.session.time_zone), typed.take("reason"));
        let targets = Targets::find(app, now, admin, what, &selection).await?;
        if let Some(why) = targets.nobody() {
            return Ok(Err(why.at(&back)));
        }
        let mut question = targets.question(app, what, &selection, back.clone(), typed.clone());
        let reason = question.check("The reason", check_reason(&typed)).flatten();
        let title = question.title;
        Ok(Ok((question, Self { what, targets: targets.users, reason, title, back })))
    }

    /// Done to one user after the other, and told of each.
    async fn carry_out(self, admin: &ProviderAdmin, by: &AdminContext) -> Result<Response, PageError> {
        let Self { what, targets, reason, title, back } = self;
        let (app, session, enough) = (&by.app, &admin.session, Deadline::after(ENOUGH, by.now));
        let (mut rows, mut slips, mut faults) = (Vec::new(), Vec::new(), 0);
        for Target { user, version, .. } in targets {
            let outcome = if enough.left().is_zero() {
                Outcome::Busy
            } else {
                act_on(by, admin.scope.provider_id(), what, &user, version, reason.clone()).await
            };
            faults += usize::from(outcome.is_fault());
            rows.push(Row {
                done: outcome.is_done(),
                result: result(what, &outcome),
                id: user.id,
                login_name: user.login_name.clone(),
                name: user.name.clone(),
            });
            if let Outcome::Reset { password, until, .. } = outcome {
                let until = until.in_zone(&session.time_zone);
                slips.push(Slip { login_name: user.login_name, name: user.name, password, until });
            }
        }
        let (count, failed) = (rows.len(), faults == rows.len());
        let done = rows.iter().filter(|row| row.done).count();
        let template = DonePage {
            page: Page::of(app, title, session),
            heading: format!("Done for {done} of {}", counted(i64::try_from(count).unwrap_or(i64::MAX), "user")),
            all_done: done == count,
            rows,
            slips,
            provider_code: session.provider_code.clone(),
            site: app.config.issuer.clone(),
            back,
        };
        // Nothing is known to be done, and it may help to try again.
        if failed {
            return Ok(form_again(StatusCode::SERVICE_UNAVAILABLE, &template));
        }
        Ok(respond(StatusCode::OK, Shape::Inside, &template))
    }
}

/// What was done to one user, or why nothing was.
fn result(what: Selected, outcome: &Outcome) -> String {
    let words = match outcome {
        Outcome::Done if what == Selected::Lock => "Locked. Every session was ended.",
        Outcome::Done => "Unlocked.",
        Outcome::Ended(0) => "Done. No session was open.",
        Outcome::Ended(count) => {
            return format!("{} ended.", counted(i64::try_from(*count).unwrap_or(i64::MAX), "session"));
        }
        Outcome::Reset { still_locked: false, .. } => "The password was reset. Every session was ended.",
        Outcome::Reset { still_locked: true, .. } => {
            "The password was reset. The account is still locked by an admin: the password works once it is unlocked."
        }
        Outcome::Already if what == Selected::Lock => "Not done: somebody else has just locked the account.",
        Outcome::Already => "Not done: the account is not locked any more.",
        Outcome::Own => "Not done: this is your own account. Ask another Provider Admin.",
        Outcome::Changed => "Not done: somebody else has just changed this user. Check the user, then try again.",
        Outcome::NotFound => "Not done: there is no such user any more.",
        Outcome::Busy => "Not done: Therap Connect is busy. Please try again in a moment.",
        Outcome::NoAuthority => "Not done: you were signed out meanwhile. Please sign in, then try again.",
        Outcome::Unknown => "It is not known whether this was done. Check the user before you try again.",
    };
    words.to_owned()
}
