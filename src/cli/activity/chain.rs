//! `activity verify`, `anchor` and `prune`: the record as it was written, and nothing of it missed (A3).

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use super::moment::moment;
use crate::app::App;
use crate::cli::command::{Ended, act, read_file};
use crate::cli::console::{Console, Format, Output, Row, harmless};
use crate::model::text::capitalized;
use crate::operations::activity::chain::{From, seal};
use crate::operations::activity::prune::{self, Planned};
use crate::operations::activity::verify::{self, Anchor, Fault, Terms, Verified};
use crate::time::Timestamp;

/// Whether an older version wrote records.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OlderVersion {
    /// Until when an older version of this program may have written records, also beside this one as during an upgrade;
    /// a date means its beginning in UTC. Without it: until this one wrote its first.
    #[arg(long = "older-version-until", value_name = "WHEN")]
    until: Option<String>,
}

impl OlderVersion {
    pub(in crate::cli) fn terms(&self) -> anyhow::Result<Terms> {
        let until = self.until.as_deref().map(|text| moment(text, "UTC")).transpose();
        let older_until = until.context("--older-version-until")?.map(Timestamp);
        Ok(Terms { older_until, ..Terms::default() })
    }
}

/// What was exported before.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Anchors {
    /// A file with what `activity anchor` printed, once or often; may be repeated.
    #[arg(long = "anchor", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Anchors {
    pub(in crate::cli) fn read(&self) -> anyhow::Result<Vec<Anchor>> {
        let mut anchors = Vec::new();
        for file in &self.files {
            anchors.extend(read_anchors(&read_file(file)?).with_context(|| file.display().to_string())?);
        }
        Ok(anchors)
    }
}

/// What `activity verify` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp activity verify --anchor anchors.jsonl\n\n\
                        Names the first record that is not as it was written. Somebody who has the database alone can \
                        hide a change only by also cutting the chain off before it, so that the service seals what is left \
                        anew. Anchors, exported now and then and kept elsewhere, find that, too. Exit status: 0 all is as it was written, 1 something is not.")]
pub(in crate::cli) struct VerifyArgs {
    #[command(flatten)]
    anchors: Anchors,
    #[command(flatten)]
    older_version: OlderVersion,
    #[command(flatten)]
    output: Output,
}

pub(in crate::cli) async fn verify(args: &VerifyArgs, app: &App, console: &mut Console) -> anyhow::Result<Ended> {
    let mut terms = args.older_version.terms()?;
    terms.anchors = args.anchors.read()?;
    let verified = verify::verify(app, &terms, |done, of| console.bar(done, of, "records")).await?;
    console.progress_done();
    match args.output.format {
        Format::Text => say_verified(&verified, terms.anchors.len(), console)?,
        Format::Json => console.row(Format::Json, &row(&verified, terms.anchors.len()))?,
    }
    Ok(if verified.fault.is_none() { Ended::Done } else { Ended::Refused })
}

/// One object after the other.
fn read_anchors(text: &str) -> anyhow::Result<Vec<Anchor>> {
    let anchors: Result<Vec<Anchor>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let anchors = anchors.context("it is not what `connect-idp activity anchor` printed")?;
    ensure!(!anchors.is_empty(), "it is empty: `connect-idp activity anchor` prints what belongs there");
    Ok(anchors)
}

fn say_verified(verified: &Verified, anchors: usize, console: &mut Console) -> anyhow::Result<()> {
    if let Some(fault) = &verified.fault {
        console.say(format_args!("WRONG  {}.", harmless(&capitalized(&fault.words()))))?;
        console
            .say(format_args!("{} record(s) were checked and found as they were written. {CURE}", verified.records))?;
        return Ok(());
    }
    console.say(format_args!(
        "ok     {} record(s) are as they were written, up to number {}.",
        verified.records, verified.last
    ))?;
    if verified.pruned > 0 {
        console.say(format_args!("       Up to number {} they were removed by retention.", verified.pruned))?;
    }
    if verified.to_remove > 0 {
        let left = verified.to_remove;
        console
            .say(format_args!("       {left} of those have yet to go: `serve` removes them, or `activity prune`."))?;
    }
    if verified.older > 0 {
        let older = verified.older;
        console.say(format_args!(
            "       {older} of them were written by an older version: proven since they were sealed, not before."
        ))?;
    }
    if verified.unsealed > 0 {
        let unsealed = verified.unsealed;
        console.say(format_args!("       {unsealed} more are not sealed yet: `serve` does that within a second."))?;
    }
    if anchors > 0 {
        let compared = anchors - verified.anchors_passed;
        console.say(format_args!("       {compared} anchor(s) fit."))?;
    }
    if verified.anchors_passed > 0 {
        let passed = verified.anchors_passed;
        console.say(format_args!("       {passed} anchor(s) name what was removed by retention since."))?;
    }
    Ok(())
}

