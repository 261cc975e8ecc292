//! An import of users as a stored job: it belongs to the process and not to the request that began it, and the result
//! of each row is kept, sealed, in the transaction that makes its user. So no temporary password is lost with a
//! browser: who began the import opens its report again, for a day.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::app::App;
use crate::crypto::seal;
use crate::log;
use crate::operations::admin_context::{AdminContext, in_act};
use crate::operations::csv::file;
use crate::operations::users;
use crate::operations::users::import::{self, People, Person, RowPlan};
use crate::store::users::imports::{self, Begun, Import, ImportState, NewImport};
use crate::store::{Error, in_transaction};
use crate::time::{Deadline, Timestamp};

/// For so long the report can be opened.
pub const KEPT: Duration = Duration::from_hours(24);
/// As many imports of one person or program are kept.
pub const MOST_KEPT: i64 = 50;
/// Who works on an import says so this often, and is taken for gone when nothing was said for so long.
const BEAT: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_mins(1);
/// While there is no room to hash, a row waits so long, and asks this often.
const WAIT_FOR_ROOM: Duration = Duration::from_mins(5);
const ASK_FOR_ROOM: Duration = Duration::from_secs(1);

/// Who began an import, and alone may open its report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// A person, by the user's id.
    #[must_use]
    pub fn user(id: &str) -> Self {
        Self(format!("user {id}"))
    }

    /// A program, by the client's row.
    #[must_use]
    pub fn client(id: &str) -> Self {
        Self(format!("client {id}"))
    }
}

/// The result of starting one.
#[derive(Debug)]
pub enum Started {
    /// It runs.
    Yes(Running),
    /// Another one of the same owner at the same provider is running.
    OneRuns,
    /// [`MOST_KEPT`] of the same owner are kept.
    TooMany,
}

/// An import that runs.
#[derive(Debug)]
pub struct Running {
    /// Its id.
    pub id: String,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Waits until it has ended; it goes on when nobody does.
    pub async fn ended(self) -> String {
        // The other end is only ever dropped.
        let _ = self.ended.await;
        self.id
    }
}

/// What a file said, as it is kept: no password is in it.
#[derive(Serialize, Deserialize)]
struct Plan {
    notes: Vec<String>,
    rows: Vec<PlannedRow>,
}

#[derive(Serialize, Deserialize)]
struct PlannedRow {
    line: u64,
    login_name: String,
    name: String,
    /// What is known before anything is written; `None` where a user is to be made.
    known: Option<RowResult>,
}

/// The result of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowResult {
    /// A user, with this temporary password.
    Created(HandedOut),
    /// There was such a user already.
    Exists,
    /// No user: why, each a sentence.
    Refused(Vec<String>),
}

/// A temporary password in a report.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HandedOut(Zeroizing<String>);

impl HandedOut {
    /// As it is shown to who may see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HandedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandedOut(…)")
    }
}

impl RowResult {
    fn of(plan: &RowPlan) -> Option<Self> {
        match plan {
            RowPlan::Create(_) => None,
            RowPlan::Exists => Some(Self::Exists),
            RowPlan::Refused(why) => Some(Self::Refused(why.clone())),
        }
    }
}

/// A job under way, as its task knows it.
#[derive(Clone, Debug)]
struct Job {
    id: String,
    provider_id: String,
}

impl Job {
    fn sealed(&self, app: &App, part: &str, content: &impl Serialize) -> Result<String, Error> {
        let damaged = |error: &dyn std::fmt::Display| Error::Damaged(format!("an import cannot be sealed: {error}"));
        let json = Zeroizing::new(serde_json::to_vec(content).map_err(|error| damaged(&error))?);
        seal::seal(&app.keys, &purpose(&self.id, part), &json).map_err(|error| damaged(&error))
    }
}

/// Each part is sealed for its own place: moved to another row it does not open.
fn purpose(id: &str, part: &str) -> String {
    format!("import {id} {part}")
}

