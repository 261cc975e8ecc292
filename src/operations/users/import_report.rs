//! What an import came to: who began it reads it for a day. Its temporary passwords are shown by [`open`] alone, which
//! is recorded each time, and only those that are still their users'.

use crate::app::App;
use crate::model::activity::Kind;
use crate::model::words;
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::csv::file;
use crate::operations::users::import_job::{HandedOut, Owner, Plan, RowResult, opened, row_part};
use crate::store::users::imports::{self, Import, ImportState, KeptResult};
use crate::store::{Error, activity, providers};
use crate::time::Timestamp;

/// After so many rows that were opened, others have their turn.
const OPENED_AT_ONCE: usize = 50;

/// What an import came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it stands.
    pub import: Import,
    /// The same at the moment of asking.
    pub state: ImportState,
    /// What was passed over in the file.
    pub notes: Vec<String>,
    /// Each row of the file.
    pub rows: Vec<ReportedRow>,
}

/// A row of a report.
#[derive(Clone, Debug)]
pub struct ReportedRow {
    /// Its line in the file.
    pub line: u64,
    /// The Login Name as it stands there.
    pub login_name: String,
    /// The name as it stands there.
    pub name: String,
    /// The result.
    pub result: Outcome,
    /// The temporary password, where it is to be shown and is still the user's.
    pub password: Option<HandedOut>,
}

/// The result of a row, as things stand now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A user was made.
    Created(Standing),
    /// There was such a user already.
    Exists,
    /// No user: why, each a sentence.
    Refused(Vec<String>),
}

/// What a user who was made signs in with now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The temporary password of the import, until then (Unix ms; `None` where an older program made the user).
    Temporary(Option<i64>),
    /// The same, but its time is over.
    Expired,
    /// The link of an invitation, which was mailed.
    Invited,
    /// The same, but its time is over.
    InvitationExpired,
    /// A later temporary password.
    Reset,
    /// A password of their own.
    Own,
    /// Nothing: the user was deactivated.
    Deactivated,
}

impl Standing {
    fn of(kept: &KeptResult, now: Timestamp) -> Self {
        match (kept.active, kept.password_version, kept.temporary_until) {
            (Some(false), ..) => Self::Deactivated,
            (_, Some(1), Some(until)) if until <= now.0 => Self::Expired,
            (_, Some(1), until @ Some(_)) | (None, None, until) => Self::Temporary(until),
            (.., Some(_)) => Self::Reset,
            (.., None) => Self::Own,
        }
    }

    /// The same for a user who was mailed an invitation in place of a password.
    const fn invited(self) -> Self {
        match self {
            Self::Temporary(_) => Self::Invited,
            Self::Expired => Self::InvitationExpired,
            Self::Invited | Self::InvitationExpired | Self::Reset | Self::Own | Self::Deactivated => self,
        }
    }

    /// What is said in place of a password; nothing where the one of the import works.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Temporary(_) => "",
            Self::Expired => "The temporary password expired. Reset it.",
            Self::Invited => "Invited by e-mail.",
            Self::InvitationExpired => "The invitation expired. Invite the user again, or reset the password.",
            Self::Reset => "The password was reset later.",
            Self::Own => "Already has their own password.",
            Self::Deactivated => "The user was deactivated.",
        }
    }
}

/// What temporary passwords are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Slips, one for each user.
    Slips,
    /// A file for spreadsheets.
    File,
    /// The answer to a program.
    Api,
}
words!(Medium { Slips = "slips to print", File = "CSV file", Api = "API" });

/// What is said of a row that the import did not come to.
const UNKNOWN: &str = "It is not known whether it was created. Send the file again.";
const NOT_TRIED: &str = "It was not tried, because the import stopped before it. Send the file again.";
const NOT_YET: &str = "It is not created yet.";
const ALL_LOST: &str =
    "The key under which this report was sealed is gone. Reset the passwords of those whom the import made.";
const LOST: &str = "The key under which its result was sealed is gone. Reset the user's password.";