const CURE: &str = "Keep a copy of the database and of its backups, and find out who could change it.";

fn row(verified: &Verified, anchors: usize) -> Row {
    let fault = verified.fault.as_ref();
    let of = |part: fn(&Fault) -> Option<String>| fault.and_then(part);
    Row::default()
        .with("ok", fault.is_none())
        .with("records", verified.records)
        .with("last_seq", verified.last)
        .with("pruned_seq", verified.pruned)
        .with("to_remove", verified.to_remove)
        .with("older_version", verified.older)
        .with("unsealed", verified.unsealed)
        .with("anchors", anchors)
        .with("anchors_passed", verified.anchors_passed)
        .with("fault", fault.map(|fault| fault.what.as_str()))
        .with("seq", fault.and_then(|fault| fault.seq))
        .with("id", of(|fault| fault.id.clone()))
        .with("time", of(|fault| fault.at.map(Timestamp::rfc3339)))
        .with("reference", of(|fault| fault.reference.clone()))
        .with("detail", of(|fault| Some(fault.words())))
}

/// Seals all that was committed, however much that is.
pub(super) async fn seal_all(app: &App, console: &mut Console) -> anyhow::Result<()> {
    let mut count = 0;
    loop {
        let sealed = seal(app, From::LastTime, 1).await?;
        count += sealed.count;
        if sealed.all {
            console.progress_done();
            return Ok(());
        }
        console.progress(format_args!("{count} records sealed"));
    }
}

pub(in crate::cli) async fn anchor(app: &App, console: &mut Console) -> anyhow::Result<()> {
    seal_all(app, console).await?;
    console.say(serde_json::to_string(&verify::anchor(app).await?)?)
}

/// What `activity prune` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp activity prune --before 2020-01-01\n\n\
                        It cannot be undone: keep a backup, or a file of `activity export`. The act is recorded, with the \
                        number of records and the last seal that goes, and what is left still verifies. Records that are not \
                        as they were written are never removed: `activity verify` names the first.")]
pub(in crate::cli) struct PruneArgs {
    /// Records before this moment go: RFC 3339, or a date, which means its beginning in UTC.
    #[arg(long, value_name = "WHEN")]
    before: String,
    #[command(flatten)]
    older_version: OlderVersion,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(in crate::cli) async fn prune(args: &PruneArgs, app: &App, console: &mut Console) -> anyhow::Result<Ended> {
    let before = Timestamp(moment(&args.before, "UTC").context("--before")?);
    let terms = args.older_version.terms()?;
    seal_all(app, console).await?;
    remove(app, 0, console).await?;
    let older = |found| console.progress(format_args!("{found} records are older"));
    let planned = prune::plan(app, before, terms, older).await?;
    console.progress_done();
    let plan = match planned {
        Planned::Remove(plan) => plan,
        Planned::Nothing => {
            console.say(format_args!("No record is older than {}; nothing changed.", before.rfc3339()))?;
            return Ok(Ended::Done);
        }
        Planned::Wrong(fault) => bail!(
            "{}; nothing was removed, so that it can be looked into: keep a copy of the database and see `connect-idp activity verify`",
            fault.words()
        ),
    };
    let question = format!(
        "{} record(s) of User Activity before {}, the newest of {}, will be removed for good.",
        plan.count,
        before.rfc3339(),
        plan.newest.rfc3339()
    );
    if !console.confirm(args.yes, question)? {
        console.say("Nothing was removed.")?;
        return Ok(Ended::Refused);
    }
    let begun = prune::begin(&act(app), &plan).await?;
    ensure!(begun, "somebody else removed records at the same moment: run it again");
    remove(app, plan.count, console).await?;
    // The record of this act gets its place, without which the beginning of what is left is not proven.
    seal_all(app, console).await?;
    console.say(format_args!("{} record(s) before {} are removed.", plan.count, before.rfc3339()))?;
    Ok(Ended::Done)
}

/// Removes what is not part of the record any more, batch by batch.
async fn remove(app: &App, count: i64, console: &mut Console) -> anyhow::Result<()> {
    let mut gone = 0;
    loop {
        let some = i64::try_from(prune::remove_some(app).await?)?;
        if some == 0 {
            console.progress_done();
            return Ok(());
        }
        gone += some;
        console.bar(gone, count.max(gone), "records removed");
    }
}