fn opened<T: DeserializeOwned>(app: &App, id: &str, part: &str, sealed: &str) -> Option<T> {
    serde_json::from_slice(&seal::open(&app.keys, &purpose(id, part), sealed)?).ok()
}

fn row_part(place: i64) -> String {
    format!("row {place}")
}

/// Puts an import down and begins it. It goes on when nobody waits for it any longer.
///
/// # Errors
/// When it cannot be written: nothing began then.
pub async fn start(act: &AdminContext, owner: &Owner, provider_id: &str, people: People) -> Result<Started, Error> {
    let job = Job { id: act.app.random.id(act.now), provider_id: provider_id.to_owned() };
    let mut work = Vec::new();
    let mut plan = Plan { notes: people.notes, rows: Vec::with_capacity(people.rows.len()) };
    for (place, row) in (0_i64..).zip(people.rows) {
        let known = RowResult::of(&row.plan);
        if let RowPlan::Create(person) = row.plan {
            work.push((place, *person));
        }
        plan.rows.push(PlannedRow { line: row.line, login_name: row.login_name, name: row.name, known });
    }
    let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
    let import = NewImport {
        id: job.id.clone(),
        provider_id: provider_id.to_owned(),
        owner: owner.0.clone(),
        rows_total: count(plan.rows.len()),
        rows_done: count(plan.rows.len() - work.len()),
        sealed_plan: job.sealed(&act.app, "plan", &plan)?,
        alive_until: act.now.after(LEASE),
        expires_at: act.now.after(KEPT),
    };
    match in_act!(act, [import], |tx| imports::insert(tx, &import, MOST_KEPT, act.now).await)? {
        Begun::Yes => {}
        Begun::OneRuns => return Ok(Started::OneRuns),
        Begun::TooMany => return Ok(Started::TooMany),
    }
    let (id, act) = (job.id.clone(), act.clone());
    let app = act.app.clone();
    let (running, ended) = oneshot::channel();
    app.background.spawn(async move {
        run(&act, &job, work).await;
        drop(running);
    });
    Ok(Started::Yes(Running { id, ended }))
}

/// Makes the users one after the other, and says how it ended.
async fn run(act: &AdminContext, job: &Job, work: Vec<(i64, Person)>) {
    let (app, job) = (&act.app, job.clone());
    let beating = beat(app, &job);
    let mut ended = ImportState::Done;
    for (place, person) in &work {
        match make(act, &job, *place, person).await {
            Ok(None) => {}
            Ok(Some(state)) => ended = state,
            Err(Error::NoAuthority) => ended = ImportState::NoAuthority,
            Err(error) => {
                tracing::error!(import.id = %job.id, %error, "a row of an import may not have been written: {error}");
                ended = ImportState::Fault;
            }
        }
        if ended != ImportState::Done {
            break;
        }
    }
    beating.abort();
    let done = in_transaction!(app.db, app.patient_deadline(), [job], |tx| imports::end(tx, &job.id, ended).await);
    if let Err(error) = done {
        // It is taken for interrupted in a while; what its rows came to is kept all the same.
        tracing::error!(import.id = %job.id, %error, "the end of an import could not be written: {error}");
    }
}

/// Says now and then that somebody works on an import, also while a row waits for room to hash.
fn beat(app: &App, job: &Job) -> tokio::task::JoinHandle<()> {
    let (app, job) = (app.clone(), job.clone());
    log::spawn(async move {
        loop {
            tokio::time::sleep(BEAT).await;
            let alive = app.clock.now().after(LEASE);
            let said = in_transaction!(app.db, app.patient_deadline(), [job], |tx| {
                imports::advance(tx, &job.id, 0, alive).await
            });
            if let Err(error) = said {
                tracing::warn!(import.id = %job.id, "an import could not say that it runs: {error}");
            }
        }
    })
}

