//! `backup` and `restore`: an installation in one file, and back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::command::{act, open, operator};
use super::console::Console;
use crate::app::App;
use crate::config::Config;
use crate::operations::backup;
use crate::operations::backup::restore::{Restore, Restored, end_before};
use crate::store::endings::Ended;
use crate::time::{Clock, Random, Timestamp};

/// Clocks differ a little.
const AHEAD: Duration = Duration::from_mins(1);

/// What `backup` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp backup /var/backups/connect-2026-01-31.tar\n\n\
                        The file holds the key-encryption key: keep it as secret as the database and the keys folder together.")]
pub(super) struct BackupArgs {
    /// The file to make.
    file: PathBuf,
}

/// What `restore` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: connect-idp restore /var/backups/connect-2026-01-31.tar --replace\n\
                        Example: connect-idp restore --ended-before 2026-01-31T09:30:00Z --yes\n\n\
                        Every session, code and token older than the restore is ended: everybody signs in again.")]
pub(super) struct RestoreArgs {
    /// The file that `backup` made.
    #[arg(required_unless_present = "ended_before")]
    file: Option<PathBuf>,
    /// Put it in the place of the database that is there, which is kept under another name.
    #[arg(long, requires = "file")]
    replace: bool,
    /// End every session, code and token older than this moment (RFC 3339), after a restore by other programs.
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    ended_before: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: &BackupArgs, config: Config, console: &mut Console) -> anyhow::Result<()> {
    ensure!(
        config.on_sqlite(),
        "backup is for SQLite: for PostgreSQL take the procedure in docs/operations/backup.md, with its own programs"
    );
    let app = open(config).await?;
    let manifest = backup::take(&app, &args.file, &mut |what, done, of| show(console, what, done, of)).await?;
    console.progress_done();
    app.db.close().await;
    let file = args.file.display();
    console.say(format_args!("{file} has everything that was acknowledged before {}.", manifest.taken_at))?;
    console.say("It holds the key-encryption key: keep it as secret as the database and the keys folder together.")
}

pub(super) async fn run_restore(args: &RestoreArgs, config: Config, console: &mut Console) -> anyhow::Result<()> {
    match (&args.file, &args.ended_before) {
        (Some(file), _) => restore(file, args, config, console).await,
        (None, Some(moment)) => {
            let moment = Timestamp::parse_rfc3339(moment)
                .with_context(|| format!("--ended-before {moment} is not a time such as 2026-01-31T09:30:00Z"))?;
            end(&open(config).await?, moment, args.yes, console).await
        }
        (None, None) => bail!("name the file of a backup"),
    }
}

async fn restore(file: &Path, args: &RestoreArgs, config: Config, console: &mut Console) -> anyhow::Result<()> {
    ensure!(
        config.on_sqlite(),
        "restore FILE is for SQLite: for PostgreSQL take the procedure in docs/operations/backup.md, then run \
         `connect-idp restore --ended-before TIME`"
    );
    let database = crate::store::Database::sqlite_file(&config.database.url).unwrap_or_default();
    let (issuer, keys) = (config.issuer.clone(), config.keys.dir.clone());
    let restore = Restore::begin(config, file, &mut |what, done, of| show(console, what, done, of))?;
    console.progress_done();
    let (manifest, occupied) = (restore.manifest.clone(), restore.occupied);
    if occupied.database || occupied.other_keys {
        let there = if occupied.database { database.display() } else { keys.display() };
        ensure!(
            args.replace,
            "{there} is there already: say --replace to put the backup in its place, which keeps it under another name"
        );
        let question = format!("This puts the backup of {} in the place of {there}.", manifest.taken_at);
        if !console.confirm(args.yes, question)? {
            return console.say("Nothing was restored.");
        }
    }
    let restored = restore
        .carry_out(operator(), Clock::System, Random::System, &mut |what, done, of| show(console, what, done, of))
        .await?;
    console.progress_done();
    console.say(format_args!("The backup of {} is restored.", manifest.taken_at))?;
    say_kept(&restored, &database, &keys, console)?;
    say_ended(restored.ended, console)?;
    if manifest.issuer != issuer {
        console.warn(format_args!(
            "the backup is of the issuer {}, and the configuration says {issuer}: if that is meant, run `connect-idp migrate \
             --new-issuer`",
            manifest.issuer
        ));
    }
    say_uncertain(&manifest.taken_at, restored.at, console)
}

fn say_kept(restored: &Restored, database: &Path, keys: &Path, console: &mut Console) -> anyhow::Result<()> {
    let end = &restored.replaced;
    if restored.occupied.database {
        console.say(format_args!("What was there is kept as {}.replaced-{end}.", database.display()))?;
    }
    if restored.occupied.other_keys {
        console.say(format_args!("The keys that were there are kept as {}/replaced-{end}-….", keys.display()))?;
    }
    Ok(())
}

async fn end(app: &App, moment: Timestamp, yes: bool, console: &mut Console) -> anyhow::Result<()> {
    let now = app.clock.now();
    ensure!(moment <= now.after(AHEAD), "{} is not past yet: name the moment of the restore", moment.rfc3339());
    let question = format!("This ends every session, code and token older than {}.", moment.rfc3339());
    if !console.confirm(yes, question)? {
        return console.say("Nothing was ended.");
    }
    let ended = end_before(&act(app), moment.min(now)).await?;
    say_ended(ended, console)?;
    say_uncertain("the moment that the restored data are of", now, console)
}

fn say_ended(ended: Ended, console: &mut Console) -> anyhow::Result<()> {
    console.say(format_args!(
        "Ended: {} session(s), {} app sign-in(s), and every code, token and link that was older.",
        ended.sessions, ended.families
    ))
}

fn say_uncertain(from: &str, until: Timestamp, console: &mut Console) -> anyhow::Result<()> {
    let until = until.rfc3339();
    console.say(format_args!(
        "Uncertain: what was done between {from} and {until} is not in it. Locks, deactivations, new passwords, withdrawn \
         consents, replaced secrets and retired keys of that time do not hold until they are made again; look for them in the \
         exported record, in the log, and in what was replaced."
    ))
}

/// Bytes as a bar in MiB; work without a measure as a line.
fn show(console: &mut Console, what: &str, done: u64, of: u64) {
    if of == 0 {
        console.progress(what);
        return;
    }
    let mib = |bytes: u64| i64::try_from(bytes >> 20).unwrap_or(i64::MAX);
    console.bar(mib(done), mib(of), &format!("MiB, {what}"));
}
