//! An import of users as a stored job: it belongs to the process and not to the request that began it, and the result
//! of each row is kept, sealed, in the transaction that makes its user. So no temporary password is lost with a
//! browser: who began the import opens its report again, for a day (`import_report`).

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
use crate::operations::users;
use crate::operations::users::import::{self, Added, People, Person, RowPlan};
use crate::store::users::NewUser;
use crate::store::users::imports::{self, Begun, ImportState, NewImport};
use crate::store::{Error, in_transaction};
use crate::time::Deadline;

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
pub struct Owner(pub(super) String);

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
    /// The same preview was sent before, and began this one.
    Before(String),
    /// Another one of the same owner at the same provider is running.
    OneRuns,
    /// [`MOST_KEPT`] of the same owner are kept.
    TooMany,
}

/// How an import is begun.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The preview that begins it, by an id of its own: it begins one import.
    pub attempt: Option<String>,
    /// Whoever has an address, and no password in the file, is mailed an invitation instead of handed a password.
    pub invite: bool,
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
pub(super) struct Plan {
    pub notes: Vec<String>,
    pub rows: Vec<PlannedRow>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PlannedRow {
    pub line: u64,
    pub login_name: String,
    pub name: String,
    /// What is known before anything is written; `None` where a user is to be made.
    pub known: Option<RowResult>,
}

/// The result of a row, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RowResult {
    /// A user, with this temporary password; it is empty where an invitation was mailed instead.
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
    invite: bool,
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

/// A part as it was sealed; `None` when no key here opens it.
pub(super) fn opened<T: DeserializeOwned>(app: &App, id: &str, part: &str, sealed: &str) -> Option<T> {
    serde_json::from_slice(&seal::open(&app.keys, &purpose(id, part), sealed)?).ok()
}

pub(super) fn row_part(place: i64) -> String {
    format!("row {place}")
}

/// Puts an import down and begins it. It goes on when nobody waits for it any longer.
///
/// # Errors
/// When it cannot be written: nothing began then.
pub async fn start(
    act: &AdminContext,
    owner: &Owner,
    provider_id: &str,
    people: People,
    Options { attempt, invite }: Options,
) -> Result<Started, Error> {
    let job = Job { id: act.app.random.id(act.now), provider_id: provider_id.to_owned(), invite };
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
        attempt,
        sealed_plan: job.sealed(&act.app, "plan", &plan)?,
        alive_until: act.now.after(LEASE),
        expires_at: act.now.after(KEPT),
    };
    match in_act!(act, [import], |tx| imports::insert(tx, &import, MOST_KEPT, act.now).await)? {
        Begun::Yes => {}
        Begun::Before(id) => return Ok(Started::Before(id)),
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
    // Of somebody who is invited the password is nobody's: it is handed to no one.
    let invite = job.invite && person.may_be_invited();
    let kept = match keep(act, job, place, person, &user, &password, invite).await {
        // The outbox may have filled up: then there is a slip.
        Err(Error::Withdrawn) if invite => keep(act, job, place, person, &user, &password, false).await,
        kept => kept,
    };
    match kept {
        Err(Error::Withdrawn) => {
            let taken = RowResult::Refused(vec![import::SUB_TAKEN.into()]);
            let (job, result) = (job.clone(), job.sealed(app, &row_part(place), &taken)?);
            in_act!(act, [job, result], |tx| {
                if !imports::advance(tx, &job.id, 1, act.now.after(LEASE)).await? {
                    return Ok(Some(ImportState::Interrupted));
                }
                imports::put_result(tx, &job.id, place, None, &result).await?;
                Ok(None)
            })
        }
        kept => kept,
    }
}

/// Makes the user of a row by the hash of this password and keeps its result; how the import ended, when it did.
///
/// # Errors
/// [`Error::Withdrawn`] as [`import::add`] says. Otherwise when it cannot be written.
async fn keep(
    act: &AdminContext,
    job: &Job,
    place: i64,
    person: &Person,
    user: &NewUser,
    password: &Zeroizing<String>,
    invite: bool,
) -> Result<Option<ImportState>, Error> {
    let sealed = |handed_out: &Zeroizing<String>| {
        job.sealed(&act.app, &row_part(place), &RowResult::Created(HandedOut(handed_out.clone())))
    };
    let (made, invited) = (sealed(password)?, sealed(&Zeroizing::default())?);
    let (job, person) = (job.clone(), person.clone());
    in_act!(act, [job, user, person, made, invited], |tx| {
        if !imports::advance(tx, &job.id, 1, act.now.after(LEASE)).await? {
            return Ok(Some(ImportState::Interrupted));
        }
        let (made_user, result) = match import::add(tx, &act, &job.provider_id, &user, &person, invite).await? {
            Added::Made => (Some(user.id.as_str()), made),
            Added::Invited => (Some(user.id.as_str()), invited),
            Added::Not(plan) => {
                let result = RowResult::of(&plan).unwrap_or(RowResult::Exists);
                (None, job.sealed(&act.app, &row_part(place), &result)?)
            }
        };
        imports::put_result(tx, &job.id, place, made_user, &result).await?;
        Ok(None)
    })
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