/// An import without its rows, if this owner began it here and its time is not over.
pub async fn find(
    app: &App,
    owner: &Owner,
    provider_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Import>, Error> {
    imports::of_owner(&mut app.db.read_much().await?, &owner.0, provider_id, id, now).await
}

/// The imports that this owner began here and whose time is not over, the newest first.
pub async fn list(app: &App, owner: &Owner, provider_id: &str, now: Timestamp) -> Result<Vec<Import>, Error> {
    imports::list(&mut app.db.read_much().await?, &owner.0, provider_id, now).await
}

/// What an import came to, if this owner began it here and its time is not over; without any password.
pub async fn report(
    app: &App,
    owner: &Owner,
    provider_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Report>, Error> {
    let mut report = with_passwords(app, owner, provider_id, id, now).await?;
    for row in report.iter_mut().flat_map(|report| &mut report.rows) {
        row.password = None;
    }
    Ok(report)
}

/// The same with the temporary passwords that are still their users', once that is on record; where none is left it is
/// no more than [`report`], and none is recorded.
pub async fn open(
    act: &AdminContext,
    owner: &Owner,
    provider_id: &str,
    id: &str,
    medium: Medium,
) -> Result<Option<Report>, Error> {
    let Some(report) = with_passwords(&act.app, owner, provider_id, id, act.now).await? else { return Ok(None) };
    let shown = report.rows.iter().filter(|row| row.password.is_some()).count();
    if shown == 0 {
        return Ok(Some(report));
    }
    let note = format!("{medium}, temporary passwords: {shown}; import {id}");
    let provider_id = provider_id.to_owned();
    let is_recorded = in_act!(act, [provider_id, note], |tx| {
        let Some(provider) = providers::by_id(tx, &provider_id).await? else { return Ok(false) };
        activity::record(tx, &act.event_of(Kind::ImportOpened, &provider).noting(note)).await?;
        Ok(true)
    })?;
    Ok(is_recorded.then_some(report))
}

async fn with_passwords(
    app: &App,
    owner: &Owner,
    provider_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Report>, Error> {
    let mut conn = app.db.read_much().await?;
    let Some(import) = imports::of_owner(&mut conn, &owner.0, provider_id, id, now).await? else { return Ok(None) };
    let plan = imports::plan(&mut conn, id).await?.unwrap_or_default();
    let results = imports::results(&mut conn, id).await?;
    drop(conn);
    // One that no key opens any more says so, and hides no other.
    let plan = opened::<Plan>(app, id, "plan", &plan)
        .unwrap_or_else(|| Plan { rows: Vec::new(), notes: vec![ALL_LOST.into()] });
    let state = import.state_at(now);
    let mut results = results.into_iter().peekable();
    let mut reached = true;
    let mut rows = Vec::with_capacity(plan.rows.len());
    for (place, row) in (0_i64..).zip(plan.rows) {
        if rows.len() % OPENED_AT_ONCE == OPENED_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let kept = results.next_if(|kept| kept.place == place);
        let (result, password) = match (row.known, kept) {
            (Some(known), _) => shown(known, Standing::Own),
            (None, Some(kept)) => match opened(app, id, &row_part(place), &kept.sealed_result) {
                Some(result) => shown(result, Standing::of(&kept, now)),
                None => (Outcome::Refused(vec![LOST.into()]), None),
            },
            (None, None) => (Outcome::Refused(vec![missing(state, std::mem::take(&mut reached)).into()]), None),
        };
        rows.push(ReportedRow { line: row.line, login_name: row.login_name, name: row.name, result, password });
    }
    Ok(Some(Report { import, state, notes: plan.notes, rows }))
}

/// A result as it is shown, and the password while it is still the user's.
fn shown(result: RowResult, standing: Standing) -> (Outcome, Option<HandedOut>) {
    match result {
        RowResult::Created(password) if password.as_str().is_empty() => (Outcome::Created(standing.invited()), None),
        RowResult::Created(password) => {
            let works = matches!(standing, Standing::Temporary(_));
            (Outcome::Created(standing), works.then_some(password))
        }
        RowResult::Exists => (Outcome::Exists, None),
        RowResult::Refused(why) => (Outcome::Refused(why), None),
    }
}

/// Why a row has no result; whether it is the first such row.
const fn missing(state: ImportState, first: bool) -> &'static str {
    match state {
        ImportState::Running => NOT_YET,
        ImportState::Fault if first => UNKNOWN,
        ImportState::Done
        | ImportState::NoAuthority
        | ImportState::Fault
        | ImportState::NoRoom
        | ImportState::Stopped
        | ImportState::Interrupted => NOT_TRIED,
    }
}

impl Report {
    /// The report as a file for spreadsheets.
    #[must_use]
    pub fn csv(&self) -> Vec<u8> {
        let columns = ["line", "login_name", "name", "result", "temporary_password", "why"];
        let mut file = file::Head::of(columns).into_bytes();
        for row in &self.rows {
            let (result, why) = match &row.result {
                Outcome::Created(standing) => ("created", standing.words().to_owned()),
                Outcome::Exists => ("exists", String::new()),
                Outcome::Refused(why) => ("refused", why.join(" ")),
            };
            let password = row.password.as_ref().map_or("", HandedOut::as_str);
            let line = row.line.to_string();
            file.extend(file::line([line.as_str(), &row.login_name, &row.name, result, password, &why]));
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A password is shown while it is the one that the import gave, works, and is of a user who may use it.
    #[test]
    fn only_a_password_that_still_works_is_shown() {
        let user = |active, version, until| KeptResult {
            place: 0,
            sealed_result: String::new(),
            active,
            password_version: version,
            temporary_until: until,
        };
        for (kept, standing) in [
            (user(Some(true), Some(1), Some(11)), Standing::Temporary(Some(11))),
            (user(Some(true), Some(1), Some(10)), Standing::Expired),
            (user(Some(true), Some(2), Some(11)), Standing::Reset),
            (user(Some(true), Some(2), None), Standing::Own),
            (user(Some(true), Some(1), None), Standing::Own),
            (user(Some(false), Some(1), Some(11)), Standing::Deactivated),
            (user(None, None, None), Standing::Temporary(None)),
        ] {
            assert_eq!(Standing::of(&kept, Timestamp(10)), standing, "{kept:?}");
        }
    }
}