/// Makes the user of a row and keeps its result, in one transaction; how the import ended, when it did.
async fn make(base: &AdminContext, job: &Job, place: i64, person: &Person) -> Result<Option<ImportState>, Error> {
    let app = &base.app;
    let password = person.password(app);
    let hash = match hash(app, &password).await {
        Ok(hash) => hash,
        Err(state) => return Ok(Some(state)),
    };
    let now = app.clock.now();
    // The authority is read again, and the record dated, at this row's own moment (G28).
    let act = &AdminContext { now, deadline: Deadline::after(Duration::from_mins(1), now), ..base.clone() };
    let user = import::new_user(act, person, hash);
    let created = job.sealed(app, &row_part(place), &RowResult::Created(HandedOut(password)))?;
    let (job, person) = (job.clone(), person.clone());
    let kept = in_act!(act, [job, user, person, created], |tx| {
        if !imports::advance(tx, &job.id, 1, now.after(LEASE)).await? {
            return Ok(Some(ImportState::Interrupted));
        }
        let plan = import::add(tx, &act, &job.provider_id, &user, &person).await?;
        let result = match plan.as_ref().and_then(RowResult::of) {
            None => created,
            Some(result) => job.sealed(&act.app, &row_part(place), &result)?,
        };
        imports::put_result(tx, &job.id, place, &result).await?;
        Ok(None)
    });
    match kept {
        Err(Error::Withdrawn) => {
            let taken = RowResult::Refused(vec![import::SUB_TAKEN.into()]);
            let result = job.sealed(app, &row_part(place), &taken)?;
            in_act!(act, [job, result], |tx| {
                if !imports::advance(tx, &job.id, 1, now.after(LEASE)).await? {
                    return Ok(Some(ImportState::Interrupted));
                }
                imports::put_result(tx, &job.id, place, &result).await?;
                Ok(None)
            })
        }
        kept => kept,
    }
}

/// The hash of a password, when there is room: imports take turns with all that administrators set, so that people who
/// sign in meanwhile find some (G31). How the import ended, when there is none or the process stops.
async fn hash(app: &App, password: &Zeroizing<String>) -> Result<String, ImportState> {
    let mut waited = Duration::ZERO;
    loop {
        if app.background.is_stopping() {
            return Err(ImportState::Stopped);
        }
        // It waits for room without being counted among those who are sent away.
        if app.hashes.pool().has_room()
            && let Ok(hash) = users::hash(app, password).await
        {
            return Ok(hash);
        }
        if waited >= WAIT_FOR_ROOM {
            return Err(ImportState::NoRoom);
        }
        tokio::time::sleep(ASK_FOR_ROOM).await;
        waited += ASK_FOR_ROOM;
    }
}

/// What an import came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it stands.
    pub import: Import,
    /// The same at the moment of asking.
    pub state: ImportState,
    /// Until when temporary passwords of it work at least.
    pub until: Timestamp,
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
    pub result: RowResult,
}

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

/// What an import came to, if this owner began it here and its time is not over.
pub async fn report(
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
    let rows = (0_i64..).zip(plan.rows).map(|(place, row)| {
        let kept = results.next_if(|(at, _)| *at == place);
        let result = match (row.known, kept) {
            (Some(known), _) => known,
            (None, Some((_, sealed))) => {
                opened(app, id, &row_part(place), &sealed).unwrap_or_else(|| RowResult::Refused(vec![LOST.into()]))
            }
            (None, None) => RowResult::Refused(vec![missing(state, std::mem::take(&mut reached)).into()]),
        };
        ReportedRow { line: row.line, login_name: row.login_name, name: row.name, result }
    });
    let rows = rows.collect();
    let until = users::temporary_until(app, Timestamp(import.created_at));
    Ok(Some(Report { import, state, until, notes: plan.notes, rows }))
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
            let (result, password, why) = match &row.result {
                RowResult::Created(password) => ("created", password.as_str(), String::new()),
                RowResult::Exists => ("exists", "", String::new()),
                RowResult::Refused(why) => ("refused", "", why.join(" ")),
            };
            let line = row.line.to_string();
            file.extend(file::line([line.as_str(), &row.login_name, &row.name, result, password, &why]));
        }
        file
    }
}
